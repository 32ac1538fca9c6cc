import { z } from "zod";
import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { defineTool, type Tool } from "#/core/tool.ts";

const { shellCommandCharsMax, shellTimeoutSecsMax, shellHostsMax, shellHeadBytesMax, shellTailBytesMax } = LIMITS;
/** Of a call beyond its command's time: the shell's start, and what waits before it. */
const AROUND_MS = LIMITS.shellStartMs + LIMITS.shellEndMs * 2 + LIMITS.killGraceMs;
const TOO_LONG =
  `is longer than ${shellCommandCharsMax} characters: write a script with file_write and run it with bash`;
// deno-lint-ignore no-control-regex -- a terminal obeys them, and a person reads the command on one
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;

/** Arguments of shell_exec; `command` as in the reference. */
export const ShellExecArgs = z.strictObject({
  command: z.string().max(shellCommandCharsMax, TOO_LONG)
    .refine((text) => !CONTROL.test(text), "holds a control character; write it as $'\\x1b' or with printf")
    .refine((text) => text.isWellFormed(), "holds a lone surrogate, which no text can")
    .describe("What bash runs: one command or a script of several lines"),
  timeout_secs: z.int().min(1).max(shellTimeoutSecsMax).optional().describe(
    "Ends the command after this many seconds, instead of the usual time",
  ),
  network: z.array(z.string().min(1).max(LIMITS.urlCharsMax)).max(shellHostsMax).optional().describe(
    'Hosts that the command connects to, e.g. ["pypi.org:443", "files.pythonhosted.org"]; 443 without a port. Without it there is no network.',
  ),
});
export type ShellExecArgs = z.infer<typeof ShellExecArgs>;

/** Runs a command in the conversation's shell. `timeoutSecs` is `[tools.shell] command_timeout_secs`. */
export function toShellExec(timeoutSecs: number): Tool<ShellExecArgs> {
  return defineTool<ShellExecArgs>({
    name: "shell_exec",
    description:
      "Run a command in this conversation's bash. Folder, variables, functions and background jobs are kept from one command to the next. " +
      "It sees /shared (where it starts) and /tmp, both writable, and the system's programs, read-only; nothing else of the machine. " +
      "There is no network except to the hosts named in `network`, through the proxy in HTTP_PROXY and HTTPS_PROXY. There is no terminal and " +
      "no input: use options such as -y, and redirect input from files. A command ends after " +
      `${timeoutSecs} s unless timeout_secs says otherwise; what runs longer goes into the background with its output in a file. Of long ` +
      `output the first ${shellHeadBytesMax} and the last ${shellTailBytesMax} bytes are shown.`,
    args: ShellExecArgs,
    effect: "privileged",
    timeoutMs: Math.max(timeoutSecs, shellTimeoutSecsMax) * 1_000 + AROUND_MS,
    needs: ({ command, network = [] }) => [{ kind: "shell", command }, ...toConnects(network)],
    run: { host: "shell_exec" },
  });
}

/** What a list of hosts needs, each once. Throws AppError `tool_args_invalid` for what is neither `host` nor `host:port`. Pure. */
export function toConnects(hosts: readonly string[]): Extract<Capability, { kind: "connect" }>[] {
  const needs = hosts.map((text) => {
    const url = URL.parse(`https://${text}`);
    const isHost = url !== null && url.hostname !== "" && url.username === "" && url.password === "" &&
      !/[/\\?#@\s]/.test(text) && url.port !== "0";
    if (!isHost) {
      throw new AppError(
        "tool_args_invalid",
        `network: ${JSON.stringify(text.slice(0, 80))} must be host or host:port`,
      );
    }
    const host = url.hostname.replace(/^\[|\]$/g, "");
    return { kind: "connect", host, port: url.port === "" ? 443 : Number(url.port) } as const;
  });
  return needs.filter(({ host, port }, at) => needs.findIndex((one) => one.host === host && one.port === port) === at);
}
