import type { InlineMedia } from "#/core/message.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { WireMedia } from "#/gateway/client_frame.ts";

/** `type/subtype` in the characters that the reference's gateway takes. */
const MIME_TYPE = /^[A-Za-z0-9._+-]+\/[A-Za-z0-9._+/-]+$/;
const MIME_CHARS_MAX = 255;

/**
 * The media of one turn. Throws AppError `usage` naming the first that is too many, too large, not base64, or of no type; sizes are
 * those of the decoded bytes (SPEC §7).
 */
export function toInlineMedia(attachments: readonly WireMedia[]): InlineMedia[] {
  const { attachmentsPerTurnMax, attachmentBytesMax } = LIMITS;
  if (attachments.length > attachmentsPerTurnMax) {
    throw new AppError("usage", `${attachments.length} attachments in one turn; at most ${attachmentsPerTurnMax}`);
  }
  return attachments.map(({ mime_type, data }, index) => {
    if (mime_type.length > MIME_CHARS_MAX || !MIME_TYPE.test(mime_type)) {
      throw new AppError("usage", `attachment ${index}: mime_type is not a type/subtype`);
    }
    const bytes = decodedBytes(data);
    if (bytes === undefined) throw new AppError("usage", `attachment ${index}: data is not base64`);
    if (bytes > attachmentBytesMax) {
      throw new AppError("usage", `attachment ${index} has ${bytes} bytes; at most ${attachmentBytesMax}`);
    }
    return { mimeType: mime_type, data };
  });
}

/** Size of what a base64 text holds, or undefined when it is none: padding wanted, no whitespace, no stray bits at the end. */
function decodedBytes(data: string): number | undefined {
  if (data.length % 4 !== 0) return undefined;
  const padding = data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0;
  const bytes = (data.length / 4) * 3 - padding;
  // Checked before decoding: what is too large is not worth its memory.
  if (bytes > LIMITS.attachmentBytesMax) return bytes;
  try {
    // The decoder skips whitespace; then fewer bytes come out than the length promises.
    return Uint8Array.fromBase64(data, { lastChunkHandling: "strict" }).length === bytes ? bytes : undefined;
  } catch {
    return undefined;
  }
}
