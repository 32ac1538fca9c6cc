import { type Spelling, toPlainSpellings, toSpellings } from "#/lib/spelling.ts";
import { type Unescaped, unescapeOnce } from "#/lib/unescape.ts";

/** Takes known values out of texts. */
export interface KnownScrubber {
  scrub(text: string): string;
  /** The same for a text that comes in pieces: what `push` and `end` give, joined, is what `scrub` gives for the whole. */
  stream(): { push(chunk: string): string; end(): string };
}

/** Where a value was found. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly mark: string;
}

/** One spelling of one value. */
interface Needle {
  readonly units: Spelling;
  readonly mark: string;
}

/** Layers of escapes that are undone: JSON in JSON, a URL in JSON, and one more for a value that looks escaped itself. */
const LAYERS = 3;
/** Characters of a spelling that are hashed. All spellings of a secret of eight characters have more. */
const WINDOW_MAX = 4;
/** A table of 64 KiB: few false alarms with hundreds of spellings. */
const HASH_BITS = 16;

/**
 * Replaces every occurrence of each secret with `[REDACTED:<name>]`, and of each plain value with its mark. Found are values as they
 * are, under up to two layers of escapes (percent, backslash, HTML, line breaks), and secrets also in base64 and hex. Overlapping
 * finds are replaced as one, by the mark of the longest. In time linear in the text. Throws RangeError for an empty value.
 */
export function toKnownScrubber(
  secrets: readonly { readonly name: string; readonly value: string }[],
  plain: readonly { readonly value: string; readonly mark: string }[] = [],
): KnownScrubber {
  const needles = [
    ...secrets.flatMap(({ name, value }) => toSpellings(value).map((units) => ({ units, mark: `[REDACTED:${name}]` }))),
    ...plain.flatMap(({ value, mark }) => toPlainSpellings(value).map((units) => ({ units, mark }))),
  ];
  if ([...secrets, ...plain].some(({ value }) => value === "")) throw new RangeError("an empty value is everywhere");
  if (needles.length === 0) return { scrub: (text) => text, stream: () => ({ push: (chunk) => chunk, end: () => "" }) };
  const finder = new Finder(needles);
  return {
    scrub: (text) => replace(text, findAll(finder, text, "whole").spans),
    stream() {
      let rest = "";
      return {
        push(chunk) {
          const text = rest + chunk;
          const { spans, openAt } = findAll(finder, text, "begun");
          rest = text.slice(openAt);
          return replace(text.slice(0, openAt), spans.filter((span) => span.end <= openAt));
        },
        end() {
          const last = replace(rest, findAll(finder, rest, "whole").spans);
          rest = "";
          return last;
        },
      };
    },
  };
}

/** Every find in every layer; of a text that was only begun, also from where on more text could change them. */
function findAll(finder: Finder, text: string, kind: "whole" | "begun"): { spans: Span[]; openAt: number } {
  const layers: Unescaped[] = [];
  const startOf = (index: number) => layers.reduceRight((at, layer) => layer.startOf(at), index);
  const endOf = (index: number) => layers.reduceRight((at, layer) => layer.endOf(at), index);
  const spans: Span[] = [];
  let [current, openAt] = [text, text.length];
  while (true) {
    const found = finder.find(current, kind);
    for (const { start, end, mark } of found.spans) spans.push({ start: startOf(start), end: endOf(end), mark });
    openAt = Math.min(openAt, startOf(found.openAt));
    if (layers.length === LAYERS) break;
    const layer = unescapeOnce(current);
    openAt = Math.min(openAt, startOf(layer.openAt));
    // What may still change is not read any further.
    const next = kind === "whole" ? layer.text : layer.stable;
    if (next === current) break;
    layers.push(layer);
    current = next;
  }
  return { spans, openAt: kind === "whole" ? text.length : toCut(openAt, spans, layers) };
}

/** The last place up to `openAt` that lies in no find and in no escape of any layer. */
function toCut(openAt: number, spans: readonly Span[], layers: readonly Unescaped[]): number {
  let [cut, before] = [openAt, -1];
  while (cut !== before) {
    before = cut;
    for (const { start, end } of spans) if (start < cut && cut < end) cut = start;
    let place = cut;
    for (const [depth, layer] of layers.entries()) {
      const floor = layer.floor(place);
      if (floor < place) cut = layers.slice(0, depth).reduceRight((at, { startOf }) => startOf(at), floor);
      place = layer.indexOf(floor);
    }
  }
  return cut;
}

/** The text with its finds replaced. */
function replace(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  const sorted = [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
  const parts: string[] = [];
  let readTo = 0;
  for (let index = 0; index < sorted.length;) {
    const { start } = sorted[index]!;
    let longest = sorted[index]!;
    let { end } = longest;
    for (; index < sorted.length && sorted[index]!.start < end; index++) {
      const span = sorted[index]!;
      if (span.end - span.start > longest.end - longest.start) longest = span;
      end = Math.max(end, span.end);
    }
    parts.push(text.slice(readTo, start), longest.mark);
    readTo = end;
  }
  return parts.join("") + text.slice(readTo);
}

/** Finds spellings in one text. A hash of the last few characters says where a spelling may begin; only there it is compared. */
class Finder {
  readonly #needles: readonly Needle[];
  /** Characters that the hash covers. */
  readonly #window: number;
  readonly #shift: number;
  readonly #mask: number;
  readonly #seen: Uint8Array;
  readonly #byHash = new Map<number, Needle[]>();

  constructor(needles: readonly Needle[]) {
    this.#needles = needles;
    this.#window = Math.min(WINDOW_MAX, ...needles.map(({ units }) => units.length));
    this.#shift = Math.ceil(HASH_BITS / this.#window);
    this.#mask = 2 ** (this.#shift * this.#window) - 1;
    this.#seen = new Uint8Array(this.#mask + 1);
    for (const needle of needles) {
      for (const hash of this.#hashes(needle)) {
        this.#seen[hash] = 1;
        this.#byHash.set(hash, [...this.#byHash.get(hash) ?? [], needle]);
      }
    }
  }

  /** The finds, and in a text that was only begun the first place from where a spelling goes on beyond the end. */
  find(text: string, kind: "whole" | "begun"): { spans: Span[]; openAt: number } {
    const spans: Span[] = [];
    const [seen, shift, mask, before] = [this.#seen, this.#shift, this.#mask, this.#window - 1];
    let [hash, openAt] = [0, text.length];
    for (let at = 0; at < text.length; at++) {
      hash = ((hash << shift) ^ text.charCodeAt(at)) & mask;
      if (seen[hash] === 0 || at < before) continue;
      const start = at - before;
      for (const { units, mark } of this.#byHash.get(hash)!) {
        const length = agreement(units, text, start);
        if (length === units.length) spans.push({ start, end: start + length, mark });
        else if (start + length === text.length) openAt = Math.min(openAt, start);
      }
    }
    // A start too short for the hash.
    for (let start = Math.max(0, text.length - before); kind === "begun" && start < openAt; start++) {
      if (this.#needles.some(({ units }) => agreement(units, text, start) === text.length - start)) openAt = start;
    }
    return { spans, openAt };
  }

  #hashes({ units }: Needle): Set<number> {
    let hashes = new Set([0]);
    for (const unit of units.slice(0, this.#window)) {
      hashes = new Set(
        [...hashes].flatMap((hash) =>
          unit.split("").map((char) => ((hash << this.#shift) ^ char.charCodeAt(0)) & this.#mask)
        ),
      );
    }
    return hashes;
  }
}

/** How many characters of the text, from `start` on, agree with the spelling. */
function agreement(units: Spelling, text: string, start: number): number {
  let length = 0;
  while (length < units.length && start + length < text.length && units[length]!.includes(text[start + length]!)) {
    length++;
  }
  return length;
}
