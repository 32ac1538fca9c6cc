import { ToolFailure } from "../sdk/execute.ts";
import type { FilesHost } from "../sdk/host.ts";
import { plural } from "../sdk/text.ts";
import { countLines, toCanonicalPath } from "./text.ts";

/** Arguments of file_edit, parsed by the host. */
export interface EditArgs {
  readonly path: string;
  readonly old_text: string;
  readonly new_text: string;
  readonly replace_all?: boolean;
}

/** Line numbers named in one message. */
const NAMED_LINES_MAX = 10;

/** Replaces a snippet. Refuses one that is missing or ambiguous; the write fails when the file changed since it was read. */
export function editFile(args: EditArgs, host: FilesHost): string {
  const path = toCanonicalPath(args.path);
  if (args.old_text === args.new_text) {
    throw new ToolFailure(
      "tool_args_invalid",
      "old_text and new_text are the same: nothing to change",
    );
  }
  const { text, bytes, sha256 } = host.read.readText(path);
  const snippet = toFileLineEnds(text, args);
  const found = findAll(text, snippet.old_text);
  if (found.length === 0) {
    throw new ToolFailure("tool_failed", toMissing(path, text, args.old_text));
  }
  const lines = toLines(text, found);
  if (found.length > 1 && args.replace_all !== true) {
    throw new ToolFailure(
      "tool_failed",
      `old_text occurs ${found.length} times in ${path}, at lines ${nameLines(lines)}: ` +
        "add lines around it until it is unique, or set replace_all",
    );
  }
  const edited = text.split(snippet.old_text).join(snippet.new_text);
  const written = host.write.writeText(path, edited, sha256);
  const where = `${found.length === 1 ? "line" : "lines"} ${nameLines(lines)}`;
  return `Edited ${path}: ${
    plural(found.length, "replacement")
  } at ${where} (${bytes} bytes before, ${written.bytes} after).`;
}

/** A model writes line feeds: in a file with CRLF the snippet is meant with CRLF, unless it occurs as it is. */
function toFileLineEnds(
  text: string,
  args: EditArgs,
): Pick<EditArgs, "old_text" | "new_text"> {
  if (!args.old_text.includes("\n") && !args.new_text.includes("\n")) {
    return args;
  }
  if (
    !text.includes("\r\n") || args.old_text.includes("\r") ||
    /[^\r]\n/.test(text)
  ) return args;
  const toCrlf = (part: string) => part.replace(/\r?\n/g, "\r\n");
  return { old_text: toCrlf(args.old_text), new_text: toCrlf(args.new_text) };
}

function findAll(text: string, part: string): number[] {
  const found: number[] = [];
  for (
    let at = text.indexOf(part);
    at >= 0;
    at = text.indexOf(part, at + part.length)
  ) found.push(at);
  return found;
}

function toLines(text: string, offsets: readonly number[]): number[] {
  let line = 1;
  let from = 0;
  return offsets.map((offset) => {
    line = countLines(text, from, line, offset);
    from = offset;
    return line;
  });
}

function nameLines(lines: readonly number[]): string {
  const rest = lines.length - NAMED_LINES_MAX;
  return lines.slice(0, NAMED_LINES_MAX).join(", ") +
    (rest > 0 ? ` and ${rest} more` : "");
}

/** Says where the snippet nearly is: lines that hold its first line when blanks at the ends do not count. */
function toMissing(path: string, text: string, oldText: string): string {
  const missing = `old_text is not in ${path}`;
  const first = oldText.split("\n").map((line) => line.trim()).find((line) => line !== "");
  if (first === undefined) return `${missing}: it is only white space`;
  const near = text.split("\n").flatMap((line, index) => line.includes(first) ? [index + 1] : []);
  if (near.length === 0) {
    return `${missing}, and no line holds its first line: read the file again`;
  }
  return `${missing} as written, but its first line is at ${near.length === 1 ? "line" : "lines"} ${
    nameLines(near)
  }: ` +
    "compare white space and the lines that follow (file_read with start_line)";
}
