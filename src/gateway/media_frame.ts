import type { NewBlob } from "#/core/event.ts";
import { toModality } from "#/core/model.ts";
import { type ServerFrame, toFrame, type TurnAddress, type WireAttachment } from "#/gateway/server_frame.ts";

/** The reference names a type of its channels, and has none for what is neither picture nor sound. */
const MEDIA_TYPES: Readonly<Partial<Record<string, WireAttachment["media_type"]>>> = {
  image: "photo",
  audio: "audio",
  video: "video",
};
const EXTENSIONS: Readonly<Partial<Record<string, string>>> = {
  jpeg: "jpg",
  "svg+xml": "svg",
  mpeg: "mp3",
  "x-wav": "wav",
};

/**
 * The reference's frame for something that the model made. It lies in no folder, so both names are one that its hash gives: the same
 * picture has the same name. Pure.
 */
export function toMediaFrame(
  { sha256, mimeType, content }: NewBlob,
  address: Pick<TurnAddress, "request_id" | "session">,
): ServerFrame {
  const subtype = /^\w+\/([\w.+-]+)/.exec(mimeType)?.[1]?.toLowerCase() ?? "";
  const extension = EXTENSIONS[subtype] ?? (/^[a-z0-9]{1,8}$/.test(subtype) ? subtype : "bin");
  const name = `${sha256.slice(0, 12)}.${extension}`;
  const attachment: WireAttachment = {
    file_path: name,
    media_type: MEDIA_TYPES[toModality(mimeType)] ?? "document",
    data: content.toBase64(),
    file_name: name,
  };
  return toFrame("media_attachment", { ...address, attachment });
}
