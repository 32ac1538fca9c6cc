import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of file_read. */
export const FileReadArgs = z.strictObject({
  path: pathArg("File to read, e.g. /shared/notes.txt"),
  start_line: z.int().min(1).max(100_000_000).optional().describe("First line to return, counting from 1. Default 1."),
  line_count: z.int().min(1).max(100_000_000).optional().describe("How many lines to return. Default: to the end."),
});
export type FileReadArgs = z.infer<typeof FileReadArgs>;

/** Reads one text file, or a range of its lines. */
export const fileRead = defineTool<FileReadArgs>({
  name: "file_read",
  description: "Read a text file below /shared, /tmp or /vault. Returns its text exactly as it is. " +
    "When only a part is returned (a range, or a long file), a first line in brackets says which lines of how many " +
    "and the start_line to go on with.",
  args: FileReadArgs,
  effect: "read_only",
  timeoutMs: 10_000,
  needs: (args) => [
    { kind: "fs.read", path: normalizeVirtualPath(args.path), scope: "file", bytesMax: LIMITS.fileBytesMax },
  ],
  run: { component: "files" },
});
