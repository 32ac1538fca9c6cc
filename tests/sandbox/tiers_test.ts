import assert from "node:assert/strict";
import { pickTier, toTierName } from "#/sandbox/tiers.ts";

Deno.test("toTierName() says what the process tier is called on each system", () => {
  assert.deepEqual(
    (["linux", "darwin", "windows", "freebsd"] as const).map((os) => toTierName("process", os)),
    ["bubblewrap", "seatbelt", undefined, undefined],
  );
  assert.equal(toTierName("micro_vm", "windows"), "micro_vm");
});

Deno.test("pickTier() opens the driver of this system", async () => {
  const driver = await pickTier("process", { user: "alice", dir: Deno.makeTempDirSync() });
  assert.equal(driver.name, toTierName("process", Deno.build.os));
});
