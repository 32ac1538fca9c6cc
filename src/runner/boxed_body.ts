import { AppError, toPublicError } from "#/core/error.ts";
import type { GuestBody } from "#/runner/guest_process.ts";
import { killContainer } from "#/sandbox/tier_container_process.ts";
import type { Engine } from "#/sandbox/engine.ts";
import type { ContainerPlan } from "#/sandbox/engine_body.ts";

/** Exit code of what was ended by SIGKILL. */
const KILLED = 137;
/** Of a container that never ran, as `docker run` has it. */
const NOT_STARTED = 125;

/**
 * A guest in a container, from before the container is there. What keeps it from running is the reason of its end. Its container is gone, or
 * its engine is, when `status` settles.
 */
export class BoxedBody implements GuestBody {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly status: Promise<{ code: number; reason?: string }>;
  readonly #engine: Engine;
  readonly #name: string;
  readonly #setup = new AbortController();
  readonly #in = new TransformStream<Uint8Array, Uint8Array>();
  readonly #out = new TransformStream<Uint8Array, Uint8Array>();
  readonly #err = new TransformStream<Uint8Array, Uint8Array>();
  readonly #lost = Promise.withResolvers<never>();
  #id: string | undefined;
  #pid = 0;
  #isKilled = false;

  /** Begins at once. */
  constructor(engine: Engine, name: string, plan: Promise<ContainerPlan>) {
    this.#engine = engine;
    this.#name = name;
    this.stdin = this.#in.writable;
    this.stdout = this.#out.readable;
    this.stderr = this.#err.readable;
    this.#lost.promise.catch(() => {});
    this.status = this.#live(plan);
  }

  get pid(): number {
    return this.#pid;
  }

  async owns(port: number): Promise<boolean> {
    try {
      // The engine itself listens, since before the guest ran; `inspect` says for whom.
      const state = await this.#engine.inspect(this.#id!, this.#setup.signal);
      return state?.isRunning === true && state.ports[port] === port;
    } catch {
      return false;
    }
  }

  kill(): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    this.#setup.abort();
    if (this.#id === undefined) return;
    this.#engine.kill(this.#id, "SIGKILL", new AbortController().signal).catch((error) => this.#lost.reject(error));
  }

  async #live(plan: Promise<ContainerPlan>): Promise<{ code: number; reason?: string }> {
    try {
      const code = await this.#run(await plan);
      const reason = await this.#why(code);
      return reason === undefined ? { code } : { code, reason };
    } catch (error) {
      // An engine that is lost leaves what ran: the next guest would find its event log held.
      if (this.#id !== undefined) await killContainer({ pid: this.#pid, id: this.#id });
      return { code: this.#isKilled ? KILLED : NOT_STARTED, reason: toReason(error) };
    } finally {
      await this.#end();
    }
  }

  /** From creation to the end of its process. */
  async #run(plan: ContainerPlan): Promise<number> {
    const engine = this.#engine;
    const { signal } = this.#setup;
    // One that a lost engine could not remove.
    await engine.remove(this.#name, signal);
    // To its end, also when it is killed meanwhile: the engine would go on, and nobody would remove what it made.
    this.#id = await engine.create(this.#name, plan, new AbortController().signal);
    if (signal.aborted) throw new AppError("cancelled", "it was stopped before it ran");
    const io = await engine.attach(this.#id, signal);
    const quiet = () => {};
    this.#in.readable.pipeTo(io.stdin).catch(quiet);
    const said = Promise.all([io.stdout.pipeTo(this.#out.writable), io.stderr.pipeTo(this.#err.writable)]).catch(quiet);
    try {
      await engine.start(this.#id, signal);
      this.#pid = (await engine.inspect(this.#id, signal))?.pid ?? 0;
      const ended = engine.wait(this.#id, new AbortController().signal);
      const code = await Promise.race([ended, this.#lost.promise]);
      await said;
      return code;
    } finally {
      io.close();
    }
  }

  async #why(code: number): Promise<string | undefined> {
    const state = await this.#engine.inspect(this.#id!, new AbortController().signal);
    if (state?.oomKilled) return "it needed more memory than [resources] max_memory_mib gives it";
    if (state !== undefined && state.error !== "") return state.error;
    return code === KILLED && !this.#isKilled ? "its container was killed" : undefined;
  }

  /** Whoever still reads finds the end; whoever still writes is let go. */
  async #end(): Promise<void> {
    const quiet = () => {};
    if (!this.#in.readable.locked) void this.#in.readable.pipeTo(new WritableStream()).catch(quiet);
    for (const { writable } of [this.#out, this.#err]) if (!writable.locked) void writable.close().catch(quiet);
    if (this.#id !== undefined) await this.#engine.remove(this.#id, new AbortController().signal).catch(quiet);
  }
}

function toReason(error: unknown): string {
  if (error instanceof AppError) return error.message;
  return toPublicError(error, crypto.randomUUID()).message;
}
