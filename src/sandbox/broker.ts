import type { Decision, Grant, Outcome, Policy, ToolIdentity, ToolRequest } from "#/core/capability.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { Files, HostAnswer } from "#/sandbox/files.ts";
import { GrantMeter } from "#/sandbox/grant.ts";
import type { HostCall } from "#/sandbox/host_call.ts";
import { INTERFACE_OF } from "#/sandbox/interfaces.ts";
import { type Replacement, type ToolReply, toOutcome, toRefusal, toScrubber } from "#/sandbox/outcome.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";

/** The children of one tool package: what runs a component, and parses what it sends. A rejection is AppError `cancelled`, or a fault of the pool itself. */
export interface ToolChildren {
  run(
    call: {
      readonly tool: string;
      readonly args: unknown;
      readonly timeoutMs: number;
      readonly interfaces: readonly string[];
    },
    onHostCall: (call: HostCall, signal: AbortSignal) => Promise<HostAnswer>,
    signal: AbortSignal,
  ): Promise<ToolReply>;
}

/** An installed tool package and the children that run it. */
export interface ToolPackage {
  readonly version: string;
  /** Hex sha256 of the component. */
  readonly sha256: string;
  readonly children: ToolChildren;
}

/** Everything a broker stands on. */
export interface BrokerOptions {
  /** Whose broker this is; a request in another name is denied. */
  readonly user: string;
  readonly tools: ReadonlyMap<string, Tool>;
  /** By the name in `tool.run.component`. */
  readonly packages: ReadonlyMap<string, ToolPackage>;
  readonly policy: Policy;
  readonly files: Files;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** Host paths besides the roots that no model may read, e.g. the workspace folder. */
  readonly hidden?: readonly Replacement[];
  /** A call waits for a child at most this long; `brokerWaitMs` by default. */
  readonly waitMs?: number;
}

/**
 * Decides, grants and runs: find the tool, parse its arguments, compute its needs, ask the policy, run it with the grant.
 * `call` never throws for a tool's trouble, only AppError `cancelled` when the signal fires.
 */
export interface Broker {
  call(request: ToolRequest, signal: AbortSignal): Promise<Outcome>;
  /** Ends every running call with `tool_interrupted`. The children and the files are closed by whoever opened them, afterwards. */
  close(): void;
}

const UNKNOWN_TOOL: ToolIdentity = { name: "", package: "", version: "", sha256: "" };

/** Opens a broker for one user. */
export function openBroker(options: BrokerOptions): Broker {
  return new OneUserBroker(options);
}

/** A call that policy let through. */
interface GrantedCall {
  readonly tool: Tool;
  readonly identity: ToolIdentity;
  readonly children: ToolChildren;
  readonly args: unknown;
  readonly grant: Grant;
}

class OneUserBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #scrub: (text: string) => string;
  readonly #live = new Set<string>();
  readonly #closed = new AbortController();

  constructor(options: BrokerOptions) {
    this.#options = options;
    const roots = Object.entries(options.files.hostPaths).map(([name, host]) => ({ host, virtual: `/${name}` }));
    this.#scrub = toScrubber([...roots, ...options.hidden ?? []]);
  }

  async call(request: ToolRequest, signal: AbortSignal): Promise<Outcome> {
    if (signal.aborted) throw cancelled();
    const startedAt = this.#options.now();
    let identity: ToolIdentity = { ...UNKNOWN_TOOL, name: request.tool };
    let decided: { readonly decision?: Decision } = {};
    try {
      const refused = this.#admit(request);
      if (refused !== undefined) return toRefusal(identity, refused);
      const tool = this.#find(request.tool);
      const installed = this.#options.packages.get(tool.run.component);
      if (installed === undefined) {
        throw new AppError("component_invalid", `The package of ${tool.name} is not installed`);
      }
      const { version, sha256, children } = installed;
      identity = { name: tool.name, package: tool.run.component, version, sha256 };
      const args = parseArgs(tool, request.args);
      const decision = this.#decide(request, tool, identity, args);
      decided = { decision };
      if (decision.kind === "denied") {
        return toRefusal(identity, { kind: "denied", code: "tool_denied", text: decision.reason, decision });
      }
      const reply = await this.#run(request, { tool, identity, children, args, grant: decision.grant }, signal);
      return toOutcome(identity, decision, reply, this.#scrub);
    } catch (error) {
      if (signal.aborted) throw cancelled();
      const { code, message } = toPublicError(error, uuidv7(startedAt));
      const elapsedMs = Math.max(0, this.#options.now() - startedAt);
      return toRefusal(identity, { kind: "failed", code, text: this.#scrub(message), elapsedMs, ...decided });
    }
  }

  close(): void {
    this.#closed.abort();
  }

  #admit(request: ToolRequest): { kind: "failed" | "denied"; code: AppError["code"]; text: string } | undefined {
    if (request.principal.user !== this.#options.user) {
      return { kind: "denied", code: "tool_denied", text: "The request is in the name of another user" };
    }
    if (this.#closed.signal.aborted) {
      return { kind: "failed", code: "tool_interrupted", text: "The runner is stopping" };
    }
    if (this.#live.has(keyOf(request))) {
      return { kind: "failed", code: "protocol", text: "A call with this id is already running in this turn" };
    }
    if (this.#live.size >= LIMITS.brokerCallsMax) {
      const text = `${LIMITS.brokerCallsMax} tool calls are already running; try again when one has ended`;
      return { kind: "failed", code: "queue_full", text };
    }
    return undefined;
  }

  #find(name: string): Tool {
    const tool = this.#options.tools.get(name);
    if (tool !== undefined) return tool;
    const names = [...this.#options.tools.keys()].join(", ");
    throw new AppError("tool_unknown", `There is no tool of that name. There are: ${names}`);
  }

  #decide(request: ToolRequest, tool: Tool, identity: ToolIdentity, args: unknown): Decision {
    const now = this.#options.now();
    // The grant covers the wait for a child; the pool's own deadline is the tighter one once it runs.
    const timeoutMs = tool.timeoutMs + (this.#options.waitMs ?? LIMITS.brokerWaitMs);
    const { principal } = request;
    const needs = tool.needs(args);
    return this.#options.policy.decide({ principal, tool: identity, needs, now, timeoutMs, grantId: uuidv7(now) });
  }

  async #run(request: ToolRequest, call: GrantedCall, signal: AbortSignal): Promise<ToolReply> {
    const expired = new AbortController();
    const stop = AbortSignal.any([signal, this.#closed.signal, expired.signal]);
    // The pool ends a call at its deadline; this is the wall behind it, and the bound of the wait for a child.
    const lifeMs = call.tool.timeoutMs + LIMITS.killGraceMs * 2 + (this.#options.waitMs ?? LIMITS.brokerWaitMs);
    const timer = setTimeout(() => expired.abort(), lifeMs);
    const key = keyOf(request);
    this.#live.add(key);
    const running = this.#runInChild(call, stop).finally(() => {
      clearTimeout(timer);
      this.#live.delete(key);
    });
    const reply = await untilAborted(running, stop);
    if (reply !== undefined) return reply;
    if (signal.aborted) throw cancelled();
    if (this.#closed.signal.aborted) {
      throw new AppError("tool_interrupted", "The runner stopped while the tool was running");
    }
    throw new AppError("tool_timeout", `${call.tool.name} did not end within its time`);
  }

  async #runInChild(call: GrantedCall, stop: AbortSignal): Promise<ToolReply> {
    const meter = new GrantMeter(call.grant);
    using files = this.#options.files.openCall();
    let state: "idle" | "busy" | "over" = "idle";
    const onHostCall = async (hostCall: HostCall, signal: AbortSignal): Promise<HostAnswer> => {
      if (state === "over" || stop.aborted) throw new AppError("tool_interrupted", "The call is over");
      // Two at once would both be measured against what neither has spent yet.
      if (state === "busy") throw new AppError("protocol", "One host call at a time");
      state = "busy";
      try {
        const { allowance, spend } = meter.take(hostCall, this.#options.now());
        const answer = await files.run(hostCall, allowance, AbortSignal.any([signal, stop]));
        spend(bytesOf(hostCall, answer));
        return answer;
      } finally {
        if (state === "busy") state = "idle";
      }
    };
    const interfaces = [...new Set(call.grant.capabilities.map((capability) => INTERFACE_OF[capability.kind]))];
    try {
      const { tool, args } = call;
      return await call.children.run(
        { tool: tool.name, args, timeoutMs: tool.timeoutMs, interfaces },
        onHostCall,
        stop,
      );
    } catch (error) {
      if (stop.aborted || !(error instanceof AppError) || error.code !== "cancelled") throw error;
      throw new AppError("tool_interrupted", "The tool's processes are stopping", { cause: error });
    } finally {
      state = "over";
    }
  }
}

function bytesOf(call: HostCall, answer: HostAnswer): number {
  if (answer.content !== undefined) return answer.content.length;
  return call.fn === "fs-write.write-text" && "bytes" in answer.value ? answer.value.bytes : 0;
}

/** As JSON, so that no choice of ids looks like another. */
function keyOf(request: ToolRequest): string {
  return JSON.stringify([request.session, request.turn, request.callId]);
}

function cancelled(): AppError {
  return new AppError("cancelled", "The call was cancelled");
}
