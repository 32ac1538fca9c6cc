import { join } from "#/lib/path.ts";
import type { UserFolders } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { type ControlDeps, openControl } from "#/runner/control.ts";
import type { HealthStatus, StartedWith } from "#/runner/control_frames.ts";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import { type Endpoint, EndpointFile } from "#/runner/endpoint.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import type { GuestBox, GuestBoxInput } from "#/runner/guest_box.ts";
import { Live, type LiveInput } from "#/runner/live.ts";
import type { RunnerLock } from "#/runner/lock.ts";
import { type LogFile, openLogFile } from "#/runner/log_file.ts";
import type { BoxSettings } from "#/runner/plan_box.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import type { Reloaded, Reloader } from "#/runner/reload.ts";
import type { RunnerSettings, Told } from "#/runner/settings.ts";
import { Stopping } from "#/runner/stopping.ts";
import type { TierFacts, WalledPart } from "#/runner/startup_status.ts";
import { hasTokens } from "#/runner/tokens_path.ts";

/** Everything that one start is made of. */
export interface RunnerInput extends LiveInput {
  readonly env: Readonly<Record<string, string>>;
  readonly folders: UserFolders;
  /** `host:port` of the model endpoint and of channels. */
  readonly hosts: readonly string[];
  /** Finds out what the guest is told; called once, just before its process is started. */
  readonly bootstrap: () => Promise<Told>;
  /** What the person set about tools. */
  readonly tools: ToolsPlan;
  /** What is known of the shell and the browser by now; absent where there are none. */
  readonly tiers?: () => TierFacts | undefined;
  /** Held; it is released by `close`. */
  readonly lock: RunnerLock;
  /** How `oxydra start` was asked; absent for a runner that lives as long as its clients. */
  readonly startedWith?: StartedWith;
  /** What its guest runs in, when that is more than a process. */
  readonly box?: BoxSettings;
  /** Where the configuration is read again; absent where there is none, and then nothing is watched. */
  readonly reload?: ReloadInput;
}

/** How a runner reads its configuration again. */
export interface ReloadInput {
  /** Reads and checks all of it, as a start does, for a runner that has these settings. Throws AppError for a bad one. */
  readonly load: (settings: RunnerSettings) => Promise<Reloaded>;
  /** Files that it depends on, absolute. */
  readonly files: () => readonly string[];
  /** When this start began to read it, integer ms UTC. */
  readonly since: number;
  /** Told what the log is told of an edit. */
  readonly onNote: (line: string) => void;
}

/** A runner at work: it holds the broker, starts tool children and owns the guest, which it replaces when that ends. */
export interface Runner {
  /** Of the guest of now. */
  readonly endpoint: Endpoint;
  /** Settles when its guests ended too often and no other is started: with what to tell the person. Never rejects. */
  readonly gaveUp: Promise<AppError>;
  /** Clients connected to the gateway now. */
  readonly clients: number;
  /** Resolves when no client is connected, or on its way back after a restart. */
  whenIdle(): Promise<void>;
  /** Reads the configuration again and says what became of it. Rejects with AppError `usage` when this runner has none. */
  reload(): Promise<HealthStatus["config"]>;
  /** What the control socket says of it, now. */
  health(): HealthStatus;
  /**
   * Takes no new turn, gives those that run `drainMs` (as `LiveInput` says when absent) to end, then closes: what still runs is suspended, and goes on
   * at the next start. A further call can only shorten the wait. `oxydra stop` calls it as well.
   */
  stop(drainMs?: number): Promise<void>;
  /** Resolves when it is closed, by whomever. */
  readonly closed: Promise<void>;
  /** Ends guest and children, removes the endpoint and gives the lock back. A second call waits for the first. */
  close(): Promise<void>;
}

/**
 * Starts the guest of one user beside the broker that serves it. Guest and broker start at the same time; nobody is told of the
 * gateway before both are ready. Throws AppError `self_test_failed`, `guest_failed`, `tier_unavailable`, `store_*`, `audit_failed`; nothing is left behind then.
 */
export async function startRunner(input: RunnerInput): Promise<Runner> {
  const { folders, hosts, tools } = input;
  // Closed from the last to the first: the watch and the control socket, so that nothing more changes; the guest before its broker, so
  // that it can record what it was told; the address, which no guest writes any more by then; the lock last.
  await using open = new AsyncDisposableStack();
  open.defer(() => input.lock.release());
  const address = new EndpointFile(folders.ipc);
  const lockPath = join(folders.run, "guest.lock");
  await writeGuestLock(input.program, lockPath);
  const denoDir = await findDenoDir(input.env);
  makeCacheView(denoDir, folders.run);
  const env = toSandboxEnv(input.env, folders.run);
  const log = openRuntimeLog(folders, open);
  const box = input.box &&
    await openBox(input.box, { ...input, env, runnerEnv: input.env, lockPath, denoDir, onLog: log.write });
  if (box !== undefined) open.defer(() => box.close());
  const told = input.bootstrap();
  told.catch(() => {});
  open.defer(address.remove);
  const live = new Live({ hosts, tools, folders, told }, {
    input,
    env,
    lockPath,
    log,
    ...(box === undefined ? {} : { box }),
    onUp: address.onUp,
    onDown: address.onDown,
  });
  open.defer(() => live.close());
  // Not before its address is gone: who finds none may take the lock in a moment.
  open.defer(address.remove);
  await live.open();
  const reloading = new Reloading(input, live, log);
  const opened = Promise.withResolvers<AsyncDisposableStack>();
  const closed = Promise.withResolvers<void>();
  let closing: Promise<void> | undefined;
  const close = () => closing ??= opened.promise.then((stack) => stack.disposeAsync()).finally(closed.resolve);
  const stopping = new Stopping((ms) => live.supervisor.drain(ms), close, input.drainMs);
  const health = () => toHealth(input, live, { config: reloading.state, shutdown: stopping.isOn });
  const control = openControl(folders.ipc, toControlDeps(input, live, { reloading, stopping, health }));
  address.heard();
  // One that was revoked while the guest came up found nobody to tell.
  if (hasTokens(folders.run)) await live.tellTokens();
  open.defer(() => control.close());
  open.defer(() => reloading.close());
  // Not before: what waits for the address does not wait for this, and the first call does.
  live.host.tryWalls();
  reloading.open(await told);
  log.write(`runner: it runs as process ${Deno.pid}; the gateway is at 127.0.0.1:${live.supervisor.port}`);
  opened.resolve(open.move());
  return {
    get endpoint() {
      return address.endpoint!;
    },
    gaveUp: live.supervisor.gaveUp,
    get clients() {
      return live.supervisor.guest.clients;
    },
    whenIdle: () => live.presence.whenNone(),
    reload: () => reloading.reload(),
    health,
    stop: (drainMs) => stopping.stop(drainMs),
    closed: closed.promise,
    close,
  };
}

/** What the control socket is answered with. */
function toControlDeps(
  { folders, startedWith }: RunnerInput,
  live: Live,
  { reloading, stopping, health }: { reloading: Reloading; stopping: Stopping; health: () => HealthStatus },
): ControlDeps {
  return {
    approvals: async () => (await live.gate.host()).approvals,
    health,
    reload: () => reloading.reload(),
    logs: async (request) => {
      // Not a literal import: nobody asks for it before the gateway listens.
      const { readLogs }: typeof import("#/runner/read_logs.ts") = await import(
        new URL("./read_logs.ts", import.meta.url).href
      );
      return readLogs(folders.logs, request, Date.now()).answer;
    },
    stop: (drainMs) => void stopping.stop(drainMs),
    ...(startedWith === undefined ? {} : { startedWith }),
    onTokens: () => live.tellTokens(),
  };
}

async function openBox(settings: BoxSettings, input: Omit<GuestBoxInput, "settings">): Promise<GuestBox> {
  // Not a literal import: a guest that is a process waits for nothing of this.
  const { openGuestBox }: typeof import("#/runner/guest_box.ts") = await import(
    new URL("./guest_box.ts", import.meta.url).href
  );
  return await openGuestBox({ ...input, settings }, new AbortController().signal);
}

function openRuntimeLog({ logs }: UserFolders, open: AsyncDisposableStack): LogFile {
  const log = openLogFile(join(logs, "runtime.log"));
  open.defer(() => {
    log.write("runner: it has stopped");
    log.close();
  });
  return log;
}

/** Reads the configuration again. What does it is loaded when the gateway listens: a start does not wait for it. */
class Reloading {
  readonly #input: RunnerInput;
  readonly #live: Live;
  readonly #log: LogFile;
  readonly #startedAt = Date.now();
  #reloader: Promise<Reloader> | undefined;
  #opened: Reloader | undefined;
  #watch: { close(): void } | undefined;
  #isClosed = false;

  constructor(input: RunnerInput, live: Live, log: LogFile) {
    this.#input = input;
    this.#live = live;
    this.#log = log;
  }

  get state(): HealthStatus["config"] {
    return this.#opened?.state ?? { state: "in_force", at: this.#startedAt, note: "" };
  }

  /** Begins to watch. Returns at once. */
  open(told: Told): void {
    const { reload } = this.#input;
    if (reload === undefined) return;
    this.#reloader = this.#load(reload, told);
    this.#reloader.catch((error) => this.#log.write(`runner: the configuration is not watched: ${error}`));
  }

  async reload(): Promise<HealthStatus["config"]> {
    const { reload } = this.#input;
    if (reload === undefined) throw new AppError("usage", "this runner has no configuration that it could read again");
    return await (await this.#reloader)!.reload();
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
  }

  async #load(reload: ReloadInput, told: Told): Promise<Reloader> {
    const [{ Reloader }, { FileWatch }] = await Promise.all([
      import(new URL("./reload.ts", import.meta.url).href) as Promise<typeof import("#/runner/reload.ts")>,
      import(new URL("./watch_files.ts", import.meta.url).href) as Promise<typeof import("#/runner/watch_files.ts")>,
    ]);
    const settings = { ...this.#live.settings, told };
    const reloader: Reloader = new Reloader({
      load: () => reload.load(reloader.settings),
      apply: (change, next) => this.#live.apply(change, next),
      onNote: (line) => {
        this.#log.write(`runner: ${line}`);
        reload.onNote(line);
      },
      now: Date.now,
    }, settings);
    this.#opened = reloader;
    if (this.#isClosed) return reloader;
    const { files, since } = reload;
    this.#watch = new FileWatch({ files, since, onChange: () => void reloader.reload() });
    return reloader;
  }
}

/** What the control socket says of this runner, each time anew. */
function toHealth(
  { user, version, folders, bind, tiers }: RunnerInput,
  live: Live,
  { config, shutdown }: Pick<HealthStatus, "config" | "shutdown">,
): HealthStatus {
  const { supervisor, host } = live;
  const { guest } = supervisor;
  const { startupStatus } = live;
  const known = tiers?.();
  return {
    user_id: user,
    healthy: supervisor.isUp,
    sandbox_tier: startupStatus.sandbox_tier,
    startup_status: startupStatus,
    shell_available: startupStatus.shell_available,
    browser_available: startupStatus.browser_available,
    shutdown,
    log_dir: folders.logs,
    runtime_pid: guest.pid,
    pid: Deno.pid,
    version,
    gateway: `127.0.0.1:${supervisor.port}${bind?.about === undefined ? "" : ` and ${bind.about}`}`,
    clients: guest.clients,
    approvals: host.approvals.pending.length,
    active_turns: guest.turns,
    guest_restarts: supervisor.restarts,
    config,
    ...(known === undefined ? {} : { tiers: { shell: toPart(known.shell), browser: toPart(known.browser) } }),
    audit_head: host.audit.head,
  };
}

function toPart({ notes, ...part }: WalledPart): NonNullable<HealthStatus["tiers"]>["shell"] {
  return { ...part, notes: [...notes] };
}
