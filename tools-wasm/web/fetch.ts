import { ToolFailure } from "../sdk/execute.ts";
import type { HttpResponse, WebHost } from "../sdk/host.ts";
import { cutToBytes, plural } from "../sdk/text.ts";
import { isHtml, REQUEST_HEADERS, toExcerpt, toFenced, toLine, toType, toVisible } from "./fence.ts";
import { toPage } from "./markdown.ts";

/** Arguments of web_fetch, parsed by the host. */
export interface FetchArgs {
  readonly url: string;
  readonly output_format?:
    | "auto"
    | "markdown"
    | "text"
    | "raw"
    | "metadata_only";
  readonly max_body_chars?: number;
  readonly start_char?: number;
}

/** The reference's default. */
const BODY_CHARS = 50_000;
/** Text of a page in one output: with its head it stays below what the model sees. */
const BODY_BYTES_MAX = 14_336;
/** Of a body, in UTF-16 code units. With more of a hostile page the memory and the time of a call would not do. */
const TEXT_CHARS_MAX = 1_000_000;
const TITLE_CHARS_MAX = 300;

/**
 * A page: some lines about it, then its text between marks. HTML becomes Markdown (or plain text), other text stays as it is, what is
 * no text is named. Lines and not JSON, as in the reference: a page as one JSON string is harder to read and a fifth longer.
 */
export function fetchPage(args: FetchArgs, host: WebHost): string {
  const response = host.http.fetch({
    method: "get",
    url: args.url,
    headers: REQUEST_HEADERS,
    body: "",
    secrets: [],
  });
  if (response.status < 200 || response.status > 299) {
    throw new ToolFailure(
      "tool_failed",
      `${response.url} answered ${response.status}${toExcerpt(response)}`,
    );
  }
  const format = args.output_format ?? "auto";
  const head = toHead(response);
  if (format === "metadata_only") {
    return [...head, "Body: not asked for"].join("\n");
  }
  if (response.charset === "") {
    return [...head, "Body: not shown, it is no text"].join("\n");
  }
  const start = args.start_char ?? 0;
  const room = Math.min(args.max_body_chars ?? BODY_CHARS, BODY_BYTES_MAX);
  const page = toText(response, format, start + room);
  const { text, next } = toPart(page, start, room);
  if (next !== undefined) {
    head.push(
      `Part: characters ${start} to ${next}; go on with start_char ${next}`,
    );
  } else if (response.truncated || response.text.length > TEXT_CHARS_MAX) {
    head.push("Part: the end; the server had more than is read");
  }
  const title = page.title === "" ? "" : `Title: ${toLine(page.title, TITLE_CHARS_MAX)}\n\n`;
  return `${head.join("\n")}\n${toFenced("page", title + (text === "" ? "(no text)" : text), host.random)}`;
}

function toHead(
  { status, url, contentType, charset, bytes, truncated }: HttpResponse,
): string[] {
  const type = toType(contentType) || "unknown";
  const size = `${truncated ? "the first " : ""}${plural(bytes, "byte")}`;
  return [
    `URL: ${toLine(url, 8_192)}`,
    `Status: ${status}`,
    `Type: ${type}${charset === "" ? "" : ` (${charset})`}, ${size}`,
  ];
}

interface Text {
  readonly title: string;
  readonly text: string;
  /** There is more than `text`. */
  readonly isCut: boolean;
}

/** At least `charsMax` characters of what the format makes of the body, or all of it. */
function toText(
  response: HttpResponse,
  format: FetchArgs["output_format"],
  charsMax: number,
): Text {
  const body = response.text.slice(0, TEXT_CHARS_MAX);
  if (format === "raw" || !isHtml(response)) {
    return { title: "", text: toVisible(body), isCut: false };
  }
  const page = toPage(body, {
    url: response.url,
    charsMax,
    isPlain: format === "text",
  });
  return { ...page, text: toVisible(page.text) };
}

/** What there is room for from `start` on, to the end of a line where one is near, and where to go on. */
function toPart(page: Text, start: number, room: number): { readonly text: string; readonly next?: number } {
  if (start > 0 && start >= page.text.length) {
    const message = `start_char ${start} is past the end: the text has ${page.text.length} characters`;
    throw new ToolFailure("tool_args_invalid", message);
  }
  const rest = page.text.slice(start);
  const cut = cutToBytes(rest.slice(0, room), BODY_BYTES_MAX);
  if (cut.length === rest.length && !page.isCut) return { text: rest };
  const line = cut.lastIndexOf("\n") + 1;
  const text = line > cut.length * 0.8 ? cut.slice(0, line) : cut;
  return { text: text.trimEnd(), next: start + text.length };
}
