import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of file_search. */
export const FileSearchArgs = z.strictObject({
  pattern: z.string().min(1).max(1_000).describe("Text to find, literally unless regex is true."),
  path: pathArg("Folder or file to search. Default /shared.").optional(),
  regex: z.boolean().optional().describe(
    "Take pattern as a JavaScript regular expression; ^ and $ match at each line's ends. Default false.",
  ),
  glob: z.string().min(1).max(LIMITS.pathBytesMax).optional().describe(
    "Only files like this, e.g. *.md or src/**/*.ts",
  ),
  case_sensitive: z.boolean().optional().describe("Default true."),
  max_results: z.int().min(1).max(1_000).optional().describe("Stop after this many matching lines. Default 100."),
  context: z.int().min(0).max(10).optional().describe("Lines to show before and after each match. Default 0."),
});
export type FileSearchArgs = z.infer<typeof FileSearchArgs>;

/** Searches the text files of a tree. */
export const fileSearch = defineTool<FileSearchArgs>({
  name: "file_search",
  description: "Search the text files below a folder of /shared, /tmp or /vault. Returns each matching line as " +
    "path:line: text (a long line is cut around the match), then how many lines and files matched, and which limit " +
    "ended the search, if one did.",
  args: FileSearchArgs,
  effect: "read_only",
  timeoutMs: 30_000,
  needs: (args) => [{
    kind: "fs.read",
    path: normalizeVirtualPath(args.path ?? "/shared"),
    scope: "tree",
    bytesMax: LIMITS.searchBytesMax,
  }],
  run: { component: "files" },
});
