import assert from "node:assert/strict";
import { isInRange } from "#/lib/ipv4_range.ts";

Deno.test("isInRange() knows which literal addresses lie in a range, and nothing of names", () => {
  const cases: readonly (readonly [address: string, range: string, inside: boolean])[] = [
    ["172.30.0.1", "172.16.0.0/12", true],
    ["172.32.0.1", "172.16.0.0/12", false],
    ["10.255.255.255", "10.0.0.0/8", true],
    ["11.0.0.0", "10.0.0.0/8", false],
    ["172.30.0.2", "172.30.0.2/32", true],
    ["172.30.0.3", "172.30.0.2/32", false],
    ["172.30.0.2", "172.30.0.2", true],
    ["203.0.113.9", "0.0.0.0/0", true],
    ["255.255.255.255", "224.0.0.0/3", true],
    ["localhost", "127.0.0.0/8", false],
    ["1.2.3", "0.0.0.0/0", false],
    ["1.2.3.256", "0.0.0.0/0", false],
    ["1.2.3.4", "no range", false],
  ];
  for (const [address, range, inside] of cases) assert.equal(isInRange(address, range), inside, `${address} ${range}`);
});
