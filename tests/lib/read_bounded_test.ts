import assert from "node:assert/strict";
import { readBounded } from "#/lib/read_bounded.ts";

function bodyOf(text: string, size: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.slice(n * size, (n + 1) * size));
  return ReadableStream.from(parts);
}

Deno.test("readBounded() joins characters that were cut, up to the last byte that fits", async () => {
  assert.equal(await readBounded(bodyOf("añ€😀", 1), 10), "añ€😀");
  assert.equal(await readBounded(bodyOf("", 1), 0), "");
});

Deno.test("readBounded() throws at the first byte too many, and leaves the rest unread", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({ pull: (to) => to.enqueue(new Uint8Array(++pulled && 10)) });
  await assert.rejects(readBounded(endless, 25), RangeError);
  assert.ok(pulled <= 5);
});

Deno.test("readBounded() tells after each piece how many bytes there are", async () => {
  const told: number[] = [];
  await readBounded(bodyOf("abcde", 2), 5, (bytes) => told.push(bytes));
  assert.deepEqual(told, [2, 4, 5]);
});
