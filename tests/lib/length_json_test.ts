import assert from "node:assert/strict";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";

function readerOf(bytes: Uint8Array, chunkBytes: number): ByteReader {
  return new ByteReader(
    new ReadableStream({
      start(controller) {
        for (let i = 0; i < bytes.length; i += chunkBytes) controller.enqueue(bytes.subarray(i, i + chunkBytes));
        controller.close();
      },
    }),
  );
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

Deno.test("readLengthJson() reads what encodeLengthJson() wrote, cut anywhere, and leaves the rest in the reader", async () => {
  const value = { a: "ü", n: [1, null] };
  const bytes = concat(encodeLengthJson(value, 100), encodeLengthJson(1, 100), new Uint8Array([1, 2, 3]));
  for (const chunk of [1, 3, 7, 1_000]) {
    const reader = readerOf(bytes, chunk);
    assert.deepEqual(await readLengthJson(reader, 100), value);
    assert.equal(await readLengthJson(reader, 100), 1);
    assert.deepEqual(await reader.readExactly(3), new Uint8Array([1, 2, 3]));
    assert.equal(await reader.read(), undefined);
  }
});

Deno.test("readLengthJson() is bounded before a byte is kept, and encodeLengthJson() too", async () => {
  const value = "x".repeat(98);
  assert.equal(await readLengthJson(readerOf(encodeLengthJson(value, 100), 10), 100), value);
  assert.throws(() => encodeLengthJson(`${value}x`, 100), { code: "frame_too_large" });
  await assert.rejects(readLengthJson(readerOf(encodeLengthJson(value, 100), 10), 99), { code: "frame_too_large" });
  await assert.rejects(readLengthJson(readerOf(new Uint8Array([255, 255, 255, 255]), 4), 100), {
    code: "frame_too_large",
  });
});

Deno.test("readLengthJson() tells the end of the stream from a cut and from nonsense", async () => {
  const whole = encodeLengthJson({ a: 1 }, 100);
  assert.equal(await readLengthJson(readerOf(new Uint8Array(), 1), 100), undefined);
  await assert.rejects(readLengthJson(readerOf(whole.subarray(0, -1), 5), 100), { code: "protocol" });
  await assert.rejects(readLengthJson(readerOf(new Uint8Array([0, 0, 0, 1, 123]), 5), 100), { code: "protocol" });
  await assert.rejects(readLengthJson(readerOf(new Uint8Array([0, 0, 0, 1, 255]), 5), 100), { code: "protocol" });
});
