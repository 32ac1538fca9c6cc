import {
  type ApprovalCard,
  type Capability,
  type Decision,
  type GivenAnswer,
  type Outcome,
  type Policy,
  toCallKey,
  type ToolIdentity,
  type ToolRequest,
} from "#/core/capability.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Of } from "#/lib/chained_line.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import type { Audit } from "#/sandbox/audit.ts";
import { AuditTrail } from "#/sandbox/audit_trail.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import type { Files } from "#/sandbox/files.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import { type FetchAttachment, HOST_PACKAGE } from "#/sandbox/host_run.ts";
import type { NetService } from "#/sandbox/host_service.ts";
import { LiveOutput, type OnOutput } from "#/sandbox/shell_live.ts";
import { type Replacement, toOutcome, toRefusal, toScrubber } from "#/sandbox/outcome.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";
import { type GrantedCall, type Ran, runCall, type ShellDeps, type ToolPackage } from "#/sandbox/run_call.ts";
import type { Secrets } from "#/sandbox/secrets.ts";

/** Everything a broker stands on. */
export interface BrokerOptions {
  /** Whose broker this is; a request in another name is denied. */
  readonly user: string;
  readonly tools: ReadonlyMap<string, Tool>;
  /** By the name in `tool.run.component`. Calls wait for them; when they cannot be opened, every call fails with that error. */
  readonly packages: ReadonlyMap<string, ToolPackage> | Promise<ReadonlyMap<string, ToolPackage>>;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly files: Files;
  /** Without it, what asks is denied. */
  readonly approvals?: Approvals;
  /** Network, settings and log of one call, whose redirects `decide` judges. Without it they are not there. */
  readonly net?: (decide: (need: Capability) => Decision) => NetService;
  /** Attachments of a turn, from its guest. Without it there are none. */
  readonly attachment?: FetchAttachment;
  /** Without it there is no browser. */
  readonly browsers?: Pick<Browsers, "run">;
  /** Where commands run. Without it they do not. */
  readonly shell?: ShellDeps;
  /**
   * What a setting says against a call, beside policy and before anybody is asked: why it is denied, or undefined. Throws AppError
   * `cancelled`.
   */
  readonly rules?: (tool: string, args: unknown, signal: AbortSignal) => Promise<string | undefined>;
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
  /** `onOutput`: see `Sandbox.call`. */
  call(request: ToolRequest, signal: AbortSignal, onOutput?: OnOutput): Promise<Outcome>;
  /** Takes an answer that the guest passes on. Throws as `Approvals.answer`. */
  answer(given: GivenAnswer): Promise<void>;
  /** See `Sandbox.derived`. A guest that does not say so could as well go on in the other session: this is for an honest one. */
  derived(session: string, from: string | undefined): Promise<void>;
  /** Ends every running call with `tool_interrupted`. The children and the files are closed by whoever opened them, afterwards. */
  close(): void;
}

const UNKNOWN_TOOL: ToolIdentity = { name: "", package: "", version: "", sha256: "" };
/** Opens a broker for one user. */
export function openBroker(options: BrokerOptions): Broker {
  return new OneUserBroker(options);
}

/** What policy says, or a person: their answer is spent when the decision is on record. */
type Decided = { readonly decision: Decision; readonly card?: ApprovalCard; readonly spend?: () => void };

/** A call whose arguments are good. */
type ParsedCall = Pick<GrantedCall, "tool" | "identity" | "installed" | "args">;

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

  async call(request: ToolRequest, signal: AbortSignal, onOutput: OnOutput = () => {}): Promise<Outcome> {
    if (signal.aborted) throw cancelled();
    const startedAt = this.#options.now();
    let identity: ToolIdentity = { ...UNKNOWN_TOOL, name: request.tool };
    let decided: { readonly decision?: Decision } = {};
    const trail = new AuditTrail(this.#options.audit, this.#options.policy.digest, request);
    try {
      const packages = await this.#options.packages;
      const against = await this.#options.rules?.(request.tool, request.args, signal);
      const refused = this.#admit(request);
      if (refused !== undefined) return trail.ended(toRefusal(identity, refused));
      const tool = this.#find(request.tool);
      const installed = packageOf(tool, packages);
      const { name: of, version, sha256 } = installed;
      identity = { name: tool.name, package: of, version, sha256 };
      const call = { tool, identity, installed, args: parseArgs(tool, request.args) };
      const argsSha256 = sha256Of(canonicalJson(call.args));
      const { decision, card, spend } = this.#decide(request, call, argsSha256, against);
      trail.decided(identity, decision, argsSha256, card);
      spend?.();
      decided = { decision };
      if (decision.kind !== "granted") {
        const { kind, reason: text } = decision;
        const code = kind === "ask" ? "approval_needed" : "tool_denied";
        return trail.ended(
          toRefusal(identity, { kind, code, text, decision, ...(card === undefined ? {} : { card }) }),
        );
      }
      const granted = { ...call, request, argsSha256, trail, grant: decision.grant };
      using live = new LiveOutput(onOutput, this.#scrub);
      const { reply, touched } = await this.#run(granted, live, signal);
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

  derived(session: string, from: string | undefined): Promise<void> {
    return Promise.try(() => {
      const { approvals } = this.#options;
      if (from === undefined || approvals?.isPrivate(from)) approvals?.markPrivate(session);
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
    if (this.#live.has(toCallKey(request))) {
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

  /** What settings forbid, then policy; where it asks, what a person has said to this very call. */
  #decide(request: ToolRequest, call: ParsedCall, argsSha256: string, against: string | undefined): Decided {
    if (against !== undefined) {
      const missing = call.tool.needs(call.args);
      const { digest: policyDigest } = this.#options.policy;
      return { decision: { kind: "denied", missing, policyDigest, source: "settings", reason: against } };
    }
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
    const asked = { key, session, turn, callId, principal, tool, argsSha256, wanted, lines, reason, answer };
    const found = approvals.find(asked);
    if (found.kind === "open") return { decision, card: found.card };
    const source = `${decision.source}, ${found.answer} by ${found.by}`;
    const { spend } = found;
    if (found.kind === "yes") {
      const { now, timeoutMs, grantId } = this.#life(call.tool);
      const grant = { id: grantId, capabilities: wanted, source, expiresAt: now + timeoutMs };
      return { decision: { kind: "granted", grant, policyDigest, source }, spend };
    }
    const who = found.by === "silence" ? "Nobody answered in time" : "The answer was no";
    return {
      decision: { ...denied, source, reason: `${who}: ${reason}. Do not ask for it again unless told to` },
      spend,
    };
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

  /** Runs it, and holds its place among the running calls until it is really over. */
  async #run(call: GrantedCall, live: LiveOutput, signal: AbortSignal): Promise<Ran> {
    const { policy: _, ...deps } = this.#options;
    const key = toCallKey(call.request);
    this.#live.add(key);
    const decide = (need: Capability) => this.#judge(call.request, call, [need]);
    const onOutput = (bytes: Uint8Array) => live.push(bytes);
    const run = runCall(call, { ...deps, decide, onOutput }, { signal, closed: this.#closed.signal });
    void run.settled.then(() => this.#live.delete(key));
    return await run.result;
  }
}

function cancelled(): AppError {
  return new AppError("cancelled", "The call was cancelled");
}

function packageOf(tool: Tool, packages: ReadonlyMap<string, ToolPackage>): ToolPackage & { readonly name: string } {
  const name = "component" in tool.run ? tool.run.component : HOST_PACKAGE;
  const installed = packages.get(name);
  if (installed !== undefined) return { ...installed, name };
  throw new AppError("component_invalid", `The package of ${tool.name} is not installed`);
}
