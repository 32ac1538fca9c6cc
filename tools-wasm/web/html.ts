import { decodeEntities } from "./entities.ts";

/** What a reader of a page is told, in order. Text has its character references decoded, white space as in the source. */
export interface HtmlSink {
  /** `tag` is the inside of the tag, for `readAttributes`; name in lower case. A void element is never closed. */
  open(name: string, tag: string): void;
  close(name: string): void;
  text(text: string): void;
  /** True ends the reading: the sink has what it wants. */
  readonly isFull: boolean;
}

/** Attributes are read from this much of a tag, in UTF-16 code units; what comes later is not looked at. */
const TAG_CHARS_MAX = 16_384;
/** Their content is text for a program, or nothing that can be read. It is passed over up to the end tag. */
const RAW = new Set([
  "script",
  "style",
  "iframe",
  "noembed",
  "noframes",
  "textarea",
  "xmp",
  "title",
  "noscript",
]);

/**
 * Reads HTML in one pass: tags, and the text between them. Linear in the length of any input, and no recursion: every search goes
 * on from where the last one ended, and what never closes (a comment, a quote, a script) takes the rest with it, as it does in a
 * browser (WHATWG HTML, §13.2.5). The text of `title` is given to the sink, other raw text is dropped.
 */
export function readHtml(html: string, sink: HtmlSink): void {
  for (let at = 0; at < html.length && !sink.isFull;) {
    const less = html.indexOf("<", at);
    if (less < 0) return sink.text(decodeEntities(html.slice(at)));
    const next = html.charCodeAt(less + 1);
    const isEnd = next === 0x2f;
    const isTag = isLetter(isEnd ? html.charCodeAt(less + 2) : next);
    if (!isTag && !isEnd && next !== 0x21 && next !== 0x3f) {
      // A sign of its own. The run of them is taken at once: each would cost a call.
      const end = endOfRun(html, less);
      sink.text(decodeEntities(html.slice(at, end)));
      at = end;
      continue;
    }
    if (less > at) sink.text(decodeEntities(html.slice(at, less)));
    if (isTag) at = readTag(html, less, isEnd, sink);
    else {at = afterMarker(
        html,
        html.startsWith("<!--", less) ? "-->" : ">",
        less + 2,
      );}
  }
}

/** Value of each attribute by its name in lower case, references decoded; the first of a name counts. */
export function readAttributes(tag: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const start = tag.slice(0, TAG_CHARS_MAX);
  ATTRIBUTE.lastIndex = 0;
  for (let match = ATTRIBUTE.exec(start); match !== null; match = ATTRIBUTE.exec(start)) {
    const name = match[1]!.toLowerCase();
    if (!found.has(name)) {
      found.set(
        name,
        decodeEntities(match[2] ?? match[3] ?? match[4] ?? "", true),
      );
    }
  }
  return found;
}

const NAME = /^[^\s/]*/;
const ATTRIBUTE = /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;

/** Tells the sink of one tag; where to go on. */
function readTag(
  html: string,
  less: number,
  isEnd: boolean,
  sink: HtmlSink,
): number {
  const end = endOfTag(html, less + 1);
  if (end < 0) return html.length;
  const tag = html.slice(less + (isEnd ? 2 : 1), end);
  const name = NAME.exec(tag)![0].toLowerCase();
  if (isEnd) sink.close(name);
  else sink.open(name, tag.slice(name.length));
  if (isEnd || !RAW.has(name)) return end + 1;
  const closing = new RegExp(`</${name}(?=[\\s/>]|$)`, "gi");
  closing.lastIndex = end + 1;
  const close = closing.exec(html)?.index ?? html.length;
  if (name === "title") sink.text(decodeEntities(html.slice(end + 1, close)));
  return close;
}

/** Tags of ordinary length with quotes in pairs are checked by one expression, which is several times as fast as a walk. */
const PAIRED = /^[^"']*(?:=\s*(?:"[^"]*"|'[^']*')[^"']*)*$/;
const PAIRED_CHARS_MAX = 1_024;

/** The `>` of a tag: not one inside of a quoted value. -1 when the input ends before. */
function endOfTag(html: string, from: number): number {
  const first = html.indexOf(">", from);
  if (
    first < 0 ||
    first - from <= PAIRED_CHARS_MAX && PAIRED.test(html.slice(from, first))
  ) return first;
  const stop = /[>"']/g;
  for (let at = from;;) {
    stop.lastIndex = at;
    const found = stop.exec(html);
    if (found === null) return -1;
    if (found[0] === ">") return found.index;
    at = found.index + 1;
    if (!opensValue(html, found.index)) continue;
    const close = html.indexOf(found[0], at);
    if (close < 0) return -1;
    at = close + 1;
  }
}

/** A quote opens a value only behind `=`; elsewhere it is part of a name. */
function opensValue(html: string, quote: number): boolean {
  let at = quote - 1;
  // A blank or two stand there; a long run is not worth a walk back.
  for (let steps = 0; steps < 8 && /\s/.test(html[at]!); steps++) at--;
  return html[at] === "=";
}

function afterMarker(html: string, marker: string, from: number): number {
  const found = html.indexOf(marker, from);
  return found < 0 ? html.length : found + marker.length;
}

function endOfRun(html: string, less: number): number {
  let end = less + 1;
  while (html.charCodeAt(end) === 0x3c && html.charCodeAt(end + 1) === 0x3c) {
    end++;
  }
  return end;
}

function isLetter(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a);
}
