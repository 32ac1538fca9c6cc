// C0 without tab and newline, DEL, C1, and the marks that reorder or hide text on a terminal (Trojan Source, CVE-2021-42574).
// deno-lint-ignore no-control-regex -- the control characters are what it looks for
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text from a model, a tool or a vendor as it may reach a terminal: newline and tab stay, every other control character is
 * shown as `\xNN` or `\uNNNN`, so that text cannot move the cursor, set the title, paint over a card or write the clipboard.
 */
export function toPrintable(text: string): string {
  return text.replace(UNSAFE, (char) => {
    const code = char.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** JSON that a terminal may show: what JSON itself leaves as it is (DEL, C1, marks that reorder) is written as `\uNNNN`, which means the same. */
export function toPrintableJson(value: unknown, indent?: number): string {
  // Outside of its texts JSON has no such character; the line breaks of `indent` are not among them.
  return JSON.stringify(value, null, indent).replace(
    UNSAFE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** One line of at most `charsMax` UTF-16 code units, for status lines. */
export function toOneLine(text: string, charsMax: number): string {
  const flat = toPrintable(text.replace(/\s+/g, " ").trim());
  return flat.length <= charsMax ? flat : `${flat.slice(0, charsMax - 1)}…`;
}
