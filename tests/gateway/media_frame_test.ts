import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { toMediaFrame } from "#/gateway/media_frame.ts";
import { encodeFrame } from "#/gateway/server_frame.ts";

const address = { request_id: "r", session: { user_id: "ann", session_id: "s" } };
const sha256 = "0123456789abcdef".repeat(4);

function frameOf(mimeType: string, content = new Uint8Array([1, 2, 3])) {
  return toMediaFrame({ sha256, mimeType, bytes: content.length, content }, address);
}

Deno.test("toMediaFrame() is the reference's frame, named by the hash", () => {
  assert.deepEqual(frameOf("image/png"), {
    type: "media_attachment",
    payload: {
      ...address,
      attachment: {
        file_path: "0123456789ab.png",
        media_type: "photo",
        data: "AQID",
        file_name: "0123456789ab.png",
      },
    },
  });
});

Deno.test("toMediaFrame() knows the types of the reference, and ends names as people do", () => {
  const table: Readonly<Record<string, readonly [type: string, extension: string]>> = {
    "image/jpeg": ["photo", "jpg"],
    "image/svg+xml": ["photo", "svg"],
    "audio/mpeg": ["audio", "mp3"],
    "audio/x-wav": ["audio", "wav"],
    "audio/L16;codec=pcm;rate=24000": ["audio", "l16"],
    "video/mp4": ["video", "mp4"],
    "application/pdf": ["document", "pdf"],
    "application/octet-stream": ["document", "bin"],
    "image/vnd.ms-photo": ["photo", "bin"],
    "nonsense": ["document", "bin"],
  };
  for (const [mimeType, expected] of Object.entries(table)) {
    const frame = frameOf(mimeType);
    assert.ok(frame.type === "media_attachment");
    const { media_type, file_name } = frame.payload.attachment;
    assert.deepEqual([media_type, file_name?.split(".")[1]], expected, mimeType);
  }
});

Deno.test("toMediaFrame() of all that one reply may make fits a frame of 16 MiB, twice over what may wait for a client", () => {
  const frame = frameOf("image/png", new Uint8Array(LIMITS.replyMediaBytesMax));
  const text = encodeFrame(frame, { turnEvents: false, approvals: false, media: false })!;
  assert.ok(text.length < 16 * 1_048_576 && 2 * text.length < LIMITS.clientQueueHardBytesMax, String(text.length));
});
