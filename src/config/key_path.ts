/** One step of a key path: a table's key or a list's index. */
export type Segment = string | number;

/**
 * A key path as a person writes it in TOML: `mcp.servers[0].name`, `users."a b"`. Keys that are not bare are quoted as JSON, so
 * that two different paths never have the same text.
 */
export function toKeyPath(segments: readonly Segment[]): string {
  let text = "";
  for (const segment of segments) {
    if (typeof segment === "number") text += `[${segment}]`;
    else text += (text === "" ? "" : ".") + (/^[A-Za-z0-9_-]+$/.test(segment) ? segment : JSON.stringify(segment));
  }
  return text;
}
