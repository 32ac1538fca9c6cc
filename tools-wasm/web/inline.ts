import { readAttributes } from "./html.ts";

// deno-lint-ignore no-control-regex -- control characters are what it finds
const UNTIDY = /[\0-\x1f\x7f]| {2}/;
// deno-lint-ignore no-control-regex -- control characters are what it removes
const CONTROL = /[\0-\x08\x0b\x0e-\x1f\x7f]+/g;

/** White space as one blank, control characters gone. */
export function collapse(text: string): string {
  // Most texts are tidy, and a replacement costs ten times a search.
  if (!UNTIDY.test(text)) return text;
  return inSlices(text, (slice) => slice.replace(/[\t\n\f\r ]+/g, " ").replace(CONTROL, ""));
}

/** Single blanks, and lines that hold something. */
export function toTidy(text: string): string {
  const single = text.includes("  ") ? inSlices(text, (slice) => slice.replace(/ +/g, " ")) : text;
  if (!single.includes("\n")) return single.trim();
  return single.split("\n").map((line) => line.trim()).filter((line) => line !== "").join("\n");
}

/** Changes a text slice by slice: `replace` of QuickJS keeps every match until it is done, and a page can be all matches. */
export function inSlices(text: string, change: (slice: string) => string): string {
  if (text.length <= SLICE_CHARS) return change(text);
  let out = "";
  for (let at = 0; at < text.length; at += SLICE_CHARS) out += change(text.slice(at, at + SLICE_CHARS));
  return out;
}

const SLICE_CHARS = 65_536;

/** Text between two signs; between as many backticks as it takes. */
export function toMarked(sign: string, text: string): string {
  if (sign !== "`") return sign + text + sign;
  const ticks = longestTicks(text);
  if (ticks === 0) return `\`${text}\``;
  const fence = "`".repeat(ticks + 1);
  return `${fence} ${text} ${fence}`;
}

/** The longest run of backticks. */
export function longestTicks(text: string): number {
  return (text.match(/`+/g) ?? []).reduce(
    (most, run) => Math.max(most, run.length),
    0,
  );
}

/** Language of a code element, from its class (`language-js`). */
export function toLanguage(tag: string): string {
  return /\b(?:language|lang|highlight-source)-([\w+#-]{1,32})/i.exec(
    readAttributes(tag).get("class") ?? "",
  )?.[1] ?? "";
}
