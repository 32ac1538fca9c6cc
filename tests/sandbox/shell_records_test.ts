import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { ShellRecords } from "#/sandbox/shell_records.ts";

const NONCE = "0123456789abcdef0123456789abcdef";
const encode = (text: string) => new TextEncoder().encode(text);

/** Output as text, records in brackets. */
function read(chunks: readonly Uint8Array[], nonce = NONCE): string {
  const records = new ShellRecords();
  records.expect(nonce);
  return chunks.flatMap((chunk) => records.push(chunk))
    .map((piece) => typeof piece === "string" ? `[${piece}]` : new TextDecoder().decode(piece)).join("");
}

const STREAM = `a\0b\0\0${NONCE}\0\0wrong e 0\0\0${NONCE} e 0 2 /shared/x y\0after\0\0${NONCE} p\0\0`;

Deno.test("push() finds the records of one request, however the bytes are cut", () => {
  const bytes = encode(STREAM);
  const whole = read([bytes]);
  assert.equal(whole, `a\0b\0\0${NONCE}\0\0wrong e 0\0[e 0 2 /shared/x y]after\0[p]`);
  for (let size = 1; size < 80; size++) {
    const chunks = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    assert.equal(read(chunks), whole, `pieces of ${size}`);
  }
});

Deno.test("push() takes a record that does not end for output, at its limit", () => {
  const max = LIMITS.shellRecordBytesMax;
  const open = (bytes: number) => encode(`\0${NONCE} ${"x".repeat(bytes - NONCE.length - 2)}`);
  assert.equal(read([open(max)]), "", "held");
  assert.equal(read([open(max), encode("\0")]).at(0), "[");
  assert.equal(read([open(max + 1)]).length, max + 1);
});

Deno.test("expect() makes every record that was expected before output", () => {
  const records = new ShellRecords();
  records.expect("one");
  assert.deepEqual(records.push(encode("\0one e\0")), ["e"]);
  records.expect("two");
  assert.deepEqual(records.push(encode("\0one e\0")).map((piece) => typeof piece), ["object"]);
  assert.deepEqual(records.push(encode("\0two e\0")).at(-1), "e");
});
