/** A body as a component gets it. */
export interface DecodedBody {
  /** Empty when the body is no text. */
  readonly text: string;
  /** The encoding that it was read as (WHATWG Encoding, names); empty when it is no text. */
  readonly charset: string;
}

/** Where an encoding is declared inside of a document: the same 1,024 bytes that a browser looks at (WHATWG HTML §13.2.3.2). */
const SNIFFED_BYTES = 1_024;
const TEXT_TYPE =
  /^(?:text\/.*|.*\+(?:json|xml|yaml)|application\/(?:(?:x-)?(?:json|ndjson|xml|javascript|ecmascript|yaml|toml|sh|sql|www-form-urlencoded)))$/;
const MARKUP_TYPE = /^(?:text\/html|text\/xml|application\/xml|.*\+xml|)$/;
/** WHATWG Encoding §6.1; U+FEFF itself is then dropped by the decoder. */
const MARKS: readonly (readonly [charset: string, bytes: readonly number[]])[] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16be", [0xfe, 0xff]],
  ["utf-16le", [0xff, 0xfe]],
];

/**
 * Decodes a body: byte order mark, then the charset of the Content-Type, then what the document declares, then UTF-8. Never fails: what
 * is no character becomes U+FFFD, an unknown label is passed over, and a body that is no text is not decoded.
 */
export function decodeBody(contentType: string, bytes: Uint8Array): DecodedBody {
  const [type = "", ...parameters] = contentType.split(";");
  const essence = type.trim().toLowerCase();
  const mark = MARKS.find(([, start]) => start.every((byte, at) => bytes[at] === byte))?.[0];
  if (!isText(essence, bytes, mark)) return { text: "", charset: "" };
  const decoder = toDecoder(mark) ?? toDecoder(toParameter(parameters)) ?? toDeclared(essence, bytes) ??
    new TextDecoder();
  return { text: decoder.decode(bytes), charset: decoder.encoding };
}

/** By its type; without one, text has no NUL. */
function isText(essence: string, bytes: Uint8Array, mark: string | undefined): boolean {
  if (essence !== "") return TEXT_TYPE.test(essence);
  return mark !== undefined || !bytes.subarray(0, SNIFFED_BYTES).includes(0);
}

function toParameter(parameters: readonly string[]): string | undefined {
  for (const parameter of parameters) {
    const value = /^\s*charset\s*=\s*["']?([^\s"']+)/i.exec(parameter)?.[1];
    if (value !== undefined) return value;
  }
  return undefined;
}

/** What the document says of itself. A document whose declaration could be read as ASCII is not UTF-16, whatever it says. */
function toDeclared(essence: string, bytes: Uint8Array): TextDecoder | undefined {
  if (!MARKUP_TYPE.test(essence)) return undefined;
  const start = String.fromCharCode(...bytes.subarray(0, SNIFFED_BYTES)).replace(/<!--[^]*?-->/g, "");
  const label = /<meta\s[^>]*?charset\s*=\s*["']?\s*([^\s"'/>;]+)/i.exec(start)?.[1] ??
    /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']+)/i.exec(start)?.[1];
  const decoder = toDecoder(label);
  return decoder?.encoding.startsWith("utf-16") ? undefined : decoder;
}

function toDecoder(label: string | undefined): TextDecoder | undefined {
  try {
    return label === undefined ? undefined : new TextDecoder(label);
  } catch {
    return undefined;
  }
}
