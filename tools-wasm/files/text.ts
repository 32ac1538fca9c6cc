/** A virtual path in the form that grants are written in: one slash between names, none at the end. */
export function toCanonicalPath(path: string): string {
  return path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}

/** Start offset of each line; a last line feed ends the last line and starts none. `[]` for an empty text. */
export function toLineStarts(text: string): number[] {
  const starts: number[] = [];
  for (let at = 0; at < text.length;) {
    starts.push(at);
    const feed = text.indexOf("\n", at);
    if (feed < 0) break;
    at = feed + 1;
  }
  return starts;
}

/** 1-based line of an offset, by counting from a known place: `from` is an offset on line `line`. */
export function countLines(
  text: string,
  from: number,
  line: number,
  to: number,
): number {
  for (
    let feed = text.indexOf("\n", from);
    feed >= 0 && feed < to;
    feed = text.indexOf("\n", feed + 1)
  ) line++;
  return line;
}
