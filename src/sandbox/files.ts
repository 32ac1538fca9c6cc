import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { FileHostCall, HostAnswers } from "#/sandbox/host_call.ts";
import { toFileError } from "#/sandbox/file_error.ts";
import { listFolder, readBytes, readText } from "#/sandbox/file_read.ts";
import { removeFile, type WriteDeps, writeFile } from "#/sandbox/file_write.ts";
import type { Kept } from "#/sandbox/kept.ts";
import { openOs } from "#/sandbox/open_os.ts";
import type { Os } from "#/sandbox/os.ts";
import { RootUsage } from "#/sandbox/root_usage.ts";
import { Scan } from "#/sandbox/scan.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { throwIfAborted } from "#/lib/slice.ts";
import { parseVirtualPath, ROOT_NAMES, type RootName, type VirtualPath } from "#/core/virtual_path.ts";
import type { OpenRoot } from "#/sandbox/walk.ts";

const encoder = new TextEncoder();

/** A host call's answer: its value, and the content that follows it. */
export interface HostAnswer {
  readonly value: HostAnswers[keyof HostAnswers];
  readonly content?: Uint8Array;
}

/** What the grant leaves for this one host call. */
export interface Allowance {
  readonly bytesMax: number;
  readonly entriesMax: number;
  readonly redirectsMax?: number;
}

/** The file steps of one tool call: a search goes on from page to page. `dispose` ends it. */
export interface FileCall extends Disposable {
  /** Throws AppError with a sentence for the model; never a host path. */
  run(call: FileHostCall, allowance: Allowance, signal: AbortSignal): Promise<HostAnswer>;
}

/** The folders that tools can name. */
export interface Files extends Disposable {
  openCall(): FileCall;
  /** Walks the writable roots: deletes temporaries of a crash, counts bytes. Returns how many were deleted. Runs beside calls. */
  sweep(): Promise<number>;
  /** Host path of each root, to keep it out of what a model reads. */
  readonly hostPaths: Readonly<Record<RootName, string>>;
}

/** Roots that a write may touch at all, whatever a grant says (SPEC §3). */
const WRITABLE: ReadonlySet<RootName> = new Set(["shared", "tmp"]);

/**
 * Opens the roots (absolute host paths of folders, themselves no links) and keeps their handles until `dispose`: what happens
 * to those paths later changes nothing. Throws AppError `platform_unsupported`, or `config_invalid` for a root that is no folder.
 */
export function openFiles(options: {
  readonly roots: Readonly<Record<RootName, string>>;
  readonly kept: Kept;
  readonly os?: Os;
  readonly rootBytesMax?: number;
}): Files {
  const os = options.os ?? openOs();
  const roots = new Map<RootName, Root>();
  try {
    for (const name of ROOT_NAMES) roots.set(name, openRoot(os, name, options.roots[name]));
  } catch (error) {
    closeAll(roots);
    throw error;
  }
  const limits = { kept: options.kept, rootBytesMax: options.rootBytesMax ?? LIMITS.rootBytesMax };
  return {
    hostPaths: options.roots,
    openCall: () => new OpenFileCall(roots, limits),
    async sweep() {
      let swept = 0;
      for (const [name, root] of roots) if (WRITABLE.has(name)) swept += await root.usage.measure({ anew: true });
      return swept;
    },
    [Symbol.dispose]: () => closeAll(roots),
  };
}

interface Root extends OpenRoot {
  readonly usage: RootUsage;
}

class OpenFileCall implements FileCall {
  readonly #roots: ReadonlyMap<RootName, Root>;
  readonly #limits: Omit<WriteDeps, "usage">;
  #scan: Scan | undefined;
  #scanned = "";

  constructor(roots: ReadonlyMap<RootName, Root>, limits: Omit<WriteDeps, "usage">) {
    this.#roots = roots;
    this.#limits = limits;
  }

  async run(call: FileHostCall, allowance: Allowance, signal: AbortSignal): Promise<HostAnswer> {
    throwIfAborted(signal);
    const path = parseVirtualPath(call.path);
    const root = this.#roots.get(path.root);
    if (root === undefined) throw new AppError("path_outside", `/${path.root} is not there`);
    try {
      return await this.#step(root, path, call, allowance, signal);
    } catch (error) {
      throw toFileError(error, call.path);
    }
  }

  async #step(
    root: Root,
    path: VirtualPath,
    call: FileHostCall,
    allowance: Allowance,
    signal: AbortSignal,
  ): Promise<HostAnswer> {
    switch (call.fn) {
      case "fs-read.read-text":
      case "fs-read.read-bytes": {
        const read = call.fn === "fs-read.read-text" ? readText : readBytes;
        const content = read(root, path, Math.min(allowance.bytesMax, LIMITS.fileBytesMax));
        return { value: { bytes: content.length, sha256: await sha256Hex(content) }, content };
      }
      case "fs-read.list":
        return { value: await listFolder(root, path, { ...allowance, recursive: call.recursive }, signal) };
      case "fs-read.scan":
        return await this.#nextPage(root, path, call, allowance, signal);
      case "fs-write.write-text":
      case "fs-write.write-bytes": {
        const content = call.fn === "fs-write.write-text" ? encoder.encode(call.text) : call.content;
        const { expectSha256 } = call;
        const expected = expectSha256 === undefined ? {} : { expectSha256 };
        const write = { path, content, bytesMax: allowance.bytesMax, ...expected };
        return { value: await writeFile(root, write, this.#writeDeps(root, path), signal) };
      }
      case "fs-write.remove":
        return { value: await removeFile(root, path, this.#writeDeps(root, path), signal) };
    }
  }

  async #nextPage(
    root: Root,
    path: VirtualPath,
    call: FileHostCall & { fn: "fs-read.scan" },
    allowance: Allowance,
    signal: AbortSignal,
  ): Promise<HostAnswer> {
    const scanned = `${call.path}\0${call.glob}`;
    if (call.cursor === "") {
      this.#scan?.[Symbol.dispose]();
      this.#scan = new Scan(root, path, call.glob);
      this.#scanned = scanned;
    }
    const scan = this.#scan;
    if (scan === undefined || scanned !== this.#scanned || call.cursor !== scan.cursor) {
      throw new AppError("tool_args_invalid", "The cursor is not the one that the last page of this search named");
    }
    const page = await scan.next(allowance.bytesMax, signal);
    if (page.value.next === "" && this.#scan === scan) this[Symbol.dispose]();
    return page;
  }

  #writeDeps(root: Root, path: VirtualPath): WriteDeps {
    if (!WRITABLE.has(path.root)) throw new AppError("path_outside", `/${path.root} is read-only for tools`);
    return { ...this.#limits, usage: root.usage };
  }

  [Symbol.dispose](): void {
    this.#scan?.[Symbol.dispose]();
    this.#scan = undefined;
  }
}

function openRoot(os: Os, name: RootName, hostPath: string): Root {
  try {
    const opened = { os, handle: os.openRoot(hostPath) };
    return { ...opened, usage: new RootUsage(opened, name) };
  } catch (cause) {
    const message = `The folder for /${name} cannot be opened: ${hostPath} must be a folder, not a link`;
    throw new AppError("config_invalid", message, { cause });
  }
}

function closeAll(roots: ReadonlyMap<RootName, Root>): void {
  for (const root of roots.values()) root.handle[Symbol.dispose]();
}
