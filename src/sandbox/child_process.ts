import { concatBytes } from "#/lib/bytes.ts";
import { AppError, attempt, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { encodeByteFrames, encodeJsonFrame, type Frame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import { endProcess } from "#/sandbox/ask_process.ts";
import type { ChildPlan } from "#/sandbox/child_plan.ts";
import { FromChildFrame, toErrorCode } from "#/sandbox/child_frames.ts";
import type { ComponentPackage } from "#/sandbox/component.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import type { FromChild, HostCall, ToChild } from "#/sandbox/host_call.ts";
import type { ToolReply } from "#/sandbox/outcome.ts";

/** One call of a tool in a child. `interfaces` are those that its grant opens. */
export interface ChildRequest {
  readonly tool: string;
  readonly args: unknown;
  readonly timeoutMs: number;
  readonly interfaces: readonly string[];
}

/** The broker's answer to one host call; what it throws as AppError reaches the component as a failure. */
export type OnHostCall = (call: HostCall, signal: AbortSignal) => Promise<HostAnswer>;

/** A call under way. */
interface Running {
  readonly id: number;
  readonly onHostCall: OnHostCall;
  /** Fires at the deadline, on cancel and when the child dies. */
  readonly host: AbortController;
  readonly done: PromiseWithResolvers<ToolReply>;
  readonly startedAt: number;
  readonly deadlineAt: number;
  asking: boolean;
  /** The last answer is in the child's pipe. */
  answered: Promise<void>;
  result: Extract<FromChild, { type: "result" }> | undefined;
  content: Uint8Array<ArrayBuffer>;
  filled: number;
}

const decoder = new TextDecoder();

/**
 * One tool child. Whatever it does that the protocol does not expect kills it; a killed child answers its call and takes no other.
 * Never throws from inside: `call` resolves for every trouble of the tool and rejects only for `cancelled`.
 */
export class ToolChild {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #loaded = Promise.withResolvers<string>();
  readonly #ended: Promise<void>;
  readonly #watch: ReturnType<typeof setInterval>;
  #running: Running | undefined;
  #dead = false;
  #calls = 0;

  /** Starts the process. Throws AppError `tool_crashed` when it cannot be started. */
  constructor(plan: ChildPlan) {
    try {
      this.#process = spawnPiped(plan);
    } catch (cause) {
      throw new AppError("tool_crashed", "a tool process could not be started", { cause });
    }
    this.#writer = this.#process.stdin.getWriter();
    this.#loaded.promise.catch(() => {});
    this.#watch = setInterval(() => this.#checkMemory(), LIMITS.childWatchMs);
    Deno.unrefTimer(this.#watch);
    this.#ended = Promise.all([this.#readFrames(), this.#drainStderr(), this.#process.status]).then(() =>
      this.#onGone()
    );
  }

  /** Process id; `setpriv` executes Deno in its own place, so it is the child's. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Calls that were started. */
  get calls(): number {
    return this.#calls;
  }

  /** True when it takes no more calls. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Resolves when the process is gone. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /**
   * Sends the component and waits until it is loaded. Returns what it says of itself. Throws AppError `tool_crashed` when it is not
   * loaded in time.
   */
  async load(component: ComponentPackage, timeoutMs: number = LIMITS.childStartMs): Promise<string> {
    const timer = setTimeout(() => this.kill(), timeoutMs);
    const files = component.files.map(({ name, bytes }) => ({ name, bytes: bytes.length }));
    const frames = component.files.flatMap(({ bytes }) => [...encodeByteFrames(0, bytes)]);
    let describe: string;
    try {
      [describe] = await Promise.all([
        this.#loaded.promise,
        this.#send([encodeHead(0, { v: 1, type: "load", package: component.package, files }), ...frames]),
      ]);
    } finally {
      clearTimeout(timer);
    }
    // It said that it is loaded, and did not even read what.
    if (this.#dead) throw new AppError("tool_crashed", "the tool's process did not take its component");
    return describe;
  }

  /** Resident memory in bytes; 0 where the system does not say. */
  residentBytes(): number {
    const status = attempt(() => Deno.readTextFileSync(`/proc/${this.pid}/status`)) ?? "";
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
  }

  /** Ends the process at once. Its running call, if any, ends as crashed. */
  kill(): void {
    this.#dead = true;
    endProcess(this.#process);
  }

  /** Runs one call. Throws AppError `cancelled` when the signal fires; the child is dead then. One at a time. */
  async call(request: ChildRequest, onHostCall: OnHostCall, signal: AbortSignal): Promise<ToolReply> {
    if (this.#running !== undefined || this.#dead) throw new RangeError("a tool child takes one call at a time, alive");
    const running = this.#begin(request, onHostCall);
    const onDeadline = () => running.host.abort(new AppError("tool_timeout", "the call reached its deadline"));
    const deadline = setTimeout(onDeadline, request.timeoutMs);
    const grace = setTimeout(
      () => this.#fail("tool_timeout", toTimeoutText(request)),
      request.timeoutMs + LIMITS.killGraceMs,
    );
    const onCancel = () => this.#cancel();
    signal.addEventListener("abort", onCancel, { once: true });
    try {
      if (signal.aborted) this.#cancel();
      const { tool, args, timeoutMs, interfaces } = request;
      await this.#send([encodeHead(running.id, { v: 1, type: "call", tool, args, timeoutMs, interfaces })]);
      const outcome = await running.done.promise;
      return outcome.code === "tool_timeout" ? { ...outcome, text: toTimeoutText(request) } : outcome;
    } finally {
      clearTimeout(deadline);
      clearTimeout(grace);
      signal.removeEventListener("abort", onCancel);
      this.#running = undefined;
      running.host.abort(new AppError("cancelled", "the call has ended"));
    }
  }

  #begin(request: ChildRequest, onHostCall: OnHostCall): Running {
    const startedAt = performance.now();
    this.#calls++;
    this.#running = {
      id: this.#calls,
      onHostCall,
      host: new AbortController(),
      done: Promise.withResolvers<ToolReply>(),
      startedAt,
      deadlineAt: startedAt + request.timeoutMs,
      asking: false,
      answered: Promise.resolve(),
      result: undefined,
      content: new Uint8Array(0),
      filled: 0,
    };
    // A call that is cancelled while its head is still being written has nobody waiting yet.
    this.#running.done.promise.catch(() => {});
    return this.#running;
  }

  #cancel(): void {
    this.kill();
    this.#running?.done.reject(new AppError("cancelled", "the call was cancelled"));
  }

  /** Ends the running call as failed, and the process with it. */
  #fail(code: ErrorCode, text: string): void {
    this.kill();
    this.#loaded.reject(new AppError("tool_crashed", text));
    const running = this.#running;
    running?.done.resolve({ ok: false, code, text, outputBytes: 0, elapsedMs: performance.now() - running.startedAt });
  }

  /** V8's flags bound its heap and the memory of components, not what hostile glue allocates beside them. */
  #checkMemory(): void {
    if (this.#dead || this.residentBytes() <= LIMITS.childBytesMax) return;
    const used = `used more than ${LIMITS.childBytesMax} bytes of memory`;
    this.#fail("tool_crashed", `the tool's process ${used} and was stopped`);
  }

  #onGone(): void {
    clearInterval(this.#watch);
    const late = this.#running !== undefined && performance.now() >= this.#running.deadlineAt;
    this.#fail(late ? "tool_timeout" : "tool_crashed", "the tool's process ended before it answered");
  }

  /** Writes frames. A pipe that is closed says nothing here: the end of the process does. */
  async #send(frames: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    try {
      await this.#writer.write(concatBytes(frames));
    } catch {
      this.kill();
    }
  }

  async #readFrames(): Promise<void> {
    const frames = new FrameDecoder();
    try {
      for await (const chunk of this.#process.stdout) {
        if (this.#dead) continue;
        for (const frame of frames.push(chunk)) this.#onFrame(frame);
      }
    } catch (error) {
      const reason = error instanceof AppError ? error.message : "an unreadable frame";
      this.#fail("tool_crashed", `the tool's process broke its protocol (${reason}) and was stopped`);
      await this.#process.stdout.cancel().catch(() => {});
    }
  }

  #onFrame(frame: Frame): void {
    const running = this.#running;
    if (running?.result !== undefined) return this.#onContent(running, frame);
    const parsed = FromChildFrame.safeParse(jsonOf(frame));
    if (!parsed.success) throw new AppError("protocol", "a malformed frame");
    const message = parsed.data;
    if (running === undefined) return this.#onLoading(message);
    if (frame.callId !== running.id || running.asking) throw new AppError("protocol", "a frame out of turn");
    if (message.type === "host") return void this.#answer(running, message.call);
    if (message.type !== "result") throw new AppError("protocol", `an unexpected ${message.type}`);
    running.result = message;
    running.content = new Uint8Array(message.contentBytes);
    if (message.contentBytes === 0) this.#finish(running, message);
  }

  #onLoading(message: FromChild): void {
    if (this.#calls > 0) throw new AppError("protocol", "a frame outside of a call");
    if (message.type === "loaded") return this.#loaded.resolve(message.describe ?? "");
    if (message.type !== "load_failed") throw new AppError("protocol", `an unexpected ${message.type}`);
    this.#fail("tool_crashed", `the component could not be loaded: ${message.message}`);
  }

  #onContent(running: Running, frame: Frame): void {
    const room = running.content.length - running.filled;
    if (frame.kind !== 1 || frame.callId !== running.id || frame.body.length === 0 || frame.body.length > room) {
      throw new AppError("protocol", "content that does not match its head");
    }
    running.content.set(frame.body, running.filled);
    running.filled += frame.body.length;
    if (running.filled === running.content.length) this.#finish(running, running.result!);
  }

  #finish(running: Running, result: Extract<FromChild, { type: "result" }>): void {
    const code = result.ok ? "ok" : toErrorCode(result.code);
    // After a timeout nothing in that process is trusted.
    if (code === "tool_timeout") this.kill();
    this.#running = undefined;
    running.done.resolve({
      ok: result.ok,
      code,
      text: decoder.decode(running.content),
      outputBytes: result.outputBytes,
      elapsedMs: performance.now() - running.startedAt,
    });
  }

  async #answer(running: Running, call: HostCall): Promise<void> {
    running.asking = true;
    // A child that asks and does not read would have us keep every answer.
    await running.answered;
    const frames = await toAnswer(running.id, running.onHostCall, call, running.host.signal);
    if (this.#running !== running) return;
    running.asking = false;
    running.answered = this.#send(frames);
  }

  /** Keeps stderr flowing; a child that floods it is killed. */
  async #drainStderr(): Promise<void> {
    let bytes = 0;
    for await (const chunk of this.#process.stderr) {
      bytes += chunk.length;
      if (bytes > LIMITS.childStderrBytesMax && !this.#dead) {
        this.#fail("tool_crashed", "the tool's process flooded stderr and was stopped");
      }
    }
  }
}

/** The frames of one answer; an AppError keeps its code and words, anything else says nothing. */
async function toAnswer(
  id: number,
  onHostCall: OnHostCall,
  call: HostCall,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>[]> {
  try {
    signal.throwIfAborted();
    const { value, content = new Uint8Array(0) } = await onHostCall(call, signal);
    const head = encodeHead(id, { v: 1, type: "answer", ok: true, value, contentBytes: content.length });
    return [head, ...encodeByteFrames(id, content)];
  } catch (error) {
    const { code, message } = error instanceof AppError ? error : toUnanswered(error);
    return [encodeHead(id, { v: 1, type: "answer", ok: false, code, message })];
  }
}

/** A RangeError is the frame's bound: a listing of thousands of long names. */
function toUnanswered(error: unknown): AppError {
  if (error instanceof RangeError) {
    return new AppError("quota_exceeded", "the answer is too large: ask for a smaller part");
  }
  return new AppError("tool_failed", "the host could not answer");
}

function encodeHead(callId: number, message: ToChild): Uint8Array<ArrayBuffer> {
  return encodeJsonFrame(callId, message);
}

function toTimeoutText(request: ChildRequest): string {
  return `${request.tool} was stopped at its deadline of ${request.timeoutMs} ms`;
}
