import type { Capability, Decision, Grant, ToolIdentity, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { HostRun, Tool } from "#/core/tool.ts";
import { isWithin } from "#/core/virtual_path.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import type { AuditTrail } from "#/sandbox/audit_trail.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import { browseIn } from "#/sandbox/browser_step.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import type { ChildRequest, OnHostCall } from "#/sandbox/child_process.ts";
import type { Files } from "#/sandbox/files.ts";
import type { FileHostCall, HostCall } from "#/sandbox/host_call.ts";
import { HostService, type NetService, type Touched } from "#/sandbox/host_service.ts";
import { type FetchAttachment, HOST_RUNS } from "#/sandbox/host_run.ts";
import { INTERFACE_OF } from "#/sandbox/interfaces.ts";
import type { ToolReply } from "#/sandbox/outcome.ts";
import type { Secrets } from "#/sandbox/secrets.ts";
import type { ShellCall, Shells } from "#/sandbox/shell.ts";

/** The children of one tool package: what runs a component, and parses what it sends. A rejection is AppError `cancelled`, or a fault of the pool itself. */
export interface ToolChildren {
  run(request: ChildRequest, onHostCall: OnHostCall, signal: AbortSignal): Promise<ToolReply>;
}

/** An installed tool package and the children that run it. */
export interface ToolPackage {
  readonly version: string;
  /** Hex sha256 of the component. */
  readonly sha256: string;
  /** Absent for the package of tools that the runner runs itself. */
  readonly children?: ToolChildren;
}

/** A call that policy, or a person, let through. */
export interface GrantedCall {
  readonly request: ToolRequest;
  readonly tool: Tool;
  readonly identity: ToolIdentity;
  readonly installed: ToolPackage;
  readonly args: unknown;
  readonly argsSha256: string;
  readonly grant: Grant;
  readonly trail: AuditTrail;
}

/** The shells of a user, opened when the first command comes, and what a command may take that does not say. */
export interface ShellDeps {
  readonly shells: () => Promise<Shells>;
  readonly timeoutSecs: number;
}

/** What a call runs on. */
export interface RunDeps {
  readonly files: Files;
  readonly approvals?: Approvals;
  readonly secrets?: Secrets;
  readonly net?: (decide: (need: Capability) => Decision) => NetService;
  readonly attachment?: FetchAttachment;
  readonly browsers?: Pick<Browsers, "run">;
  readonly shell?: ShellDeps;
  /** What policy says to one more need of this call: a redirect's target. */
  readonly decide: (need: Capability) => Decision;
  readonly now: () => number;
  readonly waitMs?: number;
  /** Told of the output of a call that shows it, as it comes. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** What a run gave, and what it touched on the way. */
export interface Ran {
  readonly reply: ToolReply;
  readonly touched: Touched;
}

/**
 * Runs a granted call. `result` rejects with AppError `cancelled`, `tool_interrupted` when the broker closes, `tool_timeout`, and
 * what the run threw; `settled` resolves when nothing of it runs any more, which may be later.
 */
export function runCall(
  call: GrantedCall,
  deps: RunDeps,
  { signal, closed }: { readonly signal: AbortSignal; readonly closed: AbortSignal },
): { readonly result: Promise<Ran>; readonly settled: Promise<void> } {
  const expired = new AbortController();
  const stop = AbortSignal.any([signal, closed, expired.signal]);
  const inHost = "host" in call.tool.run ? call.tool.run : undefined;
  // The pool ends a call at its deadline; this is the wall behind it, and the bound of the wait for a child. Without a child it is the deadline.
  const graceMs = inHost === undefined ? LIMITS.killGraceMs * 2 + (deps.waitMs ?? LIMITS.brokerWaitMs) : 0;
  const lifeMs = call.tool.timeoutMs + graceMs;
  const timer = setTimeout(() => expired.abort(), lifeMs);
  const running = Promise.try(() => {
    markPrivate(call, deps);
    return inHost === undefined ? runInChild(call, deps, stop) : runInHost(inHost, call, deps, stop);
  }).finally(() => clearTimeout(timer));
  return {
    settled: running.then(() => {}, () => {}),
    result: untilAborted(running, stop).then((ran) => {
      if (ran !== undefined) return ran;
      if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
      if (closed.aborted) throw new AppError("tool_interrupted", "The runner stopped while the tool was running");
      throw new AppError("tool_timeout", `${call.tool.name} did not end within its time`);
    }),
  };
}

async function runInChild(call: GrantedCall, deps: RunDeps, stop: AbortSignal): Promise<Ran> {
  const { grant, tool, args, installed } = call;
  if (installed.children === undefined) throw new AppError("component_invalid", `${tool.name} has no component`);
  using files = deps.files.openCall();
  const net = deps.net?.((need) => {
    const decision = deps.decide(need);
    call.trail.decided(call.identity, decision, call.argsSha256, undefined);
    return decision;
  });
  const host = new HostService(grant, { files, net, now: deps.now });
  const onHostCall = (hostCall: HostCall, signal: AbortSignal) =>
    host.answer(hostCall, AbortSignal.any([signal, stop]));
  const interfaces = [...new Set(grant.capabilities.flatMap(({ kind }) => INTERFACE_OF[kind] ?? []))];
  try {
    const request = { tool: tool.name, args, timeoutMs: tool.timeoutMs, interfaces };
    return { reply: await installed.children.run(request, onHostCall, stop), touched: host.touched };
  } catch (error) {
    if (stop.aborted || !(error instanceof AppError) || error.code !== "cancelled") throw error;
    throw new AppError("tool_interrupted", "The tool's processes are stopping", { cause: error });
  } finally {
    host.close();
  }
}

const NO_SHELL: ShellDeps = {
  shells: () => Promise.reject(new AppError("tier_unavailable", "There is no shell here")),
  timeoutSecs: 60,
};

/** Step after step, each with its part of the grant alone: no step holds what another one has. */
async function runInHost({ host: name }: HostRun, call: GrantedCall, deps: RunDeps, stop: AbortSignal): Promise<Ran> {
  const startedAt = deps.now();
  const touched: Touched = { readBytes: 0, writtenBytes: 0, upBytes: 0, downBytes: 0 };
  using files = deps.files.openCall();
  let carried: Uint8Array = new Uint8Array(0);
  let text = "";
  for (const step of HOST_RUNS[name]) {
    const capabilities = call.grant.capabilities.filter(({ kind }) => step.kinds.includes(kind));
    if (step.isOptional && capabilities.length === 0) continue;
    const grant = { ...call.grant, capabilities };
    const service = new HostService(grant, { files, net: undefined, now: deps.now });
    call.trail.step(call.identity, step.name, grant, call.argsSha256);
    const { session, turn } = call.request;
    const attachment = (index: number) => {
      if (deps.attachment === undefined) throw new AppError("tool_failed", "This turn has no attachments");
      return deps.attachment({ session, turn, index }, stop);
    };
    const { shell: { shells, timeoutSecs } = NO_SHELL } = deps;
    const shell = async (command: Omit<ShellCall, "session">) =>
      await (await shells()).exec({ ...command, session }, stop);
    const [first] = capabilities;
    const path = first !== undefined && "path" in first ? first.path : "";
    const host = (hostCall: FileHostCall) => service.answer(hostCall, stop);
    const record = (decision: Decision) => call.trail.decided(call.identity, decision, call.argsSha256, undefined);
    const of = { session, source: call.grant.source, decide: deps.decide, record };
    const browse = (ask: BrowserAsk) => browseIn(deps.browsers, { ...of, ask }, stop);
    const able = { capabilities, path, host, attachment, shell, timeoutSecs, browse, onOutput: deps.onOutput };
    const done = await step.run(call.args, carried, able);
    service.close();
    [carried, text] = [done.content, done.text];
    for (const key of ["readBytes", "writtenBytes"] as const) touched[key] += service.touched[key];
  }
  const outputBytes = new TextEncoder().encode(text).length;
  return { reply: { ok: true, code: "ok", text, outputBytes, elapsedMs: deps.now() - startedAt }, touched };
}

/** Before it runs: what a call has seen counts, also when it fails. */
function markPrivate({ grant, request }: GrantedCall, deps: RunDeps): void {
  const isPrivate = grant.capabilities.some((capability) =>
    capability.kind === "secret"
      ? deps.secrets?.isPrivate(capability.name) ?? true
      : (capability.kind === "fs.read" || capability.kind === "fs.list") && isWithin(capability.path, "/vault")
  );
  if (isPrivate) deps.approvals?.markPrivate(request.session);
}
