import { ToolFailure } from "../sdk/execute.ts";
import type { FilesHost } from "../sdk/host.ts";
import { cutToBytes, OUTPUT_BYTES_MAX, plural, utf8Bytes } from "../sdk/text.ts";
import { toCanonicalPath, toLineStarts } from "./text.ts";

/** Arguments of file_read, parsed by the host. */
export interface ReadArgs {
  readonly path: string;
  readonly start_line?: number;
  readonly line_count?: number;
}

/**
 * The text of a file, exactly. A header line in brackets comes first only when not the whole file follows: which lines, of how
 * many, and the `start_line` to go on with.
 */
export function readFile(args: ReadArgs, host: FilesHost): string {
  const path = toCanonicalPath(args.path);
  const { text, bytes } = host.read.readText(path);
  if (text === "") return `[${path} is empty]`;
  if (
    args.start_line === undefined && args.line_count === undefined &&
    bytes <= OUTPUT_BYTES_MAX
  ) return text;
  const starts = toLineStarts(text);
  const total = starts.length;
  const first = args.start_line ?? 1;
  if (first > total) {
    throw new ToolFailure(
      "tool_args_invalid",
      `start_line ${first} is past the end: ${path} has ${plural(total, "line")}`,
    );
  }
  const wanted = Math.min(total, first - 1 + (args.line_count ?? total));
  const last = lastLineWithin(text, starts, first, wanted);
  if (last < first) return cutLine(path, text, starts, first);
  const body = text.slice(starts[first - 1], starts[last] ?? text.length);
  if (first === 1 && last === total) return body;
  const rest = last < total ? `; go on with start_line ${last + 1}` : "";
  return `[${path}: ${toLineRange(first, last)} of ${total}${rest}]\n${body}`;
}

/** The last of the lines `first`…`wanted` that fits into the output; `first - 1` when not even the first does. */
function lastLineWithin(
  text: string,
  starts: readonly number[],
  first: number,
  wanted: number,
): number {
  let bytes = 0;
  let last = first - 1;
  while (last < wanted) {
    bytes += utf8Bytes(
      text.slice(starts[last], starts[last + 1] ?? text.length),
    );
    if (bytes > OUTPUT_BYTES_MAX) break;
    last++;
  }
  return last;
}

/** One line that alone is longer than an output. */
function cutLine(
  path: string,
  text: string,
  starts: readonly number[],
  line: number,
): string {
  const whole = text.slice(starts[line - 1], starts[line] ?? text.length);
  const cut = cutToBytes(whole, OUTPUT_BYTES_MAX);
  const rest = line < starts.length ? `; go on with start_line ${line + 1}` : "";
  return `[${path}: the start of line ${line} of ${starts.length}, ${cut.length} of ${whole.length} characters; ` +
    `file_search finds text further on in it${rest}]\n${cut}`;
}

function toLineRange(first: number, last: number): string {
  return first === last ? `line ${first}` : `lines ${first}-${last}`;
}
