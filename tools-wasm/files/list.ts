import type { FilesHost, HostEntry } from "../sdk/host.ts";
import { OUTPUT_BYTES_MAX, plural, utf8Bytes } from "../sdk/text.ts";
import { toCanonicalPath } from "./text.ts";

/** Arguments of file_list, parsed by the host. */
export interface ListArgs {
  readonly path?: string;
  readonly recursive?: boolean;
}

/** One entry a line, folders with a slash at the end, files with their size; then how many there are. */
export function listFiles(args: ListArgs, host: FilesHost): string {
  const path = toCanonicalPath(args.path ?? "/shared");
  const { entries, truncated } = host.read.list(path, args.recursive ?? false);
  if (entries.length === 0) return `[${path} is empty]`;
  const lines: string[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const line = toLine(entry);
    bytes += utf8Bytes(line) + 1;
    if (bytes > OUTPUT_BYTES_MAX) break;
    lines.push(line);
  }
  const hidden = entries.length - lines.length;
  const more = truncated ? "; there are more than the host lists: list a folder below" : "";
  const cut = hidden > 0 ? `; ${hidden} not shown: list a folder below, or use file_search with a glob` : "";
  lines.push(`[${plural(entries.length, "entry", "entries")}${cut}${more}]`);
  return lines.join("\n");
}

function toLine(entry: HostEntry): string {
  if (entry.kind === "dir") return `${entry.path}/`;
  if (entry.kind === "file") {
    return `${entry.path} (${plural(entry.bytes, "byte")})`;
  }
  return `${entry.path} (not a regular file)`;
}
