import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { ShellCall, ShellResult } from "#/sandbox/shell.ts";

/** Of a folder's path, as a result shows it. */
const FOLDER_CHARS = 200;

/** What the step has of its call. */
export interface ShellStepDeps {
  /** The step's part of the grant. */
  readonly capabilities: readonly Capability[];
  /** Throws as `Shells.exec`; AppError `tier_unavailable` where there are none. */
  readonly shell: (call: Omit<ShellCall, "session">) => Promise<ShellResult>;
  /** What a command may take when its call does not say. */
  readonly timeoutSecs: number;
  /** Told of the command's output as it comes. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** shell_exec: the command of the grant, never of the arguments, in the shell of the call's session. Throws as `Shells.exec`, AppError `tool_denied`. */
export async function runShellStep(
  args: unknown,
  { capabilities, shell, timeoutSecs, onOutput }: ShellStepDeps,
): Promise<string> {
  const granted = capabilities.find((one) => one.kind === "shell");
  if (granted === undefined) throw new AppError("tool_denied", "The grant of this call opens no shell");
  const connect = capabilities.flatMap((one) => one.kind === "connect" ? [{ host: one.host, port: one.port }] : []);
  const { timeout_secs = timeoutSecs } = args as { timeout_secs?: number };
  return toShellText(await shell({ command: granted.command, timeoutMs: timeout_secs * 1_000, connect, onOutput }));
}

/** A command's result as a model reads it: how it ended and where, its output, then what else there is to know. Pure. */
export function toShellText({ exitCode, text, cwd, notes }: ShellResult): string {
  const how = exitCode === undefined ? "no exit code" : `exit code ${exitCode}`;
  const folder = cwd.length > FOLDER_CHARS ? `…${cwd.slice(-FOLDER_CHARS)}` : cwd;
  const body = text === "" ? "(no output)" : text.replace(/\n$/, "");
  return [`[${how}, in ${folder}]`, body, ...notes.map((note) => `[${note}]`)].join("\n");
}
