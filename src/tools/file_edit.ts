import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg, textArg } from "#/tools/path_arg.ts";

/** Arguments of file_edit. */
export const FileEditArgs = z.strictObject({
  path: pathArg("File to edit, e.g. /shared/report.md"),
  old_text: textArg("Exact text to replace, white space included. It must occur once unless replace_all is true.")
    .min(1),
  new_text: textArg("What to put in its place; empty to remove it."),
  replace_all: z.boolean().optional().describe("Replace every occurrence. Default false."),
});
export type FileEditArgs = z.infer<typeof FileEditArgs>;

/** Replaces a snippet of a text file. */
export const fileEdit = defineTool<FileEditArgs>({
  name: "file_edit",
  description:
    "Replace an exact snippet of a text file below /shared or /tmp. Refuses a snippet that is missing or that " +
    "occurs more than once, and says where; nothing is written then. Read the file first.",
  args: FileEditArgs,
  effect: "side_effecting",
  timeoutMs: 10_000,
  needs(args) {
    const path = normalizeVirtualPath(args.path);
    return [
      { kind: "fs.read", path, scope: "file", bytesMax: LIMITS.fileBytesMax },
      { kind: "fs.write", path, mode: "write", bytesMax: LIMITS.fileBytesMax },
    ];
  },
  run: { component: "files" },
});
