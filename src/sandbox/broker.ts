import type {
  ApprovalCard,
  Capability,
  Decision,
  GivenAnswer,
  Grant,
  Outcome,
  Policy,
  ToolIdentity,
  ToolRequest,
} from "#/core/capability.ts";
import { isWithin } from "#/core/virtual_path.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Of } from "#/lib/chained_line.ts";
import type { Audit } from "#/sandbox/audit.ts";
import { AuditTrail } from "#/sandbox/audit_trail.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { Files, HostAnswer } from "#/sandbox/files.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import type { HostCall } from "#/sandbox/host_call.ts";
import { HostService, type NetService, type Touched } from "#/sandbox/host_service.ts";
import { INTERFACE_OF } from "#/sandbox/interfaces.ts";
import { type Replacement, type ToolReply, toOutcome, toRefusal, toScrubber } from "#/sandbox/outcome.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";
import type { Secrets } from "#/sandbox/secrets.ts";

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
  readonly audit: Audit;
  readonly files: Files;
  /** Without it, what asks is denied. */
  readonly approvals?: Approvals;
  /** Network, settings and log of one call, whose redirects `decide` judges. Without it they are not there. */
  readonly net?: (decide: (need: Capability) => Decision) => NetService;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** Host paths besides the roots that no model may read, e.g. the workspace folder. */
  readonly hidden?: readonly Replacement[];
  /** What no output may hold. */
  readonly secrets?: Secrets;
  /** A call waits for a child at most this long; `brokerWaitMs` by default. */
  readonly waitMs?: number;
}

/**
 * Decides, grants and runs: find the tool, parse its arguments, compute its needs, ask the policy, run it with the grant.
 * `call` never throws for a tool's trouble, only AppError `cancelled` when the signal fires.
 */
export interface Broker {
  call(request: ToolRequest, signal: AbortSignal): Promise<Outcome>;
  /** Takes an answer that the guest passes on. Throws as `Approvals.answer`. */
  answer(given: GivenAnswer): Promise<void>;
  /** Ends every running call with `tool_interrupted`. The children and the files are closed by whoever opened them, afterwards. */
  close(): void;
}

const UNKNOWN_TOOL: ToolIdentity = { name: "", package: "", version: "", sha256: "" };
/** Opens a broker for one user. */
export function openBroker(options: BrokerOptions): Broker {
  return new OneUserBroker(options);
}

/** A call whose arguments are good. */
interface ParsedCall {
  readonly tool: Tool;
  readonly identity: ToolIdentity;
  readonly children: ToolChildren;
  readonly args: unknown;
}

/** A call that policy, or a person, let through. */
interface GrantedCall extends ParsedCall {
  readonly grant: Grant;
}

/** What a run gave, and what it touched on the way. */
interface Ran {
  readonly reply: ToolReply;
  readonly touched: Touched;
}

class OneUserBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #scrub: (text: string) => string;
  readonly #live = new Set<string>();
  readonly #closed = new AbortController();

  constructor(options: BrokerOptions) {
    this.#options = options;
    const roots = Object.entries(options.files.hostPaths).map(([name, host]) => ({ host, virtual: `/${name}` }));
    this.#scrub = toScrubber([...roots, ...options.hidden ?? []], options.secrets?.values ?? []);
  }

  async call(request: ToolRequest, signal: AbortSignal): Promise<Outcome> {
    if (signal.aborted) throw cancelled();
    const startedAt = this.#options.now();
    let identity: ToolIdentity = { ...UNKNOWN_TOOL, name: request.tool };
    let decided: { readonly decision?: Decision } = {};
    const trail = new AuditTrail(this.#options.audit, this.#options.policy.digest, request);
    try {
      const refused = this.#admit(request);
      if (refused !== undefined) return trail.ended(toRefusal(identity, refused));
      const tool = this.#find(request.tool);
      const { component, installed } = this.#packageOf(tool);
      const { version, sha256, children } = installed;
      identity = { name: tool.name, package: component, version, sha256 };
      const call = { tool, identity, children, args: parseArgs(tool, request.args) };
      const argsSha256 = sha256Of(canonicalJson(call.args));
      const { decision, card } = this.#decide(request, call, argsSha256);
      trail.decided(identity, decision, argsSha256, card);
      decided = { decision };
      if (decision.kind !== "granted") {
        const { kind, reason: text } = decision;
        const code = kind === "ask" ? "approval_needed" : "tool_denied";
        return trail.ended(
          toRefusal(identity, { kind, code, text, decision, ...(card === undefined ? {} : { card }) }),
        );
      }
      const { reply, touched } = await this.#run(request, { ...call, grant: decision.grant }, signal);
      return trail.ended(toOutcome(identity, decision, reply, this.#scrub), touched);
    } catch (error) {
      if (signal.aborted) {
        trail.ended(toRefusal(identity, { kind: "failed", code: "cancelled", text: "", ...decided }));
        throw cancelled();
      }
      const { code, message } = toPublicError(error, uuidv7(startedAt));
      const elapsedMs = Math.max(0, this.#options.now() - startedAt);
      return trail.ended(
        toRefusal(identity, { kind: "failed", code, text: this.#scrub(message), elapsedMs, ...decided }),
      );
    }
  }

  answer(given: GivenAnswer): Promise<void> {
    return Promise.try(() => {
      const { approvals } = this.#options;
      if (approvals === undefined) throw new AppError("approval_unknown", "There is no open approval of that id");
      approvals.answer(given, "relayed");
    });
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

  #packageOf(tool: Tool): { component: string; installed: ToolPackage } {
    const component = "component" in tool.run ? tool.run.component : tool.run.host;
    const installed = this.#options.packages.get(component);
    if (installed !== undefined) return { component, installed };
    throw new AppError("component_invalid", `The package of ${tool.name} is not installed`);
  }

  #find(name: string): Tool {
    const tool = this.#options.tools.get(name);
    if (tool !== undefined) return tool;
    const names = [...this.#options.tools.keys()].join(", ");
    throw new AppError("tool_unknown", `There is no tool of that name. There are: ${names}`);
  }

  /** Policy first; where it asks, what a person has said to this very call. */
  #decide(request: ToolRequest, call: ParsedCall, argsSha256: string): { decision: Decision; card?: ApprovalCard } {
    const decision = this.#judge(request, call, call.tool.needs(call.args));
    if (decision.kind !== "ask") return { decision };
    const { wanted, missing, policyDigest, reason, answer } = decision;
    const { approvals } = this.#options;
    const denied = { kind: "denied", missing, policyDigest } as const;
    if (approvals === undefined) return { decision: { ...denied, source: decision.source, reason } };
    const { principal, session, turn, callId } = request;
    const { identity: tool, args } = call;
    const key = sha256Of(canonicalJson([tool.name, tool.sha256, args, wanted]));
    const lines = wanted.map(describeCapability);
    const found = approvals.find({
      key,
      session,
      turn,
      callId,
      principal,
      tool,
      argsSha256,
      wanted,
      lines,
      reason,
      answer,
    });
    if (found.kind === "open") return { decision, card: found.card };
    const source = `${decision.source}, ${found.answer} by ${found.by}`;
    if (found.kind === "yes") {
      const { now, timeoutMs, grantId } = this.#life(call.tool);
      const grant = { id: grantId, capabilities: wanted, source, expiresAt: now + timeoutMs };
      return { decision: { kind: "granted", grant, policyDigest, source } };
    }
    const who = found.by === "silence" ? "Nobody answered in time" : "The answer was no";
    return { decision: { ...denied, source, reason: `${who}: ${reason}. Do not ask for it again unless told to` } };
  }

  #judge(request: ToolRequest, { tool, identity }: ParsedCall, needs: readonly Capability[]): Decision {
    const isPrivate = this.#options.approvals?.isPrivate(request.session) ?? true;
    const { principal } = request;
    return this.#options.policy.decide({ principal, tool: identity, needs, isPrivate, ...this.#life(tool) });
  }

  /** The grant covers the wait for a child; the pool's own deadline is the tighter one once it runs. */
  #life(tool: Tool): { now: number; timeoutMs: number; grantId: string } {
    const now = this.#options.now();
    return { now, timeoutMs: tool.timeoutMs + (this.#options.waitMs ?? LIMITS.brokerWaitMs), grantId: uuidv7(now) };
  }

  async #run(request: ToolRequest, call: GrantedCall, signal: AbortSignal): Promise<Ran> {
    const expired = new AbortController();
    const stop = AbortSignal.any([signal, this.#closed.signal, expired.signal]);
    // The pool ends a call at its deadline; this is the wall behind it, and the bound of the wait for a child.
    const lifeMs = call.tool.timeoutMs + LIMITS.killGraceMs * 2 + (this.#options.waitMs ?? LIMITS.brokerWaitMs);
    const timer = setTimeout(() => expired.abort(), lifeMs);
    const key = keyOf(request);
    this.#live.add(key);
    const running = this.#runInChild(request, call, stop).finally(() => {
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

  async #runInChild(request: ToolRequest, call: GrantedCall, stop: AbortSignal): Promise<Ran> {
    const { grant, tool, args } = call;
    if (grant.capabilities.some((capability) => this.#isPrivate(capability))) {
      this.#options.approvals?.markPrivate(request.session);
    }
    using files = this.#options.files.openCall();
    const net = this.#options.net?.((need) => this.#judge(request, call, [need]));
    const host = new HostService(grant, { files, net, now: this.#options.now });
    const onHostCall = (hostCall: HostCall, signal: AbortSignal) =>
      host.answer(hostCall, AbortSignal.any([signal, stop]));
    const interfaces = [...new Set(grant.capabilities.map((capability) => INTERFACE_OF[capability.kind]))];
    try {
      const reply = await call.children.run(
        { tool: tool.name, args, timeoutMs: tool.timeoutMs, interfaces },
        onHostCall,
        stop,
      );
      return { reply, touched: host.touched };
    } catch (error) {
      if (stop.aborted || !(error instanceof AppError) || error.code !== "cancelled") throw error;
      throw new AppError("tool_interrupted", "The tool's processes are stopping", { cause: error });
    } finally {
      host.close();
    }
  }

  #isPrivate(capability: Capability): boolean {
    if (capability.kind === "secret") return this.#options.secrets?.isPrivate(capability.name) ?? true;
    return (capability.kind === "fs.read" || capability.kind === "fs.list") && isWithin(capability.path, "/vault");
  }
}

/** As JSON, so that no choice of ids looks like another. */
function keyOf(request: ToolRequest): string {
  return JSON.stringify([request.session, request.turn, request.callId]);
}

function cancelled(): AppError {
  return new AppError("cancelled", "The call was cancelled");
}
