import { attempt } from "#/core/error.ts";
import { delay } from "#/lib/delay.ts";
import { dirname } from "#/lib/path.ts";
import { LIMITS } from "#/core/limits.ts";

/** Where the files are, and how they are watched. */
export interface WatchOptions {
  /** Absolute; asked anew at each look. A file may not be there yet, nor its folder. */
  readonly files: () => readonly string[];
  /** Called after they changed and have stood still for `configSettleMs`. */
  readonly onChange: () => void;
  /** Integer ms UTC: a change after it is one that `onChange` is called for, although nobody watched yet. */
  readonly since: number;
  /** Tells of changes below folders; the system's when absent. Throws where it cannot. */
  readonly watch?: (folders: string[]) => FolderWatch;
}

/** What tells of changes below folders until it is closed. */
export type FolderWatch = Pick<Deno.FsWatcher, "close"> & AsyncIterable<unknown>;

/**
 * Watches files by their folders, since editors write a new file and rename it; also the folders of links' targets, and the folders above, so
 * that a folder may go and come back. Where the system tells nobody, it looks every `configPollMs`. What the system says is only a hint: a
 * file has changed when its inode, size or times have.
 */
export class FileWatch {
  readonly #options: WatchOptions;
  readonly #closed = new AbortController();
  #print = "";
  #folders = "";
  #watcher: FolderWatch | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLooking = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    // First: what changes between a look and the watch would be told by nobody.
    this.#watch();
    const files = options.files();
    const isLate = files.some((file) => lastChange(file) >= options.since);
    this.#print = isLate ? "" : toPrint(files);
    if (isLate) this.look();
  }

  /** Looks whether they changed, once they stand still. A second call while one looks does nothing. */
  look(): void {
    if (this.#isLooking || this.#closed.signal.aborted) return;
    this.#isLooking = true;
    void this.#settle().finally(() => this.#isLooking = false);
  }

  /** Calls nobody any more. */
  close(): void {
    this.#closed.abort();
    this.#stop();
  }

  async #settle(): Promise<void> {
    let print = "";
    // An editor that truncates and writes leaves an empty file for a moment, and an empty file is a good configuration.
    for (let round = 0; round < LIMITS.configSettleRoundsMax; round++) {
      const before = toPrint(this.#options.files());
      await delay(LIMITS.configSettleMs, this.#closed.signal);
      if (this.#closed.signal.aborted) return;
      print = toPrint(this.#options.files());
      if (print === before) break;
    }
    if (this.#watch() && toPrint(this.#options.files()) !== print) return await this.#settle();
    if (print === this.#print) return;
    this.#print = print;
    this.#options.onChange();
  }

  /** Watches the folders that there are now; true when these are others than before. */
  #watch(): boolean {
    const folders = toFolders(this.#options.files());
    const key = folders.map((folder) => `${folder} ${attempt(() => Deno.statSync(folder).ino)}`).join("\n");
    if (key === this.#folders) return false;
    this.#stop();
    this.#folders = key;
    try {
      const watcher = (this.#options.watch ?? watchFolders)(folders);
      this.#watcher = watcher;
      void this.#listen(watcher);
    } catch {
      // No inotify here, or none left.
      this.#timer = setInterval(() => this.look(), LIMITS.configPollMs);
    }
    return true;
  }

  async #listen(watcher: FolderWatch): Promise<void> {
    try {
      for await (const _ of watcher) this.look();
    } catch {
      if (this.#watcher !== watcher || this.#closed.signal.aborted) return;
      this.#watcher = undefined;
      this.#timer ??= setInterval(() => this.look(), LIMITS.configPollMs);
    }
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const watcher = this.#watcher;
    this.#watcher = undefined;
    attempt(() => watcher?.close());
  }
}

function watchFolders(folders: string[]): Deno.FsWatcher {
  return Deno.watchFs(folders, { recursive: false });
}

/** Each file's folder or the nearest that is there, the one above it, and the folder of what a link leads to. */
function toFolders(files: readonly string[]): string[] {
  const found = new Set<string>();
  for (const file of files) {
    const folder = nearestFolder(dirname(file));
    found.add(folder).add(nearestFolder(dirname(folder)));
    const real = attempt(() => Deno.realPathSync(file));
    if (real !== undefined) found.add(dirname(real));
  }
  return [...found].toSorted();
}

function nearestFolder(path: string): string {
  for (let at = path;; at = dirname(at)) {
    if (at === "/" || attempt(() => Deno.statSync(at).isDirectory)) return at;
  }
}

/** What tells one state of the files from another. */
function toPrint(files: readonly string[]): string {
  return files.map((file) => {
    const link = attempt(() => Deno.lstatSync(file));
    const info = attempt(() => Deno.statSync(file));
    return [link, info].map((one) => one === undefined ? "-" : [one.ino, one.size, one.mode, ...times(one)].join())
      .join();
  }).join("\n");
}

function lastChange(file: string): number {
  const infos = [attempt(() => Deno.lstatSync(file)), attempt(() => Deno.statSync(file))];
  return Math.max(0, ...infos.flatMap((info) => info === undefined ? [] : times(info)));
}

function times({ mtime, ctime }: Deno.FileInfo): number[] {
  return [mtime, ctime].map((time) => time?.getTime() ?? 0);
}
