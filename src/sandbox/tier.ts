/** Where a walled process runs. Every driver is one file `tier_<name>.ts` and one line in `tiers.ts`. */
export type TierName = "bubblewrap" | "seatbelt" | "container" | "micro_vm";

/** What one walled process may use; all of it together with what it starts. */
export interface TierLimits {
  readonly memoryBytesMax: number;
  readonly processesMax: number;
  /** One file that it writes. */
  readonly fileBytesMax: number;
  /** CPU time of one process, in seconds. */
  readonly cpuSecondsMax: number;
  /** Cores at once; absent: all of them. */
  readonly cpusMax?: number;
  /** What its /shared and its /tmp may hold; it is killed when one of them passes it. */
  readonly sharedBytesMax: number;
  readonly tmpBytesMax: number;
  /** It is killed when the disk below them has less left. */
  readonly diskFloorBytes: number;
}

/** One process to be put behind walls. */
export interface WalledSpec {
  /** Unique among the living ones of this user: `[a-z0-9-]`, at most 40. Names a control group, a container. */
  readonly id: string;
  readonly user: string;
  /** Host paths, real ones: what it sees, writable, as /shared and /tmp. A `.oxydra` below them is covered. */
  readonly mounts: { readonly shared: string; readonly tmp: string };
  /** Its whole environment beside PATH, HOME=/tmp, LANG and TERM, which the driver sets. */
  readonly env: Readonly<Record<string, string>>;
  readonly limits: TierLimits;
  /** The program and its arguments, as they are found inside. */
  readonly argv: readonly string[];
  /** Files of ours that it needs inside, read-only: host path by inner path, e.g. `/run/oxydra/agent.sh`. */
  readonly files: Readonly<Record<string, string>>;
  /** Host folder with the socket `proxy.sock` of its way out, seen as /run/oxydra-net. Absent: it has no network at all. */
  readonly netDir?: string;
}

/** How a walled process ended. `reason`, in words for a model, when a limit or a lost engine ended it. */
export interface WalledEnd {
  readonly code: number;
  readonly reason?: string;
}

/** A process behind walls. */
export interface WalledProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Settles when it is gone with everything that it started. Never rejects. */
  readonly exited: Promise<WalledEnd>;
  /** Ends it and everything that it started, now. A second call waits for the first. */
  kill(): Promise<void>;
}

/** What a driver found on this machine. `reason` and `install` (a command, or what to do) when it cannot be used. */
export interface TierStatus {
  readonly available: boolean;
  /** What would be used, e.g. `bubblewrap 0.8.0`. */
  readonly about: string;
  readonly reason?: string;
  readonly install?: string;
  /** What holds less than it should, a sentence each, e.g. that nothing but polling bounds memory here. */
  readonly notes: readonly string[];
}

/** One way of putting a process behind walls. */
export interface TierDriver {
  readonly name: TierName;
  /** Tries it on this machine, once; a guess from files or versions is not enough. Never rejects. */
  probe(): Promise<TierStatus>;
  /** Starts it. Throws AppError `tier_unavailable` with the reason, `cancelled`. */
  open(spec: WalledSpec, signal: AbortSignal): Promise<WalledProcess>;
  /** Removes what a runner of this user that was killed left behind. Returns how many things. */
  sweep(user: string): Promise<number>;
  /** Makes what takes minutes and is made once, an image; `probe` and `open` never do. Throws AppError `tier_unavailable`. */
  prepare?(): Promise<void>;
  /** Ends what it started, waits until that is removed, and gives back what it holds. Nothing is opened after it. Never rejects. */
  close?(): Promise<void>;
}
