import { AppError, attempt, messageOf } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { join } from "#/lib/path.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import type { TierDriver, TierStatus, WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { BWRAP_FILES, BWRAP_SCRIPT, ETC_FILES, planBwrap, readSystemView } from "#/sandbox/tier_bwrap_args.ts";
import { findCovered } from "#/sandbox/tier_cover.ts";
import { type FilterArch, toFilter } from "#/sandbox/tier_bwrap_filter.ts";
import { type Groups, openGroups, sweepGroups, toGroupName } from "#/sandbox/tier_group.ts";
import { type BwrapTrial, isAtLeast, toStatus } from "#/sandbox/tier_bwrap_probe.ts";
import { isAlive, readChildren, readTree } from "#/sandbox/tier_tree.ts";
import { TierWatch } from "#/sandbox/tier_watch.ts";
import type { TierOptions } from "#/sandbox/tiers.ts";

/** What `sweep` finds. */
const PREFIX = "wall-";
const PATH = "/usr/local/bin:/usr/bin:/bin";
const TRIAL_BYTES = 2 ** 30;
const NO_SIGNAL = new AbortController().signal;

/** Puts a process behind the walls of Linux itself: namespaces by bubblewrap, a filter of system calls, limits, control groups where there are any. */
export class BwrapTier implements TierDriver {
  readonly name = "bubblewrap";
  readonly #options: TierOptions;
  readonly #watch = new TierWatch();
  #version: Promise<string | undefined> | undefined;
  #status: Promise<TierStatus> | undefined;

  constructor(options: TierOptions) {
    this.#options = options;
  }

  probe(): Promise<TierStatus> {
    this.#status ??= this.#try().then((trial) => toStatus(trial));
    return this.#status;
  }

  async open(spec: WalledSpec, signal: AbortSignal): Promise<WalledProcess> {
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const dir = await Deno.makeTempDir({ dir: this.#options.dir, prefix: PREFIX });
    const groups = openGroups(toGroupName(await this.#owner(spec.user), spec.id), spec.limits);
    try {
      await this.#write(dir, spec, signal);
      return await WalledBwrap.open(
        { spec, dir, groups, watch: this.#watch, pdeathsig: this.#options.pdeathsig },
        signal,
      );
    } catch (error) {
      groups.remove();
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new AppError("tier_unavailable", "bubblewrap is started by bash, and there is none", { cause: error });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  async sweep(user: string): Promise<number> {
    let swept = sweepGroups(await this.#owner(user));
    for await (const { name } of Deno.readDir(this.#options.dir)) {
      if (!name.startsWith(PREFIX)) continue;
      await Deno.remove(join(this.#options.dir, name), { recursive: true });
      swept++;
    }
    return swept;
  }

  /** Control groups are a machine's: two runners may have a user of the same name. */
  async #owner(user: string): Promise<string> {
    return `${user}.${(await Deno.stat(this.#options.dir)).ino}`;
  }

  async #write(dir: string, spec: WalledSpec, signal: AbortSignal): Promise<void> {
    const { arch } = Deno.build;
    if (arch !== "x86_64" && arch !== "aarch64") {
      throw new AppError("tier_unavailable", `no system call filter for ${arch}`);
    }
    const [version = "0", ...covered] = await Promise.all([
      this.#readVersion(),
      findCovered(spec.mounts.shared, "/shared", signal),
      findCovered(spec.mounts.tmp, "/tmp", signal),
    ]);
    const view = readSystemView(isAtLeast(version, 0, 8));
    const files: Readonly<Record<typeof BWRAP_FILES[number], string | Uint8Array<ArrayBuffer>>> = {
      ...ETC_FILES,
      args: planBwrap(spec, view, covered.flat()).map((arg) => `${arg}\0`).join(""),
      filter: toFilter(arch satisfies FilterArch),
    };
    for (const name of BWRAP_FILES) {
      const data = files[name];
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      Deno.writeFileSync(join(dir, name), bytes, { mode: 0o600, createNew: true });
    }
  }

  async #try(): Promise<BwrapTrial> {
    const version = await this.#readVersion();
    if (version === undefined) return { version, failure: "bwrap cannot be started", notes: [] };
    const limits = {
      memoryBytesMax: TRIAL_BYTES,
      processesMax: 8,
      fileBytesMax: TRIAL_BYTES,
      cpuSecondsMax: 10,
      sharedBytesMax: TRIAL_BYTES,
      tmpBytesMax: TRIAL_BYTES,
      diskFloorBytes: 0,
    };
    const { user, dir } = this.#options;
    const mounts = { shared: dir, tmp: dir };
    const spec = {
      id: "trial",
      user,
      mounts,
      env: {},
      files: {},
      argv: ["/bin/bash", "-c", "read -r line"],
      limits,
    };
    try {
      const walled = await this.open(spec, NO_SIGNAL) as WalledBwrap;
      const { holds } = walled.groups;
      await Promise.all([walled.kill(), walled.stdin.abort(), walled.stdout.cancel(), walled.stderr.cancel()]);
      return { version, failure: undefined, notes: toNotes(holds, isAtLeast(version, 0, 8)) };
    } catch (error) {
      return { version, failure: messageOf(error), notes: [] };
    }
  }

  #readVersion(): Promise<string | undefined> {
    this.#version ??= askVersion();
    return this.#version;
  }
}

async function askVersion(): Promise<string | undefined> {
  try {
    const options: Deno.CommandOptions = {
      args: ["--version"],
      clearEnv: true,
      env: { PATH },
      stdin: "null",
      stderr: "null",
    };
    const { stdout } = await new Deno.Command("bwrap", options).output();
    return /\d+\.\d+(\.\d+)?/.exec(new TextDecoder().decode(stdout))?.[0];
  } catch {
    return undefined;
  }
}

function toNotes(holds: Groups["holds"], canDisableUserns: boolean): string[] {
  return [
    ...(holds.memory ? [] : ["No control group bounds memory here: what a shell uses is looked at every second."]),
    ...(holds.processes ? [] : [
      "No control group bounds processes here: they are counted every second, and by the user namespace unless root runs this.",
    ]),
    ...(canDisableUserns
      ? []
      : ["This bubblewrap cannot forbid user namespaces inside its own (0.8 can): the system call filter does."]),
    ...(Deno.uid() === 0
      ? ["Oxydra runs as root, and so, without its powers, does a shell: an ordinary user is the better choice."]
      : []),
  ];
}

/** What one of them is made of. */
interface WalledParts {
  readonly spec: WalledSpec;
  readonly dir: string;
  readonly groups: Groups;
  readonly watch: TierWatch;
  readonly pdeathsig: string | undefined;
}

/** One walled process. */
class WalledBwrap implements WalledProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exited: Promise<WalledEnd>;
  readonly groups: Groups;
  readonly #child: Deno.ChildProcess;
  /** The first process of its namespace: the kernel ends all others with it, and it goes last. */
  readonly #init: number | undefined;
  #reason: string | undefined;
  /** Its number may be somebody else's then. */
  #hasEnded = false;

  private constructor(child: Deno.ChildProcess, { spec, dir, groups, watch }: WalledParts) {
    this.#child = child;
    this.groups = groups;
    [this.stdin, this.stdout, this.stderr] = [child.stdin, child.stdout, child.stderr];
    this.#init = readInit(dir);
    const { holds } = groups;
    const look = holds.memory && holds.processes ? {} : { look: () => judgeTree(child.pid, spec) };
    const unwatch = watch.add({ mounts: spec.mounts, limits: spec.limits, ...look }, (reason) => {
      this.#reason = reason;
      void this.kill();
    });
    this.exited = this.#wait(spec, unwatch);
  }

  /** Starts one and waits until its walls stand. Throws AppError `tier_unavailable` when they do not, `cancelled`. */
  static async open(parts: WalledParts, signal: AbortSignal): Promise<WalledBwrap> {
    const child = spawnPiped(planSpawn(parts));
    const late = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.wallStartMs)]);
    let hasEnded = false;
    void child.status.then(() => hasEnded = true);
    while (!isReady(parts.dir) && !hasEnded && !late.aborted) await delay(1, late);
    if (isReady(parts.dir)) return new WalledBwrap(child, parts);
    if (!hasEnded) await endUnfinished(child.pid);
    const [said] = await Promise.all([
      new Response(child.stderr).text(),
      child.stdout.cancel(),
      child.stdin.abort(),
      child.status,
    ]);
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const why = hasEnded
      ? withoutHost(said.trim(), parts).slice(0, 400)
      : `it took longer than ${LIMITS.wallStartMs} ms`;
    throw new AppError("tier_unavailable", `bubblewrap did not start: ${why}`);
  }

  async kill(): Promise<void> {
    if (!this.#hasEnded) send(this.#init ?? this.#child.pid, "SIGKILL");
    await this.exited;
  }

  async #wait(spec: WalledSpec, unwatch: () => void): Promise<WalledEnd> {
    const { code } = await this.#child.status;
    // Where bwrap itself was killed, its child follows.
    while (this.#init !== undefined && isAlive(this.#init)) await delay(LIMITS.wallGoneMs, NO_SIGNAL);
    this.#hasEnded = true;
    unwatch();
    const ranOut = this.groups.hasRunOut()
      ? `It used more than ${Math.floor(spec.limits.memoryBytesMax / 1_048_576)} MiB of memory`
      : undefined;
    const reason = this.#reason ?? (code === 137 ? ranOut : undefined);
    this.groups.remove();
    return { code, ...(reason === undefined ? {} : { reason }) };
  }
}

/** What bwrap said, with the names that its paths have inside: a model may read it. */
function withoutHost(said: string, { spec, dir }: WalledParts): string {
  const { shared, tmp } = spec.mounts;
  const inner = {
    ...spec.files,
    "/shared": shared,
    "/tmp": tmp,
    "/run/oxydra-net": spec.netDir ?? dir,
    "its files": dir,
  };
  return Object.entries(inner).reduce((text, [name, host]) => text.replaceAll(host, name), said);
}

function planSpawn({ spec: { limits, argv }, dir, groups: { dirs }, pdeathsig }: WalledParts) {
  const kib = (bytes: number) => String(Math.ceil(bytes / 1_024));
  const numbers = [
    kib(limits.fileBytesMax),
    kib(limits.memoryBytesMax + LIMITS.wallReservedBytesMax),
    String(limits.cpuSecondsMax),
    String(LIMITS.wallOpenFilesMax),
    String(limits.processesMax),
  ];
  const args = ["-c", BWRAP_SCRIPT, "oxydra", dir, String(dirs.length), ...dirs, ...numbers, ...argv];
  return {
    ...(pdeathsig === undefined
      ? { command: "/bin/bash", args }
      : { command: pdeathsig, args: ["--pdeathsig", "KILL", "--", "/bin/bash", ...args] }),
    env: { PATH },
  };
}

/** Why a tree of processes has to end. */
function judgeTree(pid: number, { limits }: WalledSpec): string | undefined {
  // bwrap itself and the first process of its namespace are not its own doing.
  const processesMax = limits.processesMax + 2;
  const { processes, memoryBytes } = readTree(pid, processesMax, limits.memoryBytesMax);
  if (processes > processesMax) return `It had more than ${limits.processesMax} processes`;
  if (memoryBytes > limits.memoryBytesMax) {
    return `It used more than ${Math.floor(limits.memoryBytesMax / 1_048_576)} MiB of memory`;
  }
  return undefined;
}

/** The inner side has written its dot. */
function isReady(dir: string): boolean {
  return attempt(() => Deno.statSync(join(dir, "ready")).size > 0) ?? false;
}

/** The number of the first process of its namespace, as bwrap wrote it down. */
function readInit(dir: string): number | undefined {
  const pid = /"child-pid": (\d+)/.exec(Deno.readTextFileSync(join(dir, "info")))?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Ends a bwrap that is not through: its child waits for it, and asks to follow it only later on. */
async function endUnfinished(pid: number): Promise<void> {
  // Stopped, so that it makes no child after we have looked.
  send(pid, "SIGSTOP");
  const pids = [...readChildren(pid), pid];
  for (const each of pids) send(each, "SIGKILL");
  while (pids.some(isAlive)) await delay(LIMITS.wallGoneMs, NO_SIGNAL);
}

/** Does nothing when it has ended. */
function send(pid: number, signal: Deno.Signal): void {
  attempt(() => Deno.kill(pid, signal));
}
