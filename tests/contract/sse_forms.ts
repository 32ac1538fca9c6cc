/** The same events in every form that the event stream format allows (WHATWG HTML §9.2.6), and a few that vendors' proxies make. */
import type { SseEvent } from "../fake/dialect.ts";

/** One way to write a stream. */
export interface SseForm {
  readonly name: string;
  write(events: readonly SseEvent[]): string;
}

type Newline = "\n" | "\r\n" | "\r";

/** One event, its blank line included. */
export function toSse({ event, data }: SseEvent, newline: Newline = "\n"): string {
  const head = event === undefined ? "" : `event: ${event}${newline}`;
  return `${head}data: ${data}${newline}${newline}`;
}

/** Joins events that are written one by one. */
function eachAs(write: (event: SseEvent, at: number) => string): SseForm["write"] {
  return (events) => events.map(write).join("");
}

const plain = eachAs((event) => toSse(event));

/** Every form; whatever the form, the events mean the same. */
export const SSE_FORMS: readonly SseForm[] = [
  { name: "LF", write: plain },
  { name: "CRLF", write: eachAs((event) => toSse(event, "\r\n")) },
  { name: "CR", write: eachAs((event) => toSse(event, "\r")) },
  { name: "a byte order mark", write: (events) => `\ufeff${plain(events)}` },
  { name: "comments and pings", write: eachAs((event) => `: ping\n\n:\n${toSse(event)}:keep-alive\n`) },
  { name: "id and retry lines", write: eachAs((event, at) => `id: ${at}\nretry: 3000\nx-unknown: 1\n${toSse(event)}`) },
  { name: "no blank after the colon", write: eachAs((event) => toSse(event).replaceAll(/^(\w+): /gm, "$1:")) },
  { name: "JSON over several data lines", write: eachAs((event) => toSse({ ...event, data: spread(event.data) })) },
  { name: "many blank lines", write: eachAs((event) => `\n\n${toSse(event)}\n`) },
  { name: "no blank line at the end", write: (events) => plain(events).trimEnd() },
  { name: "one line end at the end", write: (events) => `${plain(events).trimEnd()}\n` },
  { name: "text written as \\u escapes", write: eachAs((event) => toSse({ ...event, data: escape(event.data) })) },
  {
    name: "events that nobody knows",
    write: eachAs((event) =>
      toSse({ event: "vendor.news", data: '{"type":"vendor.news","at":1,"text":"unseen"}' }) + toSse(event)
    ),
  },
  { name: "[DONE] missing", write: (events) => plain(events.filter(({ data }) => data !== "[DONE]")) },
  { name: "more behind [DONE]", write: (events) => plain(events) + (isMarked(events) ? "data: {broken\n\n" : "") },
];

function isMarked(events: readonly SseEvent[]): boolean {
  return events.at(-1)?.data === "[DONE]";
}

/** JSON with line ends between its parts, each line with a `data:` of its own. */
function spread(data: string): string {
  return data.startsWith("{") ? JSON.stringify(JSON.parse(data), null, 1).replaceAll("\n", "\ndata: ") : data;
}

function escape(data: string): string {
  return data.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
