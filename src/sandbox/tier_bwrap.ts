import { join } from "#/lib/path.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import type { TierDriver, TierStatus, WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import {
  BWRAP_FILES,
  BWRAP_SCRIPT,
  ETC_FILES,
  planBwrap,
  readSystemView,
  type SystemView,
} from "#/sandbox/tier_bwrap_args.ts";
import type { TierOptions } from "#/sandbox/tiers.ts";
import { type FilterArch, toFilter } from "#/sandbox/tier_bwrap_filter.ts";

/** What `sweep` finds. */
const PREFIX = "wall-";
const OPEN_FILES_MAX = 4_096;

/** Puts a process behind the walls of Linux itself. Its files for bwrap are for moments in `dir`, a folder that is the user's alone. */
export class BwrapTier implements TierDriver {
  readonly name = "bubblewrap";
  readonly #options: TierOptions;
  #view: SystemView | undefined;

  constructor(options: TierOptions) {
    this.#options = options;
  }

  async probe(): Promise<TierStatus> {
    return await Promise.resolve({ available: true, about: "bubblewrap", notes: [] });
  }

  async open(spec: WalledSpec, signal: AbortSignal): Promise<WalledProcess> {
    this.#view ??= readSystemView(true);
    const dir = await Deno.makeTempDir({ dir: this.#options.dir, prefix: PREFIX });
    try {
      const args = planBwrap(spec, this.#view, []);
      await writeFiles(dir, args);
      const child = spawnPiped(planSpawn(dir, [], spec));
      return await WalledBwrap.open(child, dir, signal);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  async sweep(_user: string): Promise<number> {
    let swept = 0;
    for await (const { name } of Deno.readDir(this.#options.dir)) {
      if (!name.startsWith(PREFIX)) continue;
      await Deno.remove(join(this.#options.dir, name), { recursive: true });
      swept++;
    }
    return swept;
  }
}

async function writeFiles(dir: string, args: readonly string[]): Promise<void> {
  const arch = Deno.build.arch as FilterArch;
  const files: Readonly<Record<typeof BWRAP_FILES[number], string | Uint8Array<ArrayBuffer>>> = {
    ...ETC_FILES,
    args: args.map((arg) => `${arg}\0`).join(""),
    filter: toFilter(arch),
  };
  await Promise.all(
    BWRAP_FILES.map((name) => {
      const data = files[name];
      const options = { mode: 0o600, createNew: true };
      return typeof data === "string"
        ? Deno.writeTextFile(join(dir, name), data, options)
        : Deno.writeFile(join(dir, name), data, options);
    }),
  );
}

function planSpawn(dir: string, groups: readonly string[], { limits, argv }: WalledSpec) {
  const kib = (bytes: number) => String(Math.ceil(bytes / 1_024));
  const numbers = [
    kib(limits.fileBytesMax),
    kib(limits.memoryBytesMax),
    String(limits.cpuSecondsMax),
    String(OPEN_FILES_MAX),
  ];
  return {
    command: "setpriv",
    args: [
      ...["--pdeathsig", "KILL", "/bin/bash", "-c", BWRAP_SCRIPT, "oxydra", dir, String(groups.length), ...groups],
      ...numbers,
      String(limits.processesMax),
      ...argv,
    ],
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
  };
}

/** One of them. */
class WalledBwrap implements WalledProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly exited: Promise<WalledEnd>;
  readonly #child: Deno.ChildProcess;
  readonly #init: number | undefined;
  #reason: string | undefined;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    [this.stdin, this.stdout, this.stderr] = [child.stdin, child.stdout, child.stderr];
    this.#init = readChildren(child.pid)[0];
    this.exited = this.#wait();
  }

  /** Waits until its walls stand. Throws AppError `tier_unavailable` when they do not, `cancelled`. */
  static async open(child: Deno.ChildProcess, dir: string, signal: AbortSignal): Promise<WalledBwrap> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.wallStartMs)]);
    let hasEnded = false;
    void child.status.then(() => hasEnded = true);
    while (!isReady(dir) && !hasEnded && !late.aborted) await delay(1, late);
    if (isReady(dir)) return new WalledBwrap(child);
    if (!hasEnded) child.kill("SIGKILL");
    const [said] = await Promise.all([new Response(child.stderr).text(), child.stdout.cancel(), child.stdin.abort()]);
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const why = hasEnded ? said.trim().slice(0, 400) : `it took longer than ${LIMITS.wallStartMs} ms`;
    throw new AppError("tier_unavailable", `bubblewrap did not start: ${why}`);
  }

  async kill(): Promise<void> {
    // The first process of its namespace: the kernel ends all others with it. bwrap itself goes when that one has.
    signalKill(this.#init ?? this.#child.pid);
    await this.exited;
  }

  async #wait(): Promise<WalledEnd> {
    const { code } = await this.#child.status;
    // bwrap was killed from outside: its child follows it, and goes when everything in its namespace has gone.
    while (this.#init !== undefined && isAlive(this.#init)) await delay(2, new AbortController().signal);
    return { code, ...(this.#reason === undefined ? {} : { reason: this.#reason }) };
  }
}

/** The inner side has written its dot. */
function isReady(dir: string): boolean {
  try {
    return Deno.statSync(join(dir, "ready")).size > 0;
  } catch {
    return false;
  }
}

function signalKill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function readChildren(pid: number): number[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).split(" ").filter((text) => text !== "").map(
      Number,
    );
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
