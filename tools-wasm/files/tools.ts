import type { GuestTool } from "../sdk/execute.ts";
import type { FilesHost } from "../sdk/host.ts";
import { editFile } from "./edit.ts";
import { listFiles } from "./list.ts";
import { readFile } from "./read.ts";
import { searchFiles } from "./search.ts";
import { deleteFile, writeFile } from "./write.ts";

/** What `describe` says. */
export const IDENTITY = { name: "files", version: "0.1.0" };

/** Every tool of this component, by the name that the model uses. */
export const TOOLS: Record<string, GuestTool<FilesHost>> = {
  file_read: readFile,
  file_list: listFiles,
  file_search: searchFiles,
  file_write: writeFile,
  file_edit: editFile,
  file_delete: deleteFile,
};
