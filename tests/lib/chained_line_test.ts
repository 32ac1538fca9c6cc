import assert from "node:assert/strict";
import { parseChainedLine, sha256Of, toChainedLine } from "#/lib/chained_line.ts";
import { sha256Hex } from "#/lib/sha256.ts";

const encoder = new TextEncoder();
const ENTRY = { seq: 1, at: 5, prev: "0", text: "ä \ufffd \u0000 \ud83d", list: ["b", { z: 1, a: [] }] };

Deno.test("sha256Of() is the sha256 that WebCrypto gives", async () => {
  for (const text of ["", "a", "ä".repeat(1_000)]) {
    assert.equal(sha256Of(text), await sha256Hex(text));
    assert.equal(sha256Of(encoder.encode(text)), await sha256Hex(text));
  }
});

Deno.test("toChainedLine() writes one canonical line with the hash of all the rest", () => {
  const { line, sha256 } = toChainedLine({ seq: 1, prev: "0", at: 5, gone: undefined });
  assert.equal(sha256, sha256Of('{"at":5,"prev":"0","seq":1}'));
  assert.equal(line, `{"at":5,"prev":"0","seq":1,"sha256":"${sha256}"}`);
  assert.deepEqual(toChainedLine({ ...JSON.parse(line), sha256: "another" }), { line, sha256 });
  assert.ok(!toChainedLine({ text: "a\nb" }).line.includes("\n"));
  assert.throws(() => toChainedLine({ bytes: NaN }), TypeError);
});

Deno.test("parseChainedLine() reads back what toChainedLine() wrote", () => {
  const { line, sha256 } = toChainedLine(ENTRY);
  assert.deepEqual(parseChainedLine(encoder.encode(line)), { ...ENTRY, sha256 });
});

Deno.test("parseChainedLine() sees every changed, missing and added byte, and calls every half line broken", () => {
  const bytes = encoder.encode(toChainedLine(ENTRY).line);
  for (let at = 0; at < bytes.length; at++) {
    for (let mask = 1; mask < 256; mask++) {
      const flipped = bytes.slice();
      flipped[at]! ^= mask;
      assert.equal(typeof parseChainedLine(flipped), "string", `${at} ^ ${mask}`);
    }
    assert.equal(parseChainedLine(bytes.subarray(0, at)), "broken");
    const longer = new Uint8Array([...bytes.subarray(0, at), 0x20, ...bytes.subarray(at)]);
    assert.equal(typeof parseChainedLine(longer), "string");
  }
  const marked = new Uint8Array([0xef, 0xbb, 0xbf, ...bytes]);
  assert.equal(typeof parseChainedLine(marked), "string", "a byte order mark");
});

Deno.test("parseChainedLine() calls JSON that is no entry forged", () => {
  const hashed = (entry: Record<string, unknown>) => toChainedLine(entry).line;
  const lines = [
    "1",
    "null",
    "[]",
    "{}",
    hashed({}),
    hashed({ seq: 1, at: 1 }),
    hashed({ seq: "1", at: 1, prev: "" }),
    hashed({ seq: 1.5, at: 1, prev: "" }),
    hashed({ seq: 1, prev: "" }),
    `${hashed(ENTRY)} `,
    '{"seq":1e999,"at":1,"prev":""}',
    `{"seq":1,"at":1,"prev":"","x":${"[".repeat(20_000)}${"]".repeat(20_000)}}`,
  ];
  for (const line of lines) assert.equal(parseChainedLine(encoder.encode(line)), "forged", line.slice(0, 60));
});
