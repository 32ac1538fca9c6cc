import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { HostStep } from "#/sandbox/host_run.ts";
import type { ShellResult } from "#/sandbox/shell.ts";

/** Of a folder's path, as a result shows it. */
const FOLDER_CHARS = 200;

/** shell_exec: the command of the grant, never of the arguments, in the shell of the call's session. */
export const SHELL_EXEC: readonly HostStep[] = [
  {
    name: "run",
    kinds: ["shell", "connect"],
    async run(args, _carried, { capabilities, shell, timeoutSecs }) {
      const granted = capabilities.find((one) => one.kind === "shell");
      if (granted === undefined) throw new AppError("tool_denied", "The grant of this call opens no shell");
      const connect = capabilities.filter((one): one is Extract<Capability, { kind: "connect" }> =>
        one.kind === "connect"
      ).map(({ host, port }) => ({ host, port }));
      const { timeout_secs = timeoutSecs } = args as { timeout_secs?: number };
      const result = await shell({ command: granted.command, timeoutMs: timeout_secs * 1_000, connect });
      return { content: new Uint8Array(0), text: toShellText(result) };
    },
  },
];

/** A command's result as a model reads it: how it ended and where, its output, then what else there is to know. Pure. */
export function toShellText({ exitCode, text, cwd, notes }: ShellResult): string {
  const how = exitCode === undefined ? "no exit code" : `exit code ${exitCode}`;
  const folder = cwd.length > FOLDER_CHARS ? `…${cwd.slice(-FOLDER_CHARS)}` : cwd;
  const body = text === "" ? "(no output)" : text.replace(/\n$/, "");
  return [`[${how}, in ${folder}]`, body, ...notes.map((note) => `[${note}]`)].join("\n");
}
