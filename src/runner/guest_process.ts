import type { Sandbox } from "#/core/capability.ts";
import { AppError, attempt, type ErrorCode, messageOf } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson } from "#/lib/length_json.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import type { Bootstrap, GuestNotice } from "#/app/bootstrap.ts";
import { isListening } from "#/runner/port_owner.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";
import type { BrokerServer } from "#/sandbox/broker_server.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import type { RunnerNotice } from "#/sandbox/call_frames.ts";

const BROKER_SERVER = new URL("../sandbox/broker_server.ts", import.meta.url).href;
const NOTICES = new URL("../app/bootstrap.ts", import.meta.url).href;

/** What a guest runs in, a process of ours or a container: its stdio, its end, and whose its port is. */
export interface GuestBody {
  /** Of its first process, as this machine counts; 0 where that is not known. */
  readonly pid: number;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Settles when it is gone. `reason`, in words, where there is more to say than a code. Never rejects. */
  readonly status: Promise<{ readonly code: number; readonly reason?: string }>;
  /** True when what comes to this port of 127.0.0.1 comes to it and to nobody else. Never rejects. */
  owns(port: number): boolean | Promise<boolean>;
  /** Ends it now. */
  kill(): void;
}

/** A running guest, seen from its runner. */
export interface GuestProcess {
  /** 0 while it is not known. */
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
  readonly broker: Sandbox;
  readonly onClients: (count: number) => void;
  /** A turn begins. */
  readonly onTurn: () => void;
  /** A line of its stderr. */
  readonly onLog: (line: string) => void;
}

/**
 * Starts the guest of a plan, or takes one whose body was started, then asks for its bootstrap and sends it: the process needs longer to
 * come up. Throws AppError `guest_failed` when the process cannot be started.
 */
export function startGuest(
  plan: ProcessPlan | GuestBody,
  bootstrap: () => Promise<Bootstrap>,
  handlers: GuestHandlers,
): GuestProcess {
  return new StartedGuest("command" in plan ? spawnGuest(plan) : plan, bootstrap, handlers);
}

function spawnGuest(plan: ProcessPlan): GuestBody {
  try {
    const child = spawnPiped(plan);
    const { pid, stdin, stdout, stderr, status } = child;
    return {
      pid,
      stdin,
      stdout,
      stderr,
      status,
      owns: (port) => Deno.build.os !== "linux" || isListening(pid, port),
      kill: () => child.kill("SIGKILL"),
    };
  } catch (cause) {
    throw new AppError("guest_failed", "the guest process cannot be started", { cause });
  }
}

class StartedGuest implements GuestProcess {
  readonly listening: Promise<number>;
  readonly exited: Promise<number>;
  #clients = 0;
  #turns = 0;
  #isListening = false;
  readonly #drained = Promise.withResolvers<void>();
  readonly #body: GuestBody;
  readonly #port = Promise.withResolvers<number>();
  readonly #handlers: GuestHandlers;
  /** Absent until the guest has its bootstrap. */
  #link: BrokerServer | undefined;

  constructor(body: GuestBody, bootstrap: () => Promise<Bootstrap>, handlers: GuestHandlers) {
    this.#body = body;
    this.#handlers = handlers;
    this.listening = this.#port.promise;
    this.listening.catch(() => {});
    const talked = this.#open(bootstrap);
    const logged = this.#drainErrors().catch(() => "");
    this.exited = body.status.then(({ code, reason }) => {
      // What it said before it ended may still be on its way, and says more than a number.
      void Promise.all([talked, logged]).then(([, last]) => {
        const words = [reason, last].filter((part) => part !== undefined && part !== "").join(": ");
        const what = `the guest ended with code ${code} before it listened`;
        this.#fail("guest_failed", words === "" ? what : `${what}: ${words}`);
      });
      if (reason !== undefined) handlers.onLog(`runner: the guest ended: ${reason}`);
      return code;
    });
    const timer = setTimeout(() => {
      this.#fail("guest_failed", `the guest did not listen within ${LIMITS.guestStartMs} ms`);
    }, LIMITS.guestStartMs);
    this.listening.finally(() => clearTimeout(timer)).catch(() => {});
  }

  get pid(): number {
    return this.#body.pid;
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
      const writer = this.#body.stdin.getWriter();
      await writer.write(encodeLengthJson(await bootstrap(), LIMITS.bootstrapBytesMax));
      writer.releaseLock();
      // Not literal imports: they are evaluated while the guest starts, not before it.
      const { serveBroker }: typeof import("#/sandbox/broker_server.ts") = await import(BROKER_SERVER);
      const { GuestNotice }: typeof import("#/app/bootstrap.ts") = await import(NOTICES);
      const io = { input: new ByteReader(this.#body.stdout), output: this.#body.stdin };
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
      this.#fail("guest_failed", `the guest did not take its bootstrap: ${messageOf(error)}`);
      this.#kill();
    }
  }

  #take(notice: GuestNotice): void {
    switch (notice.type) {
      case "listening":
        // Its address is written down once: a second one would be nobody's.
        if (this.#isListening) throw new AppError("protocol", "the guest says twice where it listens");
        this.#isListening = true;
        return void this.#takePort(notice.port);
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
  async #takePort(port: number): Promise<void> {
    if (await this.#body.owns(port)) return this.#port.resolve(port);
    this.#fail("guest_failed", `the guest says that it listens on port ${port}, and it does not`);
    this.#kill();
  }

  /** Its last line, cut. */
  async #drainErrors(): Promise<string> {
    let pending = "";
    let last = "";
    for await (
      const text of this.#body.stderr.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    ) {
      const lines = (pending + text).split("\n");
      pending = lines.pop()!.slice(0, LIMITS.logLineCharsMax);
      for (const line of lines) this.#handlers.onLog(line.slice(0, LIMITS.logLineCharsMax));
      last = lines.at(-1) ?? last;
    }
    if (pending !== "") this.#handlers.onLog(pending);
    return (pending === "" ? last : pending).slice(0, LIMITS.lastWordsCharsMax);
  }

  #fail(code: ErrorCode, message: string): void {
    this.#port.reject(new AppError(code, message));
  }

  /** It may be gone already. */
  #kill(): void {
    attempt(() => this.#body.kill());
  }
}
