import { AppError } from "#/core/error.ts";
import type { InlineMedia, Message } from "#/core/message.ts";
import { type Modality, toModality } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { toOneLine } from "#/lib/printable.ts";
import type { Protocol } from "#/provider/base_url.ts";

const IMAGES = ["png", "jpeg", "webp", "gif"];
const TEXT_FILE = /^text\/|^application\/(json|xml|yaml|x-yaml|toml|javascript)$|\+(json|xml)$/;

/**
 * The files that each wire format carries; an empty list is every format of that kind. Facts: developers.openai.com/api/docs/guides/{images-vision,audio,file-inputs},
 * platform.claude.com/docs/en/build-with-claude/{vision,pdf-support}, ai.google.dev/gemini-api/docs/{image,audio,video}-understanding.
 */
const CARRIED: Readonly<Record<Protocol, Partial<Record<Modality, readonly string[]>>>> = {
  openai: { image: IMAGES, audio: ["wav", "mp3"], pdf: [] },
  openai_responses: { image: IMAGES, pdf: [] },
  anthropic: { image: IMAGES, pdf: [], text: [] },
  gemini: {
    image: ["png", "jpeg", "webp", "heic", "heif"],
    audio: ["wav", "mp3", "aiff", "aac", "ogg", "flac"],
    video: ["mp4", "mpeg", "quicktime", "mov", "webm", "3gpp", "x-flv", "avi", "wmv", "mpg"],
    pdf: [],
    text: [],
  },
};

/** Other names of formats. */
const ALIASES: Readonly<Record<string, string>> = {
  "image/jpg": "jpeg",
  "audio/mpeg": "mp3",
  "audio/x-wav": "wav",
  "audio/wave": "wav",
  "audio/vnd.wave": "wav",
};

/** The tool that takes files which a model cannot read. */
const SAVE_TOOL = "attachment_save";
const MIME_CHARS_MAX = 100;

/** What a model is shown of the attachments of a conversation. */
export interface FittedAttachments {
  readonly messages: readonly Message[];
  /** For the person, when the newest message has files that the model is only told of. */
  readonly notice?: string;
}

/** True for a file whose content is text, whatever it is called. */
export function isTextFile(mimeType: string): boolean {
  return TEXT_FILE.test(toType(mimeType));
}

/** The format of a file by its MIME type, in one word: `jpeg`, `mp3`, `pdf`. */
export function toFormat(mimeType: string): string {
  const type = toType(mimeType);
  return ALIASES[type] ?? type.slice(type.indexOf("/") + 1);
}

/**
 * Leaves the attachments that wire format and model take, and replaces each other one by a line that names it: the model can still
 * save it. A model without that tool could do nothing for the person, so then this throws AppError `provider_rejected`. A model
 * without a descriptor takes what its wire format carries. Pure.
 */
export function fitAttachments(request: ModelRequest, protocol: Protocol): FittedAttachments {
  const { messages, model, tools, descriptor } = request;
  const carried = Object.entries(CARRIED[protocol]).filter(([modality]) =>
    descriptor?.input.includes(modality as Modality) ?? true
  );
  const takes = ({ mimeType }: InlineMedia) => {
    const kind = isTextFile(mimeType) ? "text" : toModality(mimeType);
    return carried.some(([modality, formats]) =>
      modality === kind && (formats.length === 0 || formats.includes(toFormat(mimeType)))
    );
  };
  const refused = messages.flatMap((message) =>
    message.role === "user" ? (message.attachments ?? []).filter((file) => !takes(file)) : []
  );
  if (refused.length === 0) return { messages };
  const kinds = [...new Set(refused.map(({ mimeType }) => toOneLine(mimeType, MIME_CHARS_MAX)))].join(", ");
  const taken = carried.map(([modality, formats]) =>
    formats.length === 0 ? modality : `${modality} (${formats.join(", ")})`
  );
  const cannot = `The model "${model}" cannot read ${kinds}; it takes ${taken.join(", ") || "no files"}.`;
  if (descriptor?.toolCall === false || tools.every((tool) => tool.name !== SAVE_TOOL)) {
    throw new AppError("provider_rejected", `${cannot} Send another kind of file, or choose another model.`);
  }
  const fitted = messages.map((message) => message.role === "user" ? toFitted(message, takes) : message);
  if (messages.at(-1)?.role !== "user") return { messages: fitted };
  return { messages: fitted, notice: `${cannot} It is told of the file and can only save it.` };
}

function toType(mimeType: string): string {
  return mimeType.split(";")[0]!.trim().toLowerCase();
}

function toFitted(
  { content, attachments = [] }: Extract<Message, { role: "user" }>,
  takes: (file: InlineMedia) => boolean,
): Message {
  const lines = attachments.flatMap((file, index) => takes(file) ? [] : [toLine(file, index)]);
  const kept = attachments.filter(takes);
  const text = [content, ...lines].join("\n");
  return kept.length === 0 ? { role: "user", content: text } : { role: "user", content: text, attachments: kept };
}

/** `index` is what the tool wants. */
function toLine({ mimeType, data }: InlineMedia, index: number): string {
  const what = `${toOneLine(mimeType, MIME_CHARS_MAX)}, ${Math.ceil(data.length * 0.75 / 1024)} KB`;
  return `[attachment ${index}: ${what}: this model cannot read it; ${SAVE_TOOL} can store it]`;
}
