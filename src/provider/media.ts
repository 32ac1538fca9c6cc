import { AppError } from "#/core/error.ts";
import type { ModelEvent } from "#/core/provider.ts";

/** A picture or a sound of the reply of `name`; `data` is base64. Throws AppError `provider_protocol` when it is not. */
export function toMedia(name: string, mimeType: string, data: string): ModelEvent {
  try {
    Uint8Array.fromBase64(data);
  } catch {
    throw new AppError("provider_protocol", `${name} sent a file that is not base64.`);
  }
  return { type: "media", media: { mimeType, data } };
}

/** What a `data:` URL holds (RFC 2397). A file that the vendor keeps elsewhere is shown as its address: this process may not fetch it. */
export function fromMediaUrl(name: string, url: string): ModelEvent {
  const [, mimeType, data] = /^data:([\w.+-]+\/[\w.+-]+)(?:;[^,;]*)*;base64,([^]*)$/i.exec(url) ?? [];
  return mimeType === undefined ? { type: "text", text: url } : toMedia(name, mimeType.toLowerCase(), data!);
}
