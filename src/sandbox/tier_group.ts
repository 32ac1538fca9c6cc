import { attempt } from "#/core/error.ts";
import { readNames, readText } from "#/sandbox/tier_tree.ts";
import { dirname, join } from "#/lib/path.ts";
import type { TierLimits } from "#/sandbox/tier.ts";

/** Control groups of one walled process: what the kernel itself bounds of it. */
export interface Groups {
  /** Folders whose `cgroup.procs` it has to be written to before it starts anything. */
  readonly dirs: readonly string[];
  /** What they bound, as far as the process has got into them. */
  readonly holds: { readonly memory: boolean; readonly processes: boolean; readonly cpus: boolean };
  /** Whether the kernel ended something in it for want of memory. */
  hasRunOut(): boolean;
  /** Removes them; to be called when nothing lives in them. Returns how many there were. */
  remove(): number;
}

const MOUNT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

/** Name of the groups of one walled process. `owner` names its runner, e.g. by a user's id, which has no dot in it, and a folder. */
export function toGroupName(owner: string, id: string): string {
  return `oxydra.${owner}.${id}`;
}

/**
 * Makes groups named `name` where this process may: beside its own one in the unified hierarchy when that was given to it (a service with
 * `Delegate=` and `DelegateSubgroup=`), or at the top, as root, and in the hierarchies of version 1. Never throws: what could not be made holds nothing.
 */
export function openGroups(
  name: string,
  limits: TierLimits,
  options: { readonly mount?: string; readonly own?: string } = {},
): Groups {
  const { mount = MOUNT, own = "/proc/self/cgroup" } = options;
  const cpu = limits.cpusMax === undefined ? undefined : String(Math.ceil(limits.cpusMax * PERIOD_US));
  const memory = String(limits.memoryBytesMax);
  const processes = String(limits.processesMax);
  const unified = isFile(join(mount, "cgroup.controllers")) ? openUnified(mount, own) : undefined;
  const made = unified !== undefined
    ? [make(join(unified, name), [
      ["memory", "memory.max", memory],
      ["memory", "memory.swap.max", "0"],
      ["processes", "pids.max", processes],
      ...(cpu === undefined ? [] : [["cpus", "cpu.max", `${cpu} ${PERIOD_US}`] as const]),
    ])]
    : [
      make(join(mount, "memory", name), [["memory", "memory.limit_in_bytes", memory]]),
      make(join(mount, "pids", name), [["processes", "pids.max", processes]]),
      ...(cpu === undefined ? [] : [make(join(mount, "cpu", name), [["cpus", "cpu.cfs_quota_us", cpu]])]),
    ];
  const groups = made.filter((group) => group !== undefined);
  const has = (what: Held) =>
    groups.some(({ dir, held }) => held.has(what) && readText(join(dir, "cgroup.procs")).trim() !== "");
  return {
    dirs: groups.map(({ dir }) => dir),
    get holds() {
      return { memory: has("memory"), processes: has("processes"), cpus: has("cpus") };
    },
    hasRunOut: () =>
      groups.some(({ dir }) =>
        ["memory.events", "memory.oom_control"].some((file) => /^oom_kill [1-9]/m.test(readText(join(dir, file))))
      ),
    remove: () => groups.filter(({ dir }) => removeGroup(dir)).length,
  };
}

/** Removes the groups that a killed runner of this owner left behind, and ends what still lives in them. Returns how many there were. */
export function sweepGroups(owner: string, options: { readonly mount?: string; readonly own?: string } = {}): number {
  const { mount = MOUNT, own = "/proc/self/cgroup" } = options;
  const parents = ["memory", "pids", "cpu"].map((name) => join(mount, name)).concat(openUnified(mount, own));
  let swept = 0;
  for (const parent of parents) {
    for (const name of readNames(parent)) {
      if (name.startsWith(toGroupName(owner, "")) && endGroup(join(parent, name))) swept++;
    }
  }
  return swept;
}

type Held = keyof Groups["holds"];

/** The group below which others can be made: no process may be in it, so never our own, but the one above. */
function openUnified(mount: string, own: string): string {
  const path = /^0::(\/.*)$/m.exec(readText(own))?.[1] ?? "/";
  const parent = join(mount, dirname(path));
  // Fails where it was not given to us, and where it is so already.
  for (const controller of ["memory", "pids", "cpu"]) write(join(parent, "cgroup.subtree_control"), `+${controller}`);
  return parent;
}

function make(
  dir: string,
  settings: readonly (readonly [Held, file: string, value: string])[],
): { dir: string; held: Set<Held> } | undefined {
  // What a runner that was killed has left under this name.
  removeGroup(dir);
  if (!isDone(() => Deno.mkdirSync(dir))) return undefined;
  const held = new Set<Held>();
  for (const [what, file, value] of settings) {
    if (write(join(dir, file), value)) held.add(what);
  }
  if (held.size > 0) return { dir, held };
  removeGroup(dir);
  return undefined;
}

function endGroup(dir: string): boolean {
  for (const pid of readText(join(dir, "cgroup.procs")).split("\n").filter((line) => line !== "")) {
    attempt(() => Deno.kill(Number(pid), "SIGKILL"));
  }
  return removeGroup(dir);
}

/** False when it is in use by a runner that lives, or was never there. */
function removeGroup(dir: string): boolean {
  return isDone(() => Deno.removeSync(dir));
}

/** Never creates it: a setting that is not there is one that this kernel does not have. */
function write(path: string, value: string): boolean {
  return isDone(() => Deno.writeTextFileSync(path, value, { create: false }));
}

function isDone(work: () => void): boolean {
  return attempt(() => (work(), true)) ?? false;
}

function isFile(path: string): boolean {
  return attempt(() => Deno.statSync(path).isFile) ?? false;
}
