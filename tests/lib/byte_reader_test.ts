import assert from "node:assert/strict";
import { ByteReader } from "#/lib/byte_reader.ts";

Deno.test("ByteReader gives what readExactly() left to read(), and skips empty chunks", async () => {
  const chunks = [[1, 2, 3], [], [4], [5, 6]];
  const reader = new ByteReader(ReadableStream.from(chunks.map((chunk) => new Uint8Array(chunk))));
  assert.deepEqual(await reader.readExactly(2), new Uint8Array([1, 2]));
  assert.deepEqual(await reader.read(), new Uint8Array([3]));
  assert.deepEqual(await reader.readExactly(0), new Uint8Array());
  assert.deepEqual(await reader.read(), new Uint8Array([4]));
  assert.equal(await reader.readExactly(3), undefined);
  assert.equal(await reader.read(), undefined);
});

Deno.test("ByteReader.cancel() ends a read that waits", async () => {
  const reader = new ByteReader(new ReadableStream<Uint8Array>());
  const waiting = reader.read();
  await reader.cancel();
  assert.equal(await waiting, undefined);
});
