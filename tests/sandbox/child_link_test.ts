import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { encodeByteFrames, encodeFrame, encodeJsonFrame, FrameDecoder } from "#/lib/framing.ts";
import { SyncLink } from "#/sandbox/child_link.ts";

/** Streams over bytes in memory: `input` is given out in pieces of `piece` bytes, a write takes at most `accept`. */
function openStreams(input: readonly Uint8Array[], options: { piece?: number; accept?: number } = {}) {
  const rest = input.flatMap((part) => [...part]);
  const written: number[] = [];
  return {
    written,
    streams: {
      read(into: Uint8Array): number | null {
        const part = rest.splice(0, Math.min(into.length, options.piece ?? into.length));
        if (part.length === 0) return null;
        into.set(part);
        return part.length;
      },
      write(bytes: Uint8Array): number {
        const taken = bytes.subarray(0, options.accept ?? bytes.length);
        written.push(...taken);
        return taken.length;
      },
    },
  };
}

Deno.test("SyncLink reads heads and content that arrive a byte at a time", () => {
  const content = new TextEncoder().encode("hello");
  const { streams } = openStreams(
    [encodeJsonFrame(7, { type: "call" }), encodeJsonFrame(7, { type: "answer" }), ...encodeByteFrames(7, content)],
    { piece: 1 },
  );
  const link = new SyncLink(streams);
  assert.deepEqual(link.readMessage(), { message: { type: "call" }, callId: 7 });
  assert.deepEqual(link.readMessage(), { message: { type: "answer" }, callId: 7 });
  assert.deepEqual(link.readContent(5), content);
  assert.deepEqual(link.readContent(0), new Uint8Array(0));
  assert.equal(link.readMessage(), null);
});

Deno.test("SyncLink finishes what a pipe takes in parts", () => {
  const { streams, written } = openStreams([], { accept: 3 });
  new SyncLink(streams).write(2, { v: 1, type: "loaded" }, new Uint8Array(LIMITS.chunkBytesMax + 1));
  const frames = new FrameDecoder().push(new Uint8Array(written));
  assert.deepEqual(frames.map((frame) => [frame.kind, frame.callId, frame.body.length]), [
    [0, 2, 23],
    [1, 2, LIMITS.chunkBytesMax],
    [1, 2, 1],
  ]);
});

Deno.test("SyncLink is broken while a frame is half written, and only then", () => {
  let broken: boolean[] = [];
  const link: SyncLink = new SyncLink({
    read: () => null,
    write(bytes) {
      broken.push(link.broken);
      return bytes.length;
    },
  });
  assert.equal(link.broken, false);
  link.write(1, { v: 1, type: "loaded" });
  assert.deepEqual([broken, link.broken], [[true], false]);

  broken = [];
  const failing: SyncLink = new SyncLink({
    read: () => null,
    write() {
      throw new Error("interrupted");
    },
  });
  assert.throws(() => failing.write(1, { v: 1, type: "loaded" }));
  assert.equal(failing.broken, true);
});

Deno.test("SyncLink writes nothing of a head over the frame limit", () => {
  const { streams, written } = openStreams([]);
  const link = new SyncLink(streams);
  const text = "x".repeat(LIMITS.frameBytesMax);
  const call = { fn: "fs-write.write-text", path: "/shared/a", text } as const;
  assert.throws(() => link.write(1, { v: 1, type: "host", call }), RangeError);
  assert.deepEqual([written.length, link.broken], [0, false]);
});

Deno.test("SyncLink refuses content that is not what its head announced", () => {
  const refused = { code: "protocol" };
  assert.throws(() => new SyncLink(openStreams([]).streams).readContent(1), refused);
  assert.throws(() => new SyncLink(openStreams([encodeJsonFrame(1, {})]).streams).readContent(1), refused);
  assert.throws(
    () => new SyncLink(openStreams([encodeFrame(1, 1, new Uint8Array(2))]).streams).readContent(1),
    refused,
  );
  assert.throws(() => new SyncLink(openStreams([encodeFrame(1, 1, new Uint8Array(2))]).streams).readMessage(), refused);
  assert.throws(() => new SyncLink(openStreams([new Uint8Array([0xff, 0xff, 0xff, 0xff])]).streams).readMessage(), {
    code: "frame_too_large",
  });
});
