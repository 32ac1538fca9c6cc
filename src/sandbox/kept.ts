import fs from "node:fs";
import type { createHash } from "node:crypto";
import { join } from "#/lib/path.ts";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { appendSegment } from "#/sandbox/audit_segment.ts";

const CHUNK_BYTES = 262_144;
const SHA256 = /^[0-9a-f]{64}$/;

const KeptEntry = z.strictObject({
  v: z.literal(1),
  /** Integer ms UTC. */
  at: z.number().int(),
  /** Virtual path. */
  path: z.string(),
  sha256: z.string().regex(SHA256),
  bytes: z.number().int().nonnegative(),
});
/** One old content that was kept: a line of `index.jsonl`; the content lies beside it, named by its hash. */
export type KeptEntry = z.infer<typeof KeptEntry>;

/** Old content of what tools overwrite or delete. */
export interface Kept {
  /** Loads the index; call once before the first `keep`. */
  ready(): Promise<void>;
  /**
   * Keeps what `read` yields and names it. Synchronous: nothing runs between keeping and replacing. Throws AppError
   * `file_changed` when the content is not `expectSha256`, `quota_exceeded` when it is too large or cannot be written; then
   * nothing may be replaced.
   */
  keep(source: KeptSource): KeptEntry;
  /** Oldest first. */
  entries(): readonly KeptEntry[];
}

/** What is to be kept. `read` is by offset, 0 at the end. */
export interface KeptSource {
  readonly path: string;
  readonly expectSha256?: string;
  readonly bytes: number;
  read(into: Uint8Array, offset: number): number;
}

/**
 * Kept content in `dir` (host path, inside `run/`: no tool and no guest reaches it), at most `bytesMax` and
 * `keptEntriesMax`; the oldest goes first. `now` is integer ms UTC.
 */
export function openKept(
  options: { readonly dir: string; readonly now: () => number; readonly bytesMax?: number },
): Kept {
  return new KeptFolder(options.dir, options.now, options.bytesMax ?? LIMITS.keptBytesMax);
}

class KeptFolder implements Kept {
  readonly #dir: string;
  readonly #now: () => number;
  readonly #bytesMax: number;
  #createHash: typeof createHash | undefined;
  #entries: KeptEntry[] = [];
  #bytes = 0;
  /** Entries that share a blob. */
  readonly #uses = new Map<string, number>();

  constructor(dir: string, now: () => number, bytesMax: number) {
    this.#dir = dir;
    this.#now = now;
    this.#bytesMax = bytesMax;
  }

  async ready(): Promise<void> {
    if (this.#createHash !== undefined) return;
    // Loaded at the first write: it would cost every start 2 ms.
    const { createHash } = await import("node:crypto");
    if (this.#createHash !== undefined) return;
    fs.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.#load();
    this.#createHash = createHash;
  }

  entries(): readonly KeptEntry[] {
    return this.#entries;
  }

  keep(source: KeptSource): KeptEntry {
    if (source.bytes > this.#bytesMax) throw cannotKeep(source, `it is larger than ${this.#bytesMax} bytes`);
    const temp = join(this.#dir, `tmp-${crypto.randomUUID()}`);
    try {
      const { sha256, bytes } = this.#copy(source, temp);
      if (source.expectSha256 !== undefined && source.expectSha256 !== sha256) {
        throw new AppError("file_changed", `${source.path} changed since it was read; read it again`);
      }
      const entry: KeptEntry = { v: 1, at: this.#now(), path: source.path, sha256, bytes };
      if (!this.#uses.has(sha256)) fs.renameSync(temp, join(this.#dir, sha256));
      this.#append(entry);
      return entry;
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw cannotKeep(source, "the disk refuses", error);
    } finally {
      fs.rmSync(temp, { force: true });
    }
  }

  #copy(source: KeptSource, temp: string): { sha256: string; bytes: number } {
    const hash = this.#createHash!("sha256");
    const fd = fs.openSync(temp, "wx", 0o600);
    try {
      const buffer = new Uint8Array(Math.min(source.bytes + 1, CHUNK_BYTES));
      let bytes = 0;
      for (let count = source.read(buffer, 0); count > 0; count = source.read(buffer, bytes)) {
        bytes += count;
        // It grew meanwhile: the bound holds for what is read, not for what was announced.
        if (bytes > this.#bytesMax) throw cannotKeep(source, `it is larger than ${this.#bytesMax} bytes`);
        hash.update(buffer.subarray(0, count));
        for (let done = 0; done < count;) done += fs.writeSync(fd, buffer, done, count - done);
      }
      fs.fsyncSync(fd);
      return { sha256: hash.digest("hex"), bytes };
    } finally {
      fs.closeSync(fd);
    }
  }

  #append(entry: KeptEntry): void {
    const fd = fs.openSync(this.#indexPath, "a", 0o600);
    try {
      // The whole line or none of it: behind half a line the next entry would be lost.
      appendSegment({ fd }, fs.fstatSync(fd).size, new TextEncoder().encode(`${JSON.stringify(entry)}\n`));
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    this.#count(entry);
    if (this.#bytes > this.#bytesMax || this.#entries.length > LIMITS.keptEntriesMax) this.#evict();
  }

  #count(entry: KeptEntry): void {
    const uses = this.#uses.get(entry.sha256) ?? 0;
    if (uses === 0) this.#bytes += entry.bytes;
    this.#uses.set(entry.sha256, uses + 1);
    this.#entries.push(entry);
  }

  /** Down to nine tenths, so that the index is not rewritten at every write that follows. */
  #evict(): void {
    const gone: string[] = [];
    const isOver = () => this.#bytes > this.#bytesMax * 0.9 || this.#entries.length > LIMITS.keptEntriesMax * 0.9;
    while (this.#entries.length > 1 && isOver()) {
      const oldest = this.#entries.shift()!;
      const uses = this.#uses.get(oldest.sha256)! - 1;
      if (uses > 0) {
        this.#uses.set(oldest.sha256, uses);
        continue;
      }
      this.#uses.delete(oldest.sha256);
      this.#bytes -= oldest.bytes;
      gone.push(oldest.sha256);
    }
    const temp = join(this.#dir, `tmp-${crypto.randomUUID()}`);
    fs.writeFileSync(temp, this.#entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { mode: 0o600 });
    fs.renameSync(temp, this.#indexPath);
    for (const sha256 of gone) fs.rmSync(join(this.#dir, sha256), { force: true });
  }

  /** Lines that a crash cut, and content without a line, are dropped. */
  #load(): void {
    const present = new Set(fs.readdirSync(this.#dir));
    const text = present.has("index.jsonl") ? fs.readFileSync(this.#indexPath, "utf8") : "";
    for (const line of text.split("\n")) {
      const entry = parseLine(line);
      if (entry !== undefined && present.has(entry.sha256)) this.#count(entry);
    }
    for (const name of present) {
      const isOrphan = SHA256.test(name) && !this.#uses.has(name);
      if (isOrphan || name.startsWith("tmp-")) fs.rmSync(join(this.#dir, name), { force: true });
    }
    // A cut last line must not swallow the next entry.
    if (text !== "" && !text.endsWith("\n")) fs.appendFileSync(this.#indexPath, "\n");
  }

  get #indexPath(): string {
    return join(this.#dir, "index.jsonl");
  }
}

function parseLine(line: string): KeptEntry | undefined {
  try {
    return KeptEntry.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function cannotKeep(source: KeptSource, why: string, cause?: unknown): AppError {
  const message = `The old content of ${source.path} cannot be kept (${why}), so it was left as it is`;
  return new AppError("quota_exceeded", message, { cause, params: { bytes: source.bytes } });
}
