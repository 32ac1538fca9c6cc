import type { Bootstrap } from "#/app/bootstrap.ts";
import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { type GuestProcess, startGuest } from "#/runner/guest_process.ts";
import type { LogFile } from "#/runner/log_file.ts";
import { toNodeId } from "#/runner/node_id.ts";
import { hasPackages } from "#/runner/packages_dir.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { Presence } from "#/runner/presence.ts";
import type { BindPlan } from "#/runner/plan_bind.ts";
import { hasTokens } from "#/runner/tokens_path.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import type { GuestBox } from "#/runner/guest_box.ts";
import type { ProcessPlan, Program } from "#/runner/process_plan.ts";
import { RestartBudget } from "#/runner/restart_budget.ts";
import type { RunnerSettings, SettingsChange, Told } from "#/runner/settings.ts";
import { Supervisor, type SupervisorDeps } from "#/runner/supervisor.ts";
import { ToolGate } from "#/runner/tool_gate.ts";
import type { ToolHost } from "#/runner/tool_host.ts";

/** Settings whose bootstrap may still be found out. */
export type LiveSettings = Omit<RunnerSettings, "told"> & { readonly told: Promise<Told> };

/** What of a start stays the same as long as its runner lives. */
export interface LiveInput {
  readonly program: Program;
  /** Of this program. */
  readonly version: string;
  readonly user: string;
  /** That the person wants for the gateway; 0: any. */
  readonly port: number;
  /** Where else the gateway listens, and by which names. */
  readonly bind?: Omit<BindPlan, "port">;
  /** What an orderly restart gives turns and calls that run, instead of `drainMs` of LIMITS. */
  readonly drainMs?: number;
}

/** What the living parts of a runner need of it. */
export interface LiveDeps extends Pick<SupervisorDeps, "onUp" | "onDown"> {
  readonly input: LiveInput;
  /** Of sandboxed processes. */
  readonly env: Readonly<Record<string, string>>;
  readonly lockPath: string;
  readonly log: LogFile;
  /** What the guest runs in, when that is more than a process. */
  readonly box?: GuestBox;
}

/** The two parts of a runner that come and go while it lives, and the settings that they were made with: its guest and its tool host. */
export class Live {
  readonly supervisor: Supervisor;
  readonly gate: ToolGate;
  readonly presence = new Presence();
  readonly #deps: LiveDeps;
  readonly #first = Promise.withResolvers<ToolHost>();
  #settings: LiveSettings;
  #host: ToolHost | undefined;
  #isClosed = false;
  #applying: Promise<void> = Promise.resolve();
  #startupStatus: Told["startupStatus"] | undefined;

  /** Starts the guest. Throws AppError `guest_failed`. */
  constructor(settings: LiveSettings, deps: LiveDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.gate = new ToolGate(this.#first.promise);
    const { input, log } = deps;
    this.supervisor = new Supervisor({
      spawn: (port, token) => this.#spawn(port, token),
      onUp: (port, token) => {
        deps.onUp(port, token);
        const { clients } = this.supervisor.guest;
        if (clients > 0) this.presence.set(clients);
        this.presence.release(LIMITS.clientReturnMs);
      },
      onDown: () => deps.onDown(),
      onCut: () => this.presence.hold(),
      onLog: (line) => log.write(line),
      budget: new RestartBudget({ now: () => performance.now(), random: Math.random }),
      port: input.port,
      drainMs: input.drainMs ?? LIMITS.drainMs,
    });
  }

  get settings(): LiveSettings {
    return this.#settings;
  }

  /** The tool host of now, or the one that was there last. Throws TypeError before there was one. */
  get host(): ToolHost {
    if (this.#host === undefined) throw new TypeError("no tool host was opened");
    return this.#host;
  }

  /** What the guest of now was told of this system. */
  get startupStatus(): Told["startupStatus"] {
    if (this.#startupStatus === undefined) throw new TypeError("no guest was told anything");
    return this.#startupStatus;
  }

  /** Opens the tools and waits for the guest. Throws what keeps one of them from it. */
  async open(): Promise<void> {
    try {
      this.#first.resolve(await this.#openTools());
      await this.supervisor.open();
      this.#startupStatus = (await this.#settings.told).startupStatus;
    } catch (error) {
      this.#first.reject(error);
      throw error;
    }
  }

  /** Puts other settings in force. Throws what keeps them from it, AppError `cancelled` once closed; the old ones are in force then. */
  async apply(change: SettingsChange, next: RunnerSettings): Promise<void> {
    if (this.#isClosed) throw new AppError("cancelled", "the runner is stopping");
    const applied = this.#apply(change, next);
    this.#applying = applied.catch(() => {});
    await applied;
  }

  async #apply(change: SettingsChange, next: RunnerSettings): Promise<void> {
    const before = this.#settings;
    const drainMs = this.#deps.input.drainMs ?? LIMITS.drainMs;
    let swapped = false;
    const swap = async (settings: LiveSettings) => {
      const last = this.#settings;
      this.#settings = settings;
      if (!change.tools) return;
      const reopen = () => {
        this.#settings = last;
        return this.#openTools();
      };
      await this.gate.swap(() => this.#openTools(), reopen, drainMs);
      swapped = !swapped;
      this.host.tryWalls();
    };
    const after = { ...next, told: Promise.resolve(next.told) };
    const revert = async () => {
      if (swapped) await swap(before);
      this.#settings = before;
    };
    if (change.guest) await this.supervisor.restart({ apply: () => swap(after), revert });
    else await swap(after);
  }

  /** Tells the guest which tokens the person has made, as their file says now. */
  async tellTokens(): Promise<void> {
    this.supervisor.guest.notify({ v: 1, type: "tokens", tokens: await readIssued(this.#settings.folders.run) });
  }

  /** Ends the guest, so that it can record what it was told, then the tools. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.gate.stopSwaps();
    await this.supervisor.close();
    await this.#applying;
    this.presence.close();
    await this.gate.close();
  }

  async #openTools(): Promise<ToolHost> {
    const { input, env, log } = this.#deps;
    const { told, tools, folders, hosts } = this.#settings;
    // The guest works with it while this process is busy with what runs tools.
    await Promise.allSettled([told]);
    // Not a literal import: what runs tools is evaluated while the guest starts, not before it (60 ms).
    const { openTools }: typeof import("#/runner/tool_host.ts") = await import(
      new URL("./tool_host.ts", import.meta.url).href
    );
    const isFirst = this.#host === undefined;
    return this.#host = await openTools({
      ...input,
      folders,
      hosts,
      plan: tools,
      guestPlan: this.#planGuest(input.port),
      env,
      now: Date.now,
      onResolved: (resolution: ApprovalResolution) =>
        this.supervisor.guest.notify({ v: 1, type: "approval", resolution }),
      guestStarted: isFirst ? this.supervisor.guest.listening : Promise.resolve(),
      attachment: (place, signal) => this.supervisor.guest.attachment(place, signal),
      onLog: (line) => log.write(line),
    });
  }

  #planGuest(port: number): ProcessPlan {
    const { input: { program, bind: { listen: _, ...bind } = {} }, env, lockPath } = this.#deps;
    const { folders, hosts } = this.#settings;
    // Last: a guest that follows another one has its port, whatever the person wanted.
    return planGuest({ ...bind, program, env, internalDir: folders.internal, lockPath, hosts, port });
  }

  #spawn(port: number, startToken: string): GuestProcess {
    const { input: { user, bind }, log, box } = this.#deps;
    const { told, folders, hosts } = this.#settings;
    const boxed = box?.start({ port, hosts, ...(bind === undefined ? {} : { bind }) });
    const adapt = (bootstrap: Bootstrap) => boxed?.adapt(bootstrap) ?? bootstrap;
    const guest: GuestProcess = startGuest(
      boxed?.body ?? this.#planGuest(port),
      async () =>
        await adapt({
          v: 1,
          ...await told,
          // Only then does the guest wait for the tools to open.
          ...(hasPackages(folders) ? { offered: [...(await this.gate.host()).offered] } : {}),
          user,
          node: await toNodeId(folders.internal),
          internalDir: folders.internal,
          port,
          startToken,
          ...(hasTokens(folders.run) ? { tokens: await readIssued(folders.run) } : {}),
          ...(bind?.listen === undefined ? {} : { listen: bind.listen }),
        }),
      {
        broker: this.gate,
        // The last words of one that is gone are not about those who come to the next.
        onClients: (count) => {
          if (guest === this.supervisor.guest) this.presence.set(count);
        },
        onTurn: () => void this.gate.host().then((host) => host.warm()).catch(() => {}),
        onLog: (line) => log.write(line),
      },
    );
    return guest;
  }
}

/** What opens the gateway beside its own tokens. */
async function readIssued(runDir: string): Promise<GatewayToken[]> {
  // Not a literal import: most starts have no such file.
  const { readTokens, toGatewayTokens }: typeof import("#/runner/token_store.ts") = await import(
    new URL("./token_store.ts", import.meta.url).href
  );
  return toGatewayTokens(readTokens(runDir));
}
