import type { Tool } from "#/core/tool.ts";
import { toAttachmentSave } from "#/tools/attachment_save.ts";
import { browser } from "#/tools/browser.ts";
import { WebSearchConfig } from "#/tools/config.ts";
import { fileDelete } from "#/tools/file_delete.ts";
import { fileEdit } from "#/tools/file_edit.ts";
import { fileList } from "#/tools/file_list.ts";
import { fileRead } from "#/tools/file_read.ts";
import { fileSearch } from "#/tools/file_search.ts";
import { fileWrite } from "#/tools/file_write.ts";
import { toShellExec } from "#/tools/shell_exec.ts";
import { vaultCopyto } from "#/tools/vault_copyto.ts";
import { webFetch } from "#/tools/web_fetch.ts";
import { toWebSearch } from "#/tools/web_search.ts";

/** The person's settings that say what a tool needs. */
export interface ToolSettings {
  /** Defaults when absent, which is right for names and schemas. */
  readonly webSearch?: WebSearchConfig;
  readonly attachmentSaveSecs?: number;
  /** There is a browser to use. */
  readonly hasBrowser?: boolean;
  /** `[tools.shell] command_timeout_secs` where commands can be run; without it there is no such tool. */
  readonly shellSecs?: number;
}

/** Every tool there is, by name. A reviewer of what agents can do reads this list; a new tool is one file and one line here. */
export function toTools(
  { webSearch = WebSearchConfig.parse({}), attachmentSaveSecs = 60, shellSecs, hasBrowser = false }: ToolSettings = {},
): ReadonlyMap<string, Tool> {
  const tools = [
    fileRead,
    fileList,
    fileSearch,
    fileWrite,
    fileEdit,
    fileDelete,
    webFetch,
    toWebSearch(webSearch),
    vaultCopyto,
    toAttachmentSave(attachmentSaveSecs),
    ...(shellSecs === undefined ? [] : [toShellExec(shellSecs)]),
    ...(hasBrowser ? [browser] : []),
  ];
  return new Map(tools.map((tool) => [tool.name, tool as Tool]));
}
