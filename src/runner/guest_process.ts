import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson } from "#/lib/length_json.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import { type Bootstrap, GuestNotice } from "#/app/bootstrap.ts";
import { isListening } from "#/runner/port_owner.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";
import type { Broker } from "#/sandbox/broker.ts";
import type { BrokerServer } from "#/sandbox/broker_server.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import type { RunnerNotice } from "#/sandbox/call_frames.ts";

const BROKER_SERVER = new URL("../sandbox/broker_server.ts", import.meta.url).href;

/** A running guest, seen from its runner. */
export interface GuestProcess {
  readonly pid: number;
  /** The port it listens on. Throws AppError: what the guest said, or `guest_failed` when it ended or was silent for `guestStartMs`. */
  readonly listening: Promise<number>;
  /** Clients connected now. */
  readonly clients: number;
  /** Turns that run or wait for their lane now: its word. */
  readonly turns: number;
  /** Asks the guest for an attachment of a turn. Throws AppError: what the guest says, `tool_interrupted` when it is gone, `cancelled`. */
  readonly attachment: FetchAttachment;
  /** Tells the guest something outside any call; nothing happens when it is gone. */
  notify(notice: RunnerNotice): void;
  /** Has it take no new turn; resolves when none runs any more, when it is gone, or after `ms`. */
  drain(ms: number): Promise<void>;
  /** Settles when the process is gone, with its exit code. Never rejects. */
  readonly exited: Promise<number>;
  /** Ends its stdin, waits `guestStopMs`, then kills it. */
  close(): Promise<void>;
}

/** What serves the guest, and who is told of its clients. */
export interface GuestHandlers {
  readonly broker: Pick<Broker, "call" | "answer" | "derived">;
  readonly onClients: (count: number) => void;
  /** A turn begins. */
  readonly onTurn: () => void;
  /** A line of its stderr. */
  readonly onLog: (line: string) => void;
}

/**
 * Starts the guest of a plan, then asks for its bootstrap and sends it: the process needs longer to come up. Throws AppError
 * `guest_failed` when the process cannot be started.
 */
export function startGuest(
  plan: ProcessPlan,
  bootstrap: () => Promise<Bootstrap>,
  handlers: GuestHandlers,
): GuestProcess {
  let child: Deno.ChildProcess;
  try {
    child = spawnPiped(plan);
  } catch (cause) {
    throw new AppError("guest_failed", "the guest process cannot be started", { cause });
  }
  return new SpawnedGuest(child, bootstrap, handlers);
}

class SpawnedGuest implements GuestProcess {
  readonly pid: number;
  readonly listening: Promise<number>;
  readonly exited: Promise<number>;
  #clients = 0;
  #turns = 0;
  #isListening = false;
  readonly #drained = Promise.withResolvers<void>();
  readonly #child: Deno.ChildProcess;
  readonly #port = Promise.withResolvers<number>();
  readonly #handlers: GuestHandlers;
  /** Absent until the guest has its bootstrap. */
  #link: BrokerServer | undefined;

  constructor(child: Deno.ChildProcess, bootstrap: () => Promise<Bootstrap>, handlers: GuestHandlers) {
    this.#child = child;
    this.#handlers = handlers;
    this.pid = child.pid;
    this.listening = this.#port.promise;
    this.listening.catch(() => {});
    const talked = this.#open(bootstrap);
    this.exited = child.status.then(({ code }) => {
      // What it said before it ended may still be on its way, and says more than a number.
      void talked.then(() => this.#fail("guest_failed", `the guest ended with code ${code} before it listened`));
      return code;
    });
    const timer = setTimeout(() => {
      this.#fail("guest_failed", `the guest did not listen within ${LIMITS.guestStartMs} ms`);
    }, LIMITS.guestStartMs);
    this.listening.finally(() => clearTimeout(timer)).catch(() => {});
    void this.#drainErrors();
  }

  get clients(): number {
    return this.#clients;
  }

  get turns(): number {
    return this.#turns;
  }

  readonly attachment: FetchAttachment = async (place, signal) => {
    if (this.#link === undefined) throw new AppError("tool_interrupted", "the guest is not there yet");
    return await this.#link.attachment(place, signal);
  };

  notify(notice: RunnerNotice): void {
    this.#link?.notify(notice).catch(() => {});
  }

  async drain(ms: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, ms);
    this.notify({ v: 1, type: "drain" });
    await Promise.race([this.#drained.promise, this.exited, late.promise]);
    clearTimeout(timer);
  }

  async close(): Promise<void> {
    await this.#link?.close();
    const timer = setTimeout(() => this.#kill(), LIMITS.guestStopMs);
    await this.exited;
    clearTimeout(timer);
  }

  async #open(bootstrap: () => Promise<Bootstrap>): Promise<void> {
    try {
      const writer = this.#child.stdin.getWriter();
      await writer.write(encodeLengthJson(await bootstrap(), LIMITS.bootstrapBytesMax));
      writer.releaseLock();
      // Not a literal import: it is evaluated while the guest starts, not before it.
      const { serveBroker }: typeof import("#/sandbox/broker_server.ts") = await import(BROKER_SERVER);
      const io = { input: new ByteReader(this.#child.stdout), output: this.#child.stdin };
      this.#link = serveBroker(io, this.#handlers.broker, {
        schema: GuestNotice,
        onNotice: (notice) => this.#take(notice),
      });
      const broken = await this.#link.closed;
      // A guest that breaks the protocol is not talked to again.
      if (broken !== undefined) {
        this.#handlers.onLog(`runner: the guest's link ended: ${broken.message}`);
        this.#kill();
      }
    } catch (error) {
      this.#fail(
        "guest_failed",
        `the guest did not take its bootstrap: ${error instanceof Error ? error.message : error}`,
      );
      this.#kill();
    }
  }

  #take(notice: GuestNotice): void {
    switch (notice.type) {
      case "listening":
        return this.#takePort(notice.port);
      case "failed":
        return this.#fail(notice.code as ErrorCode, notice.message);
      case "turn":
        return this.#handlers.onTurn();
      case "turns":
        this.#turns = notice.count;
        return;
      case "drained":
        return this.#drained.resolve();
      case "clients":
        this.#clients = notice.count;
        return this.#handlers.onClients(notice.count);
    }
  }

  /** Clients would take their token and their words to whoever listens there. */
  #takePort(port: number): void {
    // Its address is written down once: a second one would be nobody's.
    if (this.#isListening) throw new AppError("protocol", "the guest says twice where it listens");
    this.#isListening = true;
    if (Deno.build.os !== "linux" || isListening(this.pid, port)) return this.#port.resolve(port);
    this.#fail("guest_failed", `the guest says that it listens on port ${port}, and it does not`);
    this.#kill();
  }

  async #drainErrors(): Promise<void> {
    let pending = "";
    for await (
      const text of this.#child.stderr.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    ) {
      const lines = (pending + text).split("\n");
      pending = lines.pop()!.slice(0, LIMITS.logLineCharsMax);
      for (const line of lines) this.#handlers.onLog(line.slice(0, LIMITS.logLineCharsMax));
    }
    if (pending !== "") this.#handlers.onLog(pending);
  }

  #fail(code: ErrorCode, message: string): void {
    this.#port.reject(new AppError(code, message));
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It is gone already.
    }
  }
}
