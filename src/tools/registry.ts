import type { Tool } from "#/core/tool.ts";
import { fileDelete } from "#/tools/file_delete.ts";
import { fileEdit } from "#/tools/file_edit.ts";
import { fileList } from "#/tools/file_list.ts";
import { fileRead } from "#/tools/file_read.ts";
import { fileSearch } from "#/tools/file_search.ts";
import { fileWrite } from "#/tools/file_write.ts";

/** Every tool there is. A reviewer of what agents can do reads this list; a new tool is one file and one line here. */
export const TOOLS: ReadonlyMap<string, Tool> = new Map([
  fileRead,
  fileList,
  fileSearch,
  fileWrite,
  fileEdit,
  fileDelete,
].map((tool) => [tool.name, tool as Tool]));
