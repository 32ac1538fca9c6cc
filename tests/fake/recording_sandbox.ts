import type { GivenAnswer, Outcome, Sandbox, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";

/** What a fake tool does: text for `ok`, or an outcome; it may wait, and sees the signal. */
export type FakeTool = (request: ToolRequest, signal: AbortSignal) => unknown;

/** A sandbox of functions that writes down what started, what ended and how many ran at once. */
export class RecordingSandbox implements Sandbox {
  /** `start:callId` and `end:callId`, in order; a test may add its own marks. */
  readonly journal: string[] = [];
  readonly requests: ToolRequest[] = [];
  runningMost = 0;
  #running = 0;
  readonly #tools: Readonly<Record<string, FakeTool>>;

  constructor(tools: Readonly<Record<string, FakeTool>>) {
    this.#tools = tools;
  }

  /** What was passed on. */
  readonly answers: GivenAnswer[] = [];

  /** Sessions that were made from others. */
  readonly made: (readonly [session: string, from: string | undefined])[] = [];

  derived(session: string, from: string | undefined): Promise<void> {
    this.made.push([session, from]);
    return Promise.resolve();
  }

  /** Sessions that were deleted. */
  readonly forgotten: string[] = [];

  forget(session: string): Promise<void> {
    this.forgotten.push(session);
    return Promise.resolve();
  }

  answer(given: GivenAnswer): Promise<void> {
    this.answers.push(given);
    return Promise.resolve();
  }

  async call(request: ToolRequest, signal: AbortSignal): Promise<Outcome> {
    this.requests.push(request);
    if (signal.aborted) throw new AppError("cancelled", "cancelled");
    this.journal.push(`start:${request.callId}`);
    this.runningMost = Math.max(this.runningMost, ++this.#running);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(new AppError("cancelled", "cancelled"));
    signal.addEventListener("abort", abort, { once: true });
    try {
      const value = await Promise.race([this.#tools[request.tool]!(request, signal), aborted.promise]);
      return typeof value === "string" ? ok(request.tool, value) : value as Outcome;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#running--;
      this.journal.push(`end:${request.callId}`);
    }
  }
}

/** An outcome as the runner gives it for a call that was granted and succeeded. */
export function ok(tool: string, text: string, outputBytes = new TextEncoder().encode(text).length): Outcome {
  return { kind: "ok", tool: identity(tool), decision: granted(), text, outputBytes, elapsedMs: 3 };
}

/** An outcome of a call that policy refused. */
export function denied(tool: string, text: string): Outcome {
  const decision = { kind: "denied", missing: [], policyDigest: "d", source: "default", reason: text } as const;
  return { kind: "denied", tool: identity(tool), decision, code: "tool_denied", text, outputBytes: 0, elapsedMs: 1 };
}

/** An outcome of a call that never reached policy, or failed. */
export function failed(tool: string, code: NonNullable<Outcome["code"]>, text: string): Outcome {
  return { kind: "failed", tool: identity(tool), code, text, outputBytes: 0, elapsedMs: 1 };
}

function identity(name: string): Outcome["tool"] {
  return { name, package: "files", version: "1", sha256: "0" };
}

function granted(): NonNullable<Outcome["decision"]> {
  const grant = { id: "g", capabilities: [], source: "default:fs.read", expiresAt: 2_000_000_000_000 };
  return { kind: "granted", grant, policyDigest: "d", source: "default:fs.read" };
}

/** An outcome of a call that a person decides about. */
export function asks(request: ToolRequest, id = `card-${request.callId}`): Outcome {
  const { session, turn, callId, principal } = request;
  const reason = `${request.tool}: a person decides`;
  const asked = { policyDigest: "d", source: "default:vault", reason, answer: "owner" } as const;
  const place = { session, turn, callId, principal, tool: identity(request.tool) };
  const card = { id, key: "k", ...place, argsSha256: "a", wanted: [], lines: [], reason, answer: "owner" } as const;
  return {
    kind: "ask",
    tool: identity(request.tool),
    decision: { kind: "ask", wanted: [], missing: [], ...asked },
    card: { ...card, askedAt: 1, expiresAt: 2 },
    code: "approval_needed",
    text: reason,
    outputBytes: 0,
    elapsedMs: 0,
  };
}
