import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { HostRun } from "#/core/tool.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import type { Browsed } from "#/sandbox/browser_process.ts";
import { BROWSER_STEPS } from "#/sandbox/browser_step.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import type { FileHostCall } from "#/sandbox/host_call.ts";
import { runShellStep, type ShellStepDeps } from "#/sandbox/shell_step.ts";

/** Package of the tools that the runner runs itself. */
export const HOST_PACKAGE = "host";

/** Brings an inbound attachment of a turn, by its index from 0, from the guest that has it. Throws AppError when there is none. */
export type FetchAttachment = (
  place: { readonly session: string; readonly turn: string; readonly index: number },
  signal: AbortSignal,
) => Promise<{ readonly mimeType: string; readonly content: Uint8Array }>;

/** What a step may use: host calls within its part of the grant, the attachments of its turn, and the shell of its session. */
export interface StepDeps extends ShellStepDeps {
  /** Of the step's capability: what was asked for, in its one form. */
  readonly path: string;
  readonly host: (call: FileHostCall) => Promise<HostAnswer>;
  readonly attachment: (index: number) => ReturnType<FetchAttachment>;
  /** Does something in the conversation's browser. */
  readonly browse: (ask: BrowserAsk) => Promise<Browsed>;
}

/** One step of a host tool: it is granted the capabilities of its kinds, one power a step, and hands content on to the next. */
export interface HostStep {
  readonly name: string;
  readonly kinds: readonly Capability["kind"][];
  /** Left out by a call that needs nothing of its kinds. */
  readonly isOptional?: true;
  run(
    args: unknown,
    carried: Uint8Array,
    deps: StepDeps,
  ): Promise<{ readonly content: Uint8Array; readonly text: string }>;
}

const NOTHING = new Uint8Array(0);

const vaultCopyto: readonly HostStep[] = [
  {
    name: "read",
    kinds: ["fs.read"],
    async run(_args, _carried, { path, host }) {
      const { content = NOTHING } = await host({ fn: "fs-read.read-bytes", path });
      return { content, text: "" };
    },
  },
  {
    name: "write",
    kinds: ["fs.write"],
    async run(args, carried, { path, host }) {
      const { source_path, overwrite } = args as { source_path: string; overwrite?: boolean };
      const expected = overwrite ? {} : { expectSha256: "absent" };
      await host({ fn: "fs-write.write-bytes", path, content: carried, ...expected });
      return { content: NOTHING, text: `Copied ${source_path} to ${path} (${carried.length} bytes).` };
    },
  },
];

const attachmentSave: readonly HostStep[] = [
  {
    name: "save",
    kinds: ["fs.write"],
    async run(args, _carried, { path, host, attachment }) {
      const { index, overwrite } = args as { index: number; overwrite?: boolean };
      const { mimeType, content } = await attachment(index);
      if (content.length === 0) throw new AppError("tool_failed", `Attachment ${index} is empty`);
      const expected = overwrite ? {} : { expectSha256: "absent" };
      await host({ fn: "fs-write.write-bytes", path, content, ...expected });
      return { content: NOTHING, text: `Saved attachment ${index} (${mimeType}, ${content.length} bytes) to ${path}.` };
    },
  },
];

const shellExec: readonly HostStep[] = [
  {
    name: "run",
    kinds: ["shell", "connect"],
    async run(args, _carried, deps) {
      return { content: NOTHING, text: await runShellStep(args, deps) };
    },
  },
];

/** The steps of each host tool, in order. What a reviewer of the runner reads: nothing else runs in it for a tool. */
export const HOST_RUNS: Readonly<Record<HostRun["host"], readonly HostStep[]>> = {
  vault_copyto: vaultCopyto,
  attachment_save: attachmentSave,
  browser: BROWSER_STEPS,
  shell_exec: shellExec,
};
