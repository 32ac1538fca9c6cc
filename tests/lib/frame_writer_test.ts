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
  const send = (tag: number) => writer.send(encodeJsonFrame(tag, tag));
  const sent = [1, 2].map(send);
  await Promise.resolve();
  await Promise.resolve();
  // A head and its bytes of one step; then what came while the pipe was full.
  sent.push(...[3, 4].map(send));
  first.resolve();
  assert.deepEqual(await Promise.all(sent), [true, true, true, true]);
  assert.equal(chunks.length, 2);
  const decoder = new FrameDecoder();
  assert.deepEqual(chunks.map((chunk) => decoder.push(chunk).map(jsonOf)), [[1, 2], [3, 4]]);
  const broken = new FrameWriter(new WritableStream({ write: () => Promise.reject(new Error("gone")) }));
  assert.deepEqual(await Promise.all([broken.send(empty), broken.send(encodeFrame(1, 1, empty))]), [false, false]);
  assert.equal(await broken.send(empty), false);
  writer.close();
  writer.close();
  assert.equal(await writer.send(empty), false);
});
