/**
 * One text for one JSON value: object members sorted by name (UTF-16 code units), no blanks, members that are undefined left out
 * (RFC 8785 §3.2 for what `JSON.parse` can give). Recursive: the caller has bounded the nesting. Throws TypeError for what JSON
 * cannot say (a function, a bigint, NaN, undefined at the top).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((entry) => canonicalJson(entry ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) return canonicalObject(value as Record<string, unknown>);
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`);
  return text;
}

function canonicalObject(value: Record<string, unknown>): string {
  const names = Object.keys(value).filter((name) => value[name] !== undefined).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(",")}}`;
}
