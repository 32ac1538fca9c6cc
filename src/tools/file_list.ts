import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of file_list. */
export const FileListArgs = z.strictObject({
  path: pathArg("Folder to list. Default /shared.").optional(),
  recursive: z.boolean().optional().describe("Also list what is in its folders. Default false."),
});
export type FileListArgs = z.infer<typeof FileListArgs>;

/** Lists a folder, or a tree. */
export const fileList = defineTool<FileListArgs>({
  name: "file_list",
  description:
    "List a folder below /shared, /tmp or /vault: one entry a line, folders with a slash at the end, files with " +
    "their size, then the count. To find files by name or text in a big tree use file_search.",
  args: FileListArgs,
  effect: "read_only",
  timeoutMs: 10_000,
  needs: (args) => [{
    kind: "fs.list",
    path: normalizeVirtualPath(args.path ?? "/shared"),
    scope: args.recursive === true ? "tree" : "dir",
    entriesMax: LIMITS.listEntriesMax,
  }],
  run: { component: "files" },
});
