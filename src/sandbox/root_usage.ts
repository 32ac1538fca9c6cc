import { AppError } from "#/core/error.ts";
import { codeOf } from "#/sandbox/file_error.ts";
import { Slice, throwIfAborted } from "#/lib/slice.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { type RootName, TEMP_PREFIX } from "#/core/virtual_path.ts";
import { type OpenRoot, walkTree } from "#/sandbox/walk.ts";

/**
 * Bytes below one writable root: walked once, at the first need, then counted. The same walk sweeps the temporaries that a
 * crash left behind. What others write meanwhile is seen when the number is measured anew, before a write is refused.
 */
export class RootUsage {
  readonly #root: OpenRoot;
  readonly #name: RootName;
  #measured: Promise<number> | undefined;
  #bytes = 0;

  constructor(root: OpenRoot, name: RootName) {
    this.#root = root;
    this.#name = name;
  }

  /** Bytes as counted; 0 before the first `measure`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A write or delete of our own changed the root by this. */
  add(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes + bytes);
  }

  /** Walks when nobody has, or when `anew`. Returns the number of temporaries that were swept. Throws AppError `cancelled`. */
  async measure(options: { readonly anew?: boolean }, signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal);
    if (options.anew) this.#measured = undefined;
    // Not bound to this caller's signal: others wait for the same walk.
    this.#measured ??= this.#walk().catch((error) => {
      this.#measured = undefined;
      throw error;
    });
    const swept = signal === undefined ? await this.#measured : await untilAborted(this.#measured, signal);
    if (swept === undefined) throw new AppError("cancelled", "The call was cancelled");
    return swept;
  }

  async #walk(): Promise<number> {
    const slice = new Slice();
    let bytes = 0;
    let swept = 0;
    const before = this.#bytes;
    for (const entry of walkTree(this.#root, { root: this.#name, parts: [] })) {
      if (entry.kind === "file") {
        try {
          if (entry.name.startsWith(TEMP_PREFIX)) {
            this.#root.os.unlink(entry.dir, entry.name);
            swept++;
          } else {
            bytes += this.#root.os.stat(entry.dir, entry.name).bytes;
          }
        } catch (error) {
          // Gone since its name was read.
          if (codeOf(error) !== "ENOENT") throw error;
        }
      }
      if (slice.used) await slice.pause();
    }
    // What was added while walking was perhaps not seen: rather too much than too little.
    this.#bytes = bytes + Math.max(0, this.#bytes - before);
    return swept;
  }
}
