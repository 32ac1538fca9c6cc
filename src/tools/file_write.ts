import { z } from "zod";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg, textArg } from "#/tools/path_arg.ts";

/** Arguments of file_write. */
export const FileWriteArgs = z.strictObject({
  path: pathArg("File to write, e.g. /shared/report.md"),
  content: textArg("The whole new text of the file."),
});
export type FileWriteArgs = z.infer<typeof FileWriteArgs>;

const encoder = new TextEncoder();

/** Writes a whole text file. */
export const fileWrite = defineTool<FileWriteArgs>({
  name: "file_write",
  description:
    "Write a whole text file below /shared or /tmp: creates it and its folders, or replaces it. Says which, and " +
    "how many bytes. To change a part of a file use file_edit.",
  args: FileWriteArgs,
  effect: "side_effecting",
  timeoutMs: 10_000,
  needs: (args) => [{
    kind: "fs.write",
    path: normalizeVirtualPath(args.path),
    mode: "write",
    bytesMax: encoder.encode(args.content).length,
  }],
  run: { component: "files" },
});
