import { attempt } from "#/core/error.ts";

const BLOCK_BYTES = 512;

/** What a process and all that it started use, as far as it can be seen. */
export interface TreeUse {
  readonly processes: number;
  /** Memory that nothing but them holds: anonymous, shared, and files in memory that they have open (memfd); pages of other files not counted. */
  readonly memoryBytes: number;
}

/**
 * Looks at a process with everything below it. What several of them share is counted once when the plain sum is over `memoryBytesMax`, since
 * the exact number costs a walk over their pages. Stops at `processesMax` + 1.
 */
export function readTree(pid: number, processesMax: number, memoryBytesMax: number): TreeUse {
  const pids = readPids(pid, processesMax + 1);
  const open = sumOpen(pids);
  const plain = open + sum(pids, "status", ["RssAnon", "RssShmem"]);
  // A file in memory that is open and mapped counts once then, as open.
  const exact = () => open + sum(pids, "smaps_rollup", open > 0 ? ["Pss_Anon"] : ["Pss_Anon", "Pss_Shmem"]);
  return { processes: pids.length, memoryBytes: plain <= memoryBytesMax ? plain : exact() };
}

/** The processes that one started and that live, zombies included. */
export function readChildren(pid: number): number[] {
  return [...readNames(`/proc/${pid}/task`)].flatMap((thread) =>
    readText(`/proc/${pid}/task/${thread}/children`).split(" ").filter((text) => text !== "").map(Number)
  );
}

/** False when it has ended, also when nobody has asked how. */
export function isAlive(pid: number): boolean {
  const stat = readText(`/proc/${pid}/stat`);
  // The name before it is the process's own choice, parentheses included.
  return stat !== "" && !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
}

function readPids(pid: number, max: number): number[] {
  const pids = [pid];
  for (let index = 0; index < pids.length && pids.length < max; index++) pids.push(...readChildren(pids[index]!));
  return pids.slice(0, max);
}

function sum(pids: readonly number[], file: string, fields: readonly string[]): number {
  const pattern = new RegExp(`^(?:${fields.join("|")}):\\s+(\\d+) kB`, "gm");
  let kib = 0;
  for (const pid of pids) {
    for (const [, number] of readText(`/proc/${pid}/${file}`).matchAll(pattern)) kib += Number(number);
  }
  return kib * 1_024;
}

/** Files that are only in memory, and open: no mapping tells of them. */
function sumOpen(pids: readonly number[]): number {
  const sizes = new Map<number, number>();
  for (const pid of pids) {
    for (const name of readNames(`/proc/${pid}/fd`)) {
      try {
        const path = `/proc/${pid}/fd/${name}`;
        if (!Deno.readLinkSync(path).startsWith("/memfd:")) continue;
        const { ino, blocks } = Deno.statSync(path);
        sizes.set(ino ?? 0, (blocks ?? 0) * BLOCK_BYTES);
      } catch {
        // It was closed meanwhile.
      }
    }
  }
  return sizes.values().reduce((total, bytes) => total + bytes, 0);
}

/** A file of the kernel's, empty when it is gone: what it was about has ended meanwhile. */
export function readText(path: string): string {
  return attempt(() => Deno.readTextFileSync(path)) ?? "";
}

/** The names in a folder of the kernel's; none when it is gone. */
export function readNames(path: string): string[] {
  return attempt(() => [...Deno.readDirSync(path)].map(({ name }) => name)) ?? [];
}
