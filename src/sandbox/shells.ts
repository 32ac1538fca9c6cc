import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ShellCall, ShellResult, Shells } from "#/sandbox/shell.ts";
import { SHELL_ARGV, ShellSession } from "#/sandbox/shell_session.ts";
import type { TierDriver, WalledSpec } from "#/sandbox/tier.ts";
import type { Forwarder } from "#/sandbox/tunnel_forward.ts";
import type { ConnectTarget, Tunnel, Tunnels } from "#/sandbox/tunnel.ts";

/** What runs behind the walls so that programs find the tunnel: started once a shell, with the first command that may connect. */
export interface ShellForwarder extends Forwarder {
  /** Of every command after it, e.g. HTTPS_PROXY. */
  readonly proxyEnv: Readonly<Record<string, string>>;
}

/** What shells are opened with. */
export interface ShellsOptions extends Pick<WalledSpec, "user" | "mounts" | "env" | "limits"> {
  readonly driver: Pick<TierDriver, "open">;
  /** Ways out; without them no command connects anywhere. */
  readonly tunnels?: Tunnels;
  readonly forwarder?: ShellForwarder;
  /** Told of a shell's life, a line each, never of what it ran or wrote. */
  readonly onLog: (line: string) => void;
  readonly sessionsMax?: number;
  readonly idleMs?: number;
}

/** Opens the shells of one user; none is started yet. */
export function openShells(options: ShellsOptions): Shells {
  return new UserShells(options);
}

/** One session's shell. */
class Slot {
  readonly id = `sh-${crypto.randomUUID().slice(0, 13)}`;
  connect: readonly ConnectTarget[] = [];
  shell: ShellSession | undefined;
  tunnel: Tunnel | undefined;
  hasForwarder = false;
  /** Why the shell before this one is gone; told once. */
  lost: string | undefined;
  commands = 0;
  usedAt = performance.now();
  waiting = 0;
  last: Promise<unknown> = Promise.resolve();
  readonly ended = new AbortController();
}

class UserShells implements Shells {
  readonly #options: ShellsOptions;
  readonly #slots = new Map<string, Slot>();
  /** Ends of shells whose place is free already. */
  readonly #ending = new Set<Promise<void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: ShellsOptions) {
    this.#options = options;
  }

  async exec(call: ShellCall, signal: AbortSignal): Promise<ShellResult> {
    if (signal.aborted) throw new AppError("cancelled", "The command was cancelled");
    const { slot, room } = this.#slot(call.session);
    if (slot.waiting > LIMITS.shellWaitingMax) {
      throw new AppError("queue_full", `${LIMITS.shellWaitingMax} commands of this session wait already`);
    }
    slot.waiting++;
    const before = slot.last;
    const turn = Promise.withResolvers<void>();
    slot.last = turn.promise;
    try {
      await Promise.all([before, room]);
      return await this.#exec(slot, call, AbortSignal.any([signal, slot.ended.signal]));
    } catch (error) {
      if (!slot.ended.signal.aborted || signal.aborted) throw error;
      throw new AppError("shell_ended", "The shell was ended while the command ran or waited", { cause: error });
    } finally {
      slot.waiting--;
      slot.usedAt = performance.now();
      turn.resolve();
      this.#arm();
    }
  }

  async kill(session: string): Promise<void> {
    const slot = this.#slots.get(session);
    if (slot === undefined) return;
    this.#slots.delete(session);
    const end = this.#end(slot, "it was ended").finally(() => this.#ending.delete(end));
    this.#ending.add(end);
    await end;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await Promise.all([...this.#slots.keys()].map((session) => this.kill(session)));
  }

  async #exec(slot: Slot, call: ShellCall, signal: AbortSignal): Promise<ShellResult> {
    if (signal.aborted) throw new AppError("cancelled", "The command was cancelled");
    const startedAt = performance.now();
    const notes: string[] = [];
    if (slot.shell?.over !== undefined) await this.#drop(slot, slot.shell.over);
    if (slot.lost !== undefined) {
      notes.push(
        `This is a new shell, for the last one is gone (${slot.lost}): folder, variables and processes are lost`,
      );
    }
    slot.shell ??= await this.#open(slot, signal);
    slot.lost = undefined;
    slot.connect = call.connect;
    const command = `command ${++slot.commands}`;
    try {
      if (call.connect.length > 0) await this.#connect(slot, slot.shell, signal);
      const result = await slot.shell.exec(call, signal);
      const how = result.exitCode === undefined ? "ended from outside" : `exit ${result.exitCode}`;
      this.#log(
        slot,
        `${command}: ${how}, ${Math.round(performance.now() - startedAt)} ms, ${result.outputBytes} bytes`,
      );
      return { ...result, notes: [...notes, ...result.notes] };
    } catch (error) {
      this.#log(slot, `${command}: ${error instanceof AppError ? error.code : "failed"}`);
      throw error;
    } finally {
      slot.connect = [];
      // A process that cannot be told is stopped by then, and its connections with it: the result counts all the same.
      if (call.connect.length > 0) await slot.tunnel?.cut().catch(() => this.#log(slot, "its way out was stopped"));
      const over = slot.shell?.over;
      if (over !== undefined) await this.#drop(slot, over);
    }
  }

  async #open(slot: Slot, signal: AbortSignal): Promise<ShellSession> {
    const { driver, tunnels, forwarder, user, mounts, env, limits } = this.#options;
    const startedAt = performance.now();
    const { id } = slot;
    slot.tunnel ??= await tunnels?.open(
      id,
      ({ host, port }) => slot.connect.some((one) => one.host === host && one.port === port),
    );
    const net = slot.tunnel === undefined ? {} : { netDir: slot.tunnel.dir };
    const files = slot.tunnel === undefined ? {} : forwarder?.files ?? {};
    const process = await driver.open({ id, user, mounts, env, limits, argv: SHELL_ARGV, files, ...net }, signal);
    const shell = await ShellSession.open(process, signal);
    this.#log(slot, `opened in ${Math.round(performance.now() - startedAt)} ms`);
    return shell;
  }

  /** Lets the command's programs find the way out. Throws AppError `egress_failed`. */
  async #connect(slot: Slot, shell: ShellSession, signal: AbortSignal): Promise<void> {
    const { forwarder } = this.#options;
    if (slot.tunnel === undefined || forwarder === undefined) {
      throw new AppError("egress_failed", "There is no way out of the walls here: run it without network");
    }
    await slot.tunnel.arm();
    if (slot.hasForwarder) return;
    const vars = (env: Readonly<Record<string, string>>) =>
      Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`).join(" ");
    // `ready` is its first line; it stays, and so does nothing of how it was started. It is no child of the shell, or `wait` would wait for it.
    const command = `read -r < <(${vars(forwarder.env)} exec ${forwarder.argv.map(quote).join(" ")} 2>&1 &) && ` +
      `[[ $REPLY == ready ]] && unset REPLY && export ${vars(forwarder.proxyEnv)}`;
    const { exitCode, text } = await shell.exec({ command, timeoutMs: LIMITS.shellStartMs }, signal);
    if (exitCode !== 0) {
      throw new AppError("egress_failed", `The way out of the walls could not be opened ${text.trim()}`);
    }
    shell.adopt();
    slot.hasForwarder = true;
  }

  /** The session's place; where there is none left, the one that was idle for longest goes. Throws AppError `queue_full`. */
  #slot(session: string): { readonly slot: Slot; readonly room?: Promise<unknown> } {
    if (this.#isClosed) throw new AppError("shell_ended", "The shells are closed");
    const found = this.#slots.get(session);
    if (found !== undefined) return { slot: found };
    const { sessionsMax = LIMITS.shellSessionsMax } = this.#options;
    const slot = new Slot();
    this.#slots.set(session, slot);
    // What still ends counts: who has sessions ended one after the other gets no more shells at once.
    if (this.#slots.size + this.#ending.size <= sessionsMax) return { slot };
    if (this.#slots.size <= sessionsMax) return { slot, room: Promise.allSettled(this.#ending) };
    const idle = [...this.#slots].filter(([, other]) => other !== slot && other.waiting === 0);
    const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (oldest === undefined) {
      this.#slots.delete(session);
      throw new AppError("queue_full", `${sessionsMax} shells run commands already; try again when one has ended`);
    }
    return { slot, room: Promise.all([this.kill(oldest[0]), Promise.allSettled(this.#ending)]) };
  }

  /** A shell that is gone; its slot stays, so that the next command is told. */
  async #drop(slot: Slot, why: string): Promise<void> {
    const { shell, tunnel } = slot;
    [slot.shell, slot.tunnel, slot.hasForwarder, slot.lost] = [undefined, undefined, false, why];
    if (shell !== undefined) this.#log(slot, `lost: ${why}`);
    await Promise.all([shell?.kill(why), tunnel?.close()]);
  }

  async #end(slot: Slot, why: string): Promise<void> {
    slot.ended.abort();
    await slot.shell?.kill(why);
    await slot.last;
    await this.#drop(slot, why);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const { idleMs = LIMITS.shellIdleMs } = this.#options;
    const idle = [...this.#slots].filter(([, slot]) => slot.waiting === 0);
    if (idle.length === 0) return;
    const dueMs = Math.min(...idle.map(([, slot]) => slot.usedAt)) + idleMs - performance.now();
    this.#timer = setTimeout(() => {
      const now = performance.now();
      const due = [...this.#slots].filter(([, slot]) => slot.waiting === 0 && slot.usedAt + idleMs <= now);
      void Promise.all(due.map(([session]) => this.kill(session))).finally(() => this.#arm());
    }, Math.max(1, dueMs));
  }

  #log({ id }: Slot, line: string): void {
    this.#options.onLog(`shell ${id}: ${line}`);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
