import { readAttributes } from "./html.ts";

// deno-lint-ignore no-control-regex -- control characters are what it finds
const UNTIDY = /[\0-\x1f\x7f]| {2}/;
// deno-lint-ignore no-control-regex -- control characters are what it removes
const CONTROL = /[\0-\x08\x0b\x0e-\x1f\x7f]+/g;

/** White space as one blank, control characters gone. */
export function collapse(text: string): string {
  // Most texts are tidy, and a replacement costs ten times a search.
  if (!UNTIDY.test(text)) return text;
  return text.replace(/[\t\n\f\r ]+/g, " ").replace(CONTROL, "");
}

/** Single blanks and line ends. Runs go first: an expression for blanks around a line end would walk each run once per blank. */
export function toTidy(text: string): string {
  const single = text.includes("  ") ? text.replace(/ +/g, " ") : text;
  return (single.includes("\n") ? single.replace(/ ?\n ?/g, "\n").replace(/\n+/g, "\n") : single).trim();
}

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
