import { type Outcome, toCallKey, type ToolIdentity, type ToolRequest } from "#/core/capability.ts";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Of } from "#/lib/chained_line.ts";
import { delay } from "#/lib/delay.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import type { Broker } from "#/sandbox/broker.ts";
import type { OnOutput } from "#/sandbox/shell_live.ts";
import type { CallTrace } from "#/sandbox/call_memory_trace.ts";
import { toRefusal } from "#/sandbox/outcome.ts";
import { parseArgs } from "#/sandbox/parse_args.ts";

/** What a memory of calls stands on. */
export interface CallMemoryOptions {
  readonly broker: Broker;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly approvals?: Pick<Approvals, "isInherited">;
  /** What the audit log says of a call. */
  readonly trace: (call: ToolRequest) => Promise<CallTrace>;
  readonly rememberedMax?: number;
  readonly rememberedBytesMax?: number;
  readonly drainMs?: number;
}

/** A broker whose calls outlive the guest that made them. */
export interface CallMemory extends Broker {
  /** Waits `callDrainMs` for the calls that run; what is then left is for `close` to end. */
  drain(): Promise<void>;
  /** Ends what runs in a session and keeps no outcome of it: whether a call of it ran, the audit log still says. */
  forget(session: string): void;
}

/**
 * A broker that runs nothing twice. A call goes on when its guest is gone, and is only ended by a cancel. One that is asked for again
 * (`resumed`) is answered with the outcome that it has or comes to; after a restart the audit log says whether it ran, and then the model
 * is told so, or that nobody knows. Only what never began runs, and what only reads.
 */
export function rememberCalls(options: CallMemoryOptions): CallMemory {
  return new Memory(options);
}

interface Known {
  readonly argsSha256: string;
}

interface Running extends Known {
  readonly outcome: Promise<Outcome>;
  readonly control: AbortController;
  /** Whoever asked last. */
  onOutput: OnOutput | undefined;
}

interface Ended extends Known {
  readonly outcome: Outcome;
  readonly bytes: number;
}

/** Beside an outcome's text. */
const OUTCOME_BYTES = 4_096;
/** A call that ended so may have done its work. */
const UNCERTAIN: ReadonlySet<string> = new Set(
  ["cancelled", "tool_interrupted", "tool_timeout", "tool_crashed", "audit_failed", "internal"] satisfies ErrorCode[],
);
const FORGOTTEN = new AppError("cancelled", "The session was deleted");
const NO_TOOL: ToolIdentity = { name: "", package: "", version: "", sha256: "" };
const CHECK = "whether it took effect is unknown: check before you do it again. It was not run a second time";

class Memory implements CallMemory {
  readonly #options: CallMemoryOptions;
  readonly #running = new Map<string, Running>();
  /** The oldest first. */
  readonly #ended = new Map<string, Ended>();
  #bytes = 0;

  constructor(options: CallMemoryOptions) {
    this.#options = options;
  }

  async call(request: ToolRequest, signal: AbortSignal, onOutput?: OnOutput): Promise<Outcome> {
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const key = toCallKey(request);
    const argsSha256 = sha256Of(canonicalJson(request.args ?? null));
    // A guest that does not say so may have been told another thing: an answer of a person counts for one run.
    const isAgain = request.resumed === true || this.#options.approvals?.isInherited(request) === true;
    const run = () => this.#run(request, { key, argsSha256, onOutput }, signal);
    if (!isAgain) return await run();
    const known = this.#running.get(key) ?? this.#ended.get(key);
    if (known !== undefined && known.argsSha256 !== argsSha256) return otherArgs(request);
    if (known !== undefined && "control" in known) {
      known.onOutput = onOutput;
      return await wait(known, signal);
    }
    if (known !== undefined) return (known as Ended).outcome;
    const tool = this.#options.tools.get(request.tool);
    if (tool === undefined || tool.effect === "read_only") return await run();
    return toLost(request, tool, await this.#options.trace(request)) ?? await run();
  }

  answer: Broker["answer"] = (given) => this.#options.broker.answer(given);

  derived: Broker["derived"] = (session, from) => this.#options.broker.derived(session, from);

  forget(session: string): void {
    const place = `${JSON.stringify([session]).slice(0, -1)},`;
    for (const [key, { control }] of this.#running) if (key.startsWith(place)) control.abort(FORGOTTEN);
    for (const key of this.#ended.keys()) if (key.startsWith(place)) this.#forget(key);
  }

  async drain(): Promise<void> {
    const timer = new AbortController();
    const ends = [...this.#running.values()].map(({ outcome }) => outcome);
    if (ends.length === 0) return;
    await Promise.race([Promise.allSettled(ends), delay(this.#options.drainMs ?? LIMITS.callDrainMs, timer.signal)]);
    timer.abort();
  }

  close(): void {
    this.#options.broker.close();
  }

  async #run(
    request: ToolRequest,
    { key, argsSha256, onOutput }: Pick<Running, "argsSha256" | "onOutput"> & { readonly key: string },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const control = new AbortController();
    const outcome = this.#options.broker.call(request, control.signal, (output) => running.onOutput?.(output));
    const running: Running = { argsSha256, control, outcome, onOutput };
    // A second call of one id is refused by the broker; the first one keeps its place.
    if (!this.#running.has(key)) {
      this.#running.set(key, running);
      const remember = (outcome: Outcome) => {
        if (control.signal.reason !== FORGOTTEN) this.#remember(key, { argsSha256, outcome });
      };
      void running.outcome.then(remember, () => {}).finally(() => this.#running.delete(key));
    }
    return await wait(running, signal);
  }

  /** What only reads is asked for again, and a question is no outcome. */
  #remember(key: string, { argsSha256, outcome }: Known & { readonly outcome: Outcome }): void {
    if (outcome.kind === "ask" || this.#options.tools.get(outcome.tool.name)?.effect === "read_only") return;
    this.#forget(key);
    const bytes = OUTCOME_BYTES + outcome.text.length * 2;
    this.#ended.set(key, { argsSha256, outcome, bytes });
    this.#bytes += bytes;
    const {
      rememberedMax = LIMITS.callsRememberedMax,
      rememberedBytesMax = LIMITS.callsRememberedBytesMax,
    } = this.#options;
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= rememberedMax && this.#bytes <= rememberedBytesMax) return;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#ended.get(key)?.bytes ?? 0;
    this.#ended.delete(key);
  }
}

/** Waits as long as the guest is there: a cancel ends the call, a guest that is gone leaves it running. */
async function wait({ outcome, control }: Running, signal: AbortSignal): Promise<Outcome> {
  const onAbort = () => {
    const { reason } = signal;
    if (!(reason instanceof AppError && reason.code === "tool_interrupted")) control.abort();
  };
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await outcome;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What is told of a call that began before this process did; undefined for one that never began. */
function toLost(request: ToolRequest, tool: Tool, trace: CallTrace): Outcome | undefined {
  if (trace.kind === "none") return undefined;
  const named = { ...NO_TOOL, name: tool.name };
  if (trace.kind === "unknown") return toUnknown(named);
  if (trace.kind === "open") {
    return trace.argsSha256 === toArgsSha256(request, tool) ? toUnknown(trace.tool) : otherArgs(request);
  }
  if (UNCERTAIN.has(trace.code)) return toUnknown(trace.tool);
  const text = trace.code === "ok"
    ? "It ran and succeeded before an interruption; what it said is lost. It was not run a second time."
    : `It ran before an interruption and failed (${trace.code}); what it said is lost. It was not run a second time.`;
  if (trace.code !== "ok") return toRefusal(trace.tool, { kind: "failed", code: trace.code, text });
  return { kind: "ok", tool: trace.tool, text, outputBytes: new TextEncoder().encode(text).length, elapsedMs: 0 };
}

function toUnknown(tool: ToolIdentity): Outcome {
  return toRefusal(tool, { kind: "failed", code: "tool_interrupted", text: `It was interrupted; ${CHECK}.` });
}

function otherArgs({ tool }: ToolRequest): Outcome {
  const text = "A call of this id was made before with other arguments, so this one was not run";
  return toRefusal({ ...NO_TOOL, name: tool }, { kind: "failed", code: "protocol", text });
}

/** As the audit log has it; empty for arguments that no tool took. */
function toArgsSha256({ args }: ToolRequest, tool: Tool): string {
  try {
    return sha256Of(canonicalJson(parseArgs(tool, args)));
  } catch {
    return "";
  }
}
