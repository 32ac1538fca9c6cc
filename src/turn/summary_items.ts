import { LIMITS } from "#/core/limits.ts";
import { SPOKEN_MARKERS } from "#/turn/commitment.ts";

/** Who said it, the most important first. */
export const SPEAKERS = ["person", "notes", "assistant", "call", "result"] as const;
/** One of them. */
export type Speaker = typeof SPEAKERS[number];

/** A text of the replaced part. `notes` are the former summary, `call` the arguments of a tool call, `result` what a tool gave back. */
export interface Said {
  readonly by: Speaker;
  readonly text: string;
  /** What is announced here was done at once: it binds nobody later. */
  readonly isStep?: boolean;
}

/** Something that a summary must not lose. */
export interface Item {
  readonly by: Speaker;
  readonly kind: "reference" | "number" | "commitment";
  /** As it was written. */
  readonly text: string;
  /** The sentence that it stood in. */
  readonly line: string;
}

const WORD = String.raw`[\p{L}\p{N}_]`;
const UUID = String.raw`(?:[a-z]{2,12}-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}`;
const UNITS = [
  String
    .raw`%|‰|°[CF]?|[€$£¥₹]|[kMGTP]i?B|bytes?|tokens?|ms|secs?|seconds?|mins?|minutes?|h|hrs?|hours?|days?|weeks?|months?|years?`,
  "Sekunden?|Minuten?|Stunden?|Tagen?|Tage?|Wochen?|Monaten?|Monate?|Jahren?|Jahre?|Uhr|heures?|jours?|semaines?|mois|ans?|horas?|días?|semanas?",
  "meses|años?|mm|cm|km|g|kg|ml|kWh?|W|[kMG]?Hz|px|EUR|USD|GBP|CHF|JPY|euros?|dollars?|pounds?",
  "Jan(?:uary|uar)?|Feb(?:ruary|ruar)?|Mar(?:ch)?|März|Apr(?:il)?|May|Mai|June?|Juni|July?|Juli|Aug(?:ust)?|Sep(?:t(?:ember)?)?|O[ck]t(?:ober)?",
  "Nov(?:ember)?|De[cz](?:ember)?|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre",
  "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|[点时分秒日月年元円]",
].join("|");
const MONTHS = "(?:January|February|March|April|May|June|July|August|September|October|November|December)";

// Each repetition is bounded and each begins where a run of its characters begins: a hostile text of a megabyte costs what its length is.
/** In order of precedence: what a URL holds is no path, what a path holds is no number. */
const REFERENCES: readonly string[] = [
  String.raw`(?<!${WORD})[a-z][a-z0-9+.\-]{1,20}:\/\/[^\s<>"'\x60)\]}|]{1,2000}`,
  String.raw`(?<![\p{L}\p{N}._+%\-])[\p{L}\p{N}._+%\-]{1,64}@[\p{L}\p{N}\-]{1,63}(?:\.[\p{L}\p{N}\-]{1,63}){1,6}`,
  String.raw`(?<![\p{L}\p{N}_.\/])~?(?:\/[\p{L}\p{N}_@+~.\-]{1,255}){1,64}\/?`,
  String
    .raw`(?<![\p{L}\p{N}_@.\-\/])(?:[\p{L}\p{N}_@.\-]{1,128}\/){1,32}[\p{L}\p{N}_@\-]{1,128}(?:\.[\p{L}\p{N}_\-]{1,32}){0,4}\.[a-z][a-z0-9]{0,7}(?!${WORD})`,
  String.raw`(?<!${WORD})${UUID}(?!${WORD})`,
  String.raw`(?<!${WORD})(?=[0-9a-f]{0,128}[a-f])(?=[0-9a-f]{0,128}[0-9])[0-9a-f]{7,128}(?!${WORD})`,
];
const NUMBERS: readonly string[] = [
  String.raw`(?<!${WORD})${MONTHS}\s\d{1,2}(?:,?\s\d{4})?(?!${WORD})`,
  String
    .raw`(?<![\p{L}\p{N}_.,:\/’\-–])[+\-−]?(?:[€$£¥₹]\s?)?\d{1,40}(?:[.,:\/'’_\-–]\d{1,40}){0,8}(?:[ \u00a0]?(?:${UNITS})(?!${WORD}))?(?!\p{L})`,
];
const LATER_REFERENCES: readonly string[] = [
  String.raw`#\d{1,20}(?!${WORD})`,
  // A name with letters and digits, e.g. INV-2024-001, v1.2.3, A4.
  String
    .raw`(?<![\p{L}\p{N}_\-])(?=[\p{L}_.#\-]{0,64}\p{N})(?=[\p{N}_.#\-]{0,64}\p{L})[\p{L}\p{N}]{1,64}(?:[_.#\-][\p{L}\p{N}]{1,64}){0,12}`,
  String.raw`(?<![\p{L}\p{N}_.\-])[\p{L}\p{N}_\-]{2,128}(?:\.[\p{L}\p{N}_\-]{1,64}){0,4}\.[a-z]{2,5}(?!${WORD})`,
];
const ITEM = new RegExp(
  `(?<reference>${REFERENCES.join("|")})|(?<number>${NUMBERS.join("|")})|(?<later>${LATER_REFERENCES.join("|")})`,
  "giu",
);
const CODE = /`([^`\n]{2,120})`/g;
const SENTENCE_END = /(?<=[.!?…])\s+|(?<=[。！？])/u;

/**
 * What a text holds that a summary must not lose: URLs, e-mail addresses, virtual and relative paths, UUIDs, hashes, numbered names, file
 * names and what stands in backticks; numbers of two digits or more, or with a unit, a currency or a date around them; and commitments, the
 * sentences with a word of promise, duty or deadline (commitment.ts). It reads the first `summaryScanCharsMax` of a text. Of a tool's result only references count: its numbers and its sentences
 * bind nobody. A heuristic: it finds too much rather than too little. Pure.
 */
export function findItems({ by, text, isStep = false }: Said): Item[] {
  const items: Item[] = [];
  for (const line of text.slice(0, LIMITS.summaryScanCharsMax).split("\n")) {
    for (const sentence of line.split(SENTENCE_END)) {
      const said = sentence.replace(/^[\s>*#•\-]+(?!\d)/, "").trim();
      const base = { by, line: said };
      for (const match of said.matchAll(CODE)) items.push({ ...base, kind: "reference", text: match[1]!.trim() });
      for (const { 0: found, groups } of said.matchAll(ITEM)) {
        const item = found.replace(/[.,;:!?…\-–]+$/u, "").trim();
        const kind = groups!["number"] === undefined ? "reference" : "number";
        if (item.length < 2 || kind === "number" && (by === "result" || !tells(item))) continue;
        items.push({ ...base, kind, text: item });
      }
      if (by === "result" || by === "call" || isStep) continue;
      if (said.length > 5 && SPOKEN_MARKERS.test(said)) items.push({ ...base, kind: "commitment", text: said });
    }
  }
  return items;
}

/** A single digit alone counts things that are in the text anyway. */
function tells(number: string): boolean {
  return number.replace(/^[+\-−]/, "").length > 1;
}

/** A text as it is compared: without case, without how white space and thousands are written. Pure. */
export function toComparable(text: string): string {
  return text.normalize("NFC").toLowerCase().replaceAll(/(?<=\d)[,_'’](?=\d{3}(?!\d))/g, "").replaceAll(
    /[\s\u00a0]+/gu,
    " ",
  )
    .replaceAll(UNIT_GAP, "");
}

const UNIT_GAP = new RegExp(`(?<=\\d) (?=(?:${UNITS})(?!${WORD}))|(?<=[€$£¥₹]) (?=\\d)`, "giu");

/** What may stand around an item without making it part of a longer one. */
const BEFORE = /[\p{L}\p{N}_](?:[.,:\/@\-–]|:\/\/)?$|[\/~]$|(?:^|\s)[+\-−]$/u;
const AFTER = /^(?:[.,:\/@\-–]?[\p{L}\p{N}_]|\/)/u;

/** True when `text` holds the item whole: `/shared/a.txt` is not in `/shared/a.txt.bak`, nor 10 in 100. Both comparable. Pure. */
export function holdsWhole(text: string, item: string): boolean {
  for (let at = text.indexOf(item); at !== -1; at = text.indexOf(item, at + 1)) {
    const before = text.slice(Math.max(0, at - 4), at);
    const after = text.slice(at + item.length, at + item.length + 2);
    if (!BEFORE.test(before) && !AFTER.test(after)) return true;
  }
  return false;
}
