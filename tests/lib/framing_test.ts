import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { encodeByteFrames, encodeFrame, encodeJsonFrame, FrameDecoder, jsonOf } from "#/lib/framing.ts";

Deno.test("FrameDecoder.push() gives the same frames however the stream is cut", () => {
  const stream = concatBytes([
    encodeJsonFrame(7, { text: "grüße 🌊" }),
    encodeFrame(1, 8, new Uint8Array([1, 2, 3])),
    encodeFrame(1, 9, new Uint8Array(0)),
  ]);
  for (let size = 1; size <= stream.length; size++) {
    const decoder = new FrameDecoder();
    const frames = [];
    for (let at = 0; at < stream.length; at += size) frames.push(...decoder.push(stream.subarray(at, at + size)));
    assert.deepEqual(frames.map((frame) => [frame.kind, frame.callId]), [[0, 7], [1, 8], [1, 9]], `cut at ${size}`);
    assert.deepEqual(jsonOf(frames[0]!), { text: "grüße 🌊" });
    assert.deepEqual([...frames[1]!.body], [1, 2, 3]);
    assert.equal(decoder.pendingBytes, 0);
  }
});

Deno.test("FrameDecoder.push() refuses a length over the bound before a byte of it is kept", () => {
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, LIMITS.frameBytesMax + 6);
  assert.throws(() => new FrameDecoder().push(head), { code: "frame_too_large" });
  new DataView(head.buffer).setUint32(0, LIMITS.frameBytesMax + 5);
  assert.deepEqual(new FrameDecoder().push(head), []);
});

Deno.test("FrameDecoder.push() refuses a frame shorter than its head and an unknown kind", () => {
  assert.throws(() => new FrameDecoder().push(new Uint8Array([0, 0, 0, 4])), { code: "protocol" });
  assert.throws(() => new FrameDecoder().push(new Uint8Array([0, 0, 0, 5, 2, 0, 0, 0, 1])), { code: "protocol" });
});

Deno.test("encodeFrame() never makes a frame that the other side refuses", () => {
  assert.throws(() => encodeFrame(1, 1, new Uint8Array(LIMITS.frameBytesMax + 1)), RangeError);
  assert.equal(new FrameDecoder().push(encodeFrame(1, 1, new Uint8Array(LIMITS.frameBytesMax))).length, 1);
});

Deno.test("encodeByteFrames() cuts at chunkBytesMax and sends nothing for nothing", () => {
  const content = new Uint8Array(LIMITS.chunkBytesMax * 2 + 1).fill(5);
  const frames = new FrameDecoder().push(concatBytes([...encodeByteFrames(3, content)]));
  assert.deepEqual(frames.map((frame) => frame.body.length), [LIMITS.chunkBytesMax, LIMITS.chunkBytesMax, 1]);
  assert.deepEqual([...encodeByteFrames(3, new Uint8Array(0))], []);
});

Deno.test("jsonOf() refuses bytes, broken JSON and broken UTF-8", () => {
  for (
    const frame of [
      encodeFrame(1, 1, new Uint8Array([123])),
      encodeFrame(0, 1, new TextEncoder().encode("{")),
      encodeFrame(0, 1, new Uint8Array([34, 0xff, 34])),
    ]
  ) {
    assert.throws(() => jsonOf(new FrameDecoder().push(frame)[0]!), { code: "protocol" });
  }
});

Deno.test("FrameDecoder.push() does not copy a large frame again for each byte that drips in", () => {
  const frame = encodeFrame(1, 1, new Uint8Array(LIMITS.frameBytesMax).fill(7));
  const tail = 20_000;
  const decoder = new FrameDecoder();
  decoder.push(frame.subarray(0, frame.length - tail));
  let copied = 0;
  const { set } = Uint8Array.prototype;
  Uint8Array.prototype.set = function (...args) {
    copied += args[0].length;
    return set.apply(this, args);
  };
  try {
    for (let at = frame.length - tail; at < frame.length - 1; at++) {
      assert.deepEqual(decoder.push(frame.subarray(at, at + 1)), []);
    }
  } finally {
    Uint8Array.prototype.set = set;
  }
  assert.ok(copied < frame.length * 2, `${copied} bytes were copied`);
  const [whole] = decoder.push(frame.subarray(frame.length - 1));
  assert.equal(whole!.body.length, LIMITS.frameBytesMax);
  assert.ok(whole!.body.every((byte) => byte === 7));
  assert.equal(decoder.pendingBytes, 0);
});
