import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { HostAnswers } from "#/sandbox/host_call.ts";
import { isText, readUpTo } from "#/sandbox/file_read.ts";
import { compileGlob, type GlobMatch } from "#/lib/glob.ts";
import { Slice } from "#/lib/slice.ts";
import { isNameable, toVirtualText, type VirtualPath } from "#/core/virtual_path.ts";
import { openFolder, openRegular, type OpenRoot, parentOf, type WalkEntry, walkTree } from "#/sandbox/walk.ts";

/** A page of text files: the answer's head, and their bytes one after another. */
export interface ScanPage {
  readonly value: HostAnswers["fs-read.scan"];
  readonly content: Uint8Array;
}

/**
 * A walk over the text files below a folder (or over one file) that stops after each page and goes on from there. A page ends when it is full
 * or when `sliceMs` × 4 are used up, so it may be empty while `next` says that there is more.
 */
export class Scan implements Disposable {
  readonly #root: OpenRoot;
  readonly #start: VirtualPath;
  readonly #match: GlobMatch;
  readonly #walk: Generator<WalkEntry, void>;
  /** Read, but no room was left for it on the last page. */
  #held: { readonly path: string; readonly content: Uint8Array } | undefined;
  #visited = 0;
  #page = 0;

  /** Throws AppError as `openFolder`, and `tool_args_invalid` for a glob that is none. */
  constructor(root: OpenRoot, start: VirtualPath, glob: string) {
    this.#match = compileGlob(glob);
    this.#root = root;
    this.#start = start;
    this.#walk = isFolder(root, start) ? walkTree(root, start) : walkFile(root, start);
  }

  /** What the next page must be asked with. */
  get cursor(): string {
    return this.#page === 0 ? "" : String(this.#page);
  }

  /**
   * The next page, at most `bytesMax` and `scanBatchBytesMax`. Throws AppError `quota_exceeded` when more than
   * `searchFilesMax` files were visited or the next file does not fit into what the call may still read; `cancelled`.
   */
  async next(bytesMax: number, signal: AbortSignal): Promise<ScanPage> {
    const room = Math.min(bytesMax, LIMITS.scanBatchBytesMax);
    const page = new Uint8Array(room);
    const files: { path: string; bytes: number }[] = [];
    const slice = new Slice(signal);
    let length = 0;
    let skipped = 0;
    for (let pauses = 0; pauses < PAUSES_PER_PAGE;) {
      const found = this.#held ?? this.#nextFile();
      if (found === undefined) return { value: { files, next: "", skipped }, content: page.subarray(0, length) };
      if (found === SKIPPED) {
        skipped++;
      } else if (length + found.content.length > room) {
        this.#held = found;
        if (files.length === 0) throw overQuota(`the ${bytesMax} bytes that are left of its limit`);
        break;
      } else {
        this.#held = undefined;
        page.set(found.content, length);
        length += found.content.length;
        files.push({ path: found.path, bytes: found.content.length });
      }
      if (slice.used) {
        await slice.pause();
        pauses++;
      }
    }
    this.#page++;
    return { value: { files, next: this.cursor, skipped }, content: page.subarray(0, length) };
  }

  /** The next file that matches; skipped when it is not text, too large for a page, or gone. */
  #nextFile(): { path: string; content: Uint8Array } | typeof SKIPPED | undefined {
    for (let step = this.#walk.next(); !step.done; step = this.#walk.next()) {
      const entry = step.value;
      if (entry.kind !== "file" || !isNameable(entry.name)) continue;
      if (++this.#visited > LIMITS.searchFilesMax) throw overQuota(`${LIMITS.searchFilesMax} files`);
      const below = entry.parts.slice(this.#start.parts.length);
      if (!this.#match(below.length === 0 ? entry.name : below.join("/"))) continue;
      const content = readWhole(this.#root, entry);
      if (content === undefined) return SKIPPED;
      return { path: toVirtualText({ root: this.#start.root, parts: entry.parts }), content };
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#walk.return();
  }
}

const SKIPPED = Symbol("skipped");
const PAUSES_PER_PAGE = 4;

/** A search may name one file. */
function* walkFile(root: OpenRoot, path: VirtualPath): Generator<WalkEntry, void> {
  using dir = openFolder(root, parentOf(path));
  const { file } = openRegular(root, dir, path);
  file[Symbol.dispose]();
  yield { dir, parts: path.parts, name: path.parts.at(-1)!, kind: "file" };
}

function isFolder(root: OpenRoot, path: VirtualPath): boolean {
  try {
    using _folder = openFolder(root, path);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === "path_invalid") return false;
    throw error;
  }
}

function readWhole(root: OpenRoot, entry: WalkEntry): Uint8Array | undefined {
  try {
    using file = root.os.openFile(entry.dir, entry.name);
    const stat = root.os.statFile(file);
    if (stat.kind !== "file") return undefined;
    const content = readUpTo(root.os, file, stat.bytes, LIMITS.scanBatchBytesMax);
    return content !== undefined && isText(content) ? content : undefined;
  } catch {
    // Unreadable, swapped for a link, or gone: counted, not reported, because the search goes on.
    return undefined;
  }
}

function overQuota(what: string): AppError {
  return new AppError("quota_exceeded", `The search stopped after ${what}; narrow the path or the glob`);
}
