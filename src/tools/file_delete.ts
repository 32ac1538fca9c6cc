import { z } from "zod";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of file_delete. */
export const FileDeleteArgs = z.strictObject({ path: pathArg("File to delete, e.g. /tmp/draft.txt") });
export type FileDeleteArgs = z.infer<typeof FileDeleteArgs>;

/** Deletes one file. */
export const fileDelete = defineTool<FileDeleteArgs>({
  name: "file_delete",
  description: "Delete one file below /shared or /tmp. Folders are not deleted.",
  args: FileDeleteArgs,
  effect: "side_effecting",
  timeoutMs: 10_000,
  needs: (args) => [{ kind: "fs.write", path: normalizeVirtualPath(args.path), mode: "delete", bytesMax: 0 }],
  run: { component: "files" },
});
