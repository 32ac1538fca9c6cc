import assert from "node:assert/strict";
import { FrameWriter } from "#/lib/frame_writer.ts";
import { encodeFrame, encodeJsonFrame, FrameDecoder, jsonOf } from "#/lib/framing.ts";

const empty = new Uint8Array();

Deno.test("FrameWriter joins what waits, keeps the order, and says when nobody takes it", async () => {
  const chunks: Uint8Array[] = [];
  const first = Promise.withResolvers<void>();
  const writer = new FrameWriter(
    new WritableStream({
      async write(chunk) {
        if (chunks.push(chunk) === 1) await first.promise;
      },
    }),
  );
  const sent = [1, 2, 3].map((tag) => writer.send(encodeJsonFrame(tag, tag)));
  first.resolve();
  assert.deepEqual(await Promise.all(sent), [true, true, true]);
  assert.equal(chunks.length, 2);
  const decoder = new FrameDecoder();
  assert.deepEqual(chunks.flatMap((chunk) => decoder.push(chunk)).map(jsonOf), [1, 2, 3]);
  const broken = new FrameWriter(new WritableStream({ write: () => Promise.reject(new Error("gone")) }));
  assert.deepEqual(await Promise.all([broken.send(empty), broken.send(encodeFrame(1, 1, empty))]), [false, false]);
  assert.equal(await broken.send(empty), false);
  writer.close();
  writer.close();
  assert.equal(await writer.send(empty), false);
});
