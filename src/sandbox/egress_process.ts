import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { drain, spawnPiped } from "#/lib/spawn_piped.ts";
import { type Link, openLink } from "#/lib/link.ts";
import { endProcess } from "#/sandbox/ask_process.ts";
import { type EgressCall, EgressHead } from "#/sandbox/egress_frames.ts";
import type { EgressPlan } from "#/sandbox/egress_plan.ts";

/** What came back. `head.address` is for the audit, never for a model. */
export interface EgressResponse {
  readonly head: EgressHead;
  readonly content: Uint8Array;
}

/** One egress process, seen from the runner. What breaks the protocol or hangs is killed. */
export class EgressProcess {
  readonly #child: Deno.ChildProcess;
  readonly #link: Link;
  readonly #graceMs: number;
  #dead = false;

  /** Starts it. `graceMs` is what it may be late beyond a request's time. Throws AppError `egress_failed` when it cannot be started. */
  constructor(plan: EgressPlan, onLog: (line: string) => void, graceMs: number = LIMITS.egressGraceMs) {
    this.#graceMs = graceMs;
    try {
      this.#child = spawnPiped(plan);
    } catch (cause) {
      throw new AppError("egress_failed", "The egress process cannot be started", { cause });
    }
    const io = { input: new ByteReader(this.#child.stdout), output: this.#child.stdin };
    this.#link = openLink(io, {}, { contentBytesMax: LIMITS.egressDownBytesMax });
    // The end of its output is its end, whatever it says: nothing would answer any more.
    void this.#link.closed.then(() => this.kill());
    void drain(this.#child.stderr, onLog);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** True when it takes no more requests. */
  get dead(): boolean {
    return this.#dead;
  }

  /** One exchange. Throws AppError: what the process said, `egress_timeout`, `cancelled`, or `egress_failed` when it died. */
  async request(call: EgressCall, signal: AbortSignal): Promise<EgressResponse> {
    let late = false;
    // It keeps its own deadline; this one is for a process that hangs.
    const grace = setTimeout(() => {
      late = true;
      this.kill();
    }, call.timeoutMs + this.#graceMs);
    try {
      const { body, content } = await this.#link.request(call, signal);
      const head = EgressHead.safeParse(body);
      if (head.success && content.length === head.data.bodyBytes && content.length <= call.downBytesMax) {
        return { head: head.data, content };
      }
      this.kill();
      throw new AppError("egress_failed", "The egress process answered with something else and was stopped");
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "tool_interrupted") throw error;
      if (late) {
        throw new AppError("egress_timeout", "The egress process did not answer and was stopped", { cause: error });
      }
      throw new AppError("egress_failed", "The egress process ended during the request", { cause: error });
    } finally {
      clearTimeout(grace);
    }
  }

  /** Ends it at once; resolves when it is gone. */
  async close(): Promise<void> {
    this.kill();
    await this.#link.close();
    await this.#child.status;
  }

  /** Ends it at once. */
  kill(): void {
    this.#dead = true;
    endProcess(this.#child);
  }
}
