import { AppError } from "#/core/error.ts";
import type { HostAnswers } from "#/sandbox/host_call.ts";
import { codeOf, notRegular } from "#/sandbox/file_error.ts";
import type { Kept } from "#/sandbox/kept.ts";
import type { DirHandle, EntryStat, FileHandle, Os } from "#/sandbox/os.ts";
import type { RootUsage } from "#/sandbox/root_usage.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { throwIfAborted } from "#/lib/slice.ts";
import { TEMP_PREFIX, toVirtualText, type VirtualPath } from "#/core/virtual_path.ts";
import { openFolder, openRegular, type OpenRoot, parentOf } from "#/sandbox/walk.ts";

/** What a write needs besides its root. */
export interface WriteDeps {
  readonly kept: Kept;
  readonly usage: RootUsage;
  /** Bytes below the root before a write is refused. */
  readonly rootBytesMax: number;
}

/** One write. `expectSha256`: hex, or `absent` when the file must not exist. */
export interface FileWrite {
  readonly path: VirtualPath;
  readonly content: Uint8Array;
  readonly expectSha256?: string;
  readonly bytesMax: number;
}

/**
 * Replaces or creates a file: a new one (0644 less umask) beside it, to the disk, then one rename, so that a reader and a
 * crash see the old or the new content whole. The mode is kept, a hard link is cut. Missing folders are made. Throws
 * AppError `file_changed`, `file_exists`, `file_too_large`, `quota_exceeded`, `cancelled` (then nothing was changed), and as `openRegular`.
 */
export async function writeFile(
  root: OpenRoot,
  write: FileWrite,
  deps: WriteDeps,
  signal: AbortSignal,
): Promise<HostAnswers["fs-write.write-text"]> {
  const place = toVirtualText(write.path);
  const { content } = write;
  if (content.length > write.bytesMax) {
    const message = `${content.length} bytes are more than the ${write.bytesMax} this call may write`;
    throw new AppError("file_too_large", message);
  }
  const sha256 = await sha256Hex(content as Uint8Array<ArrayBuffer>);
  await deps.kept.ready();
  await deps.usage.measure({}, signal);
  if (!hasRoom(content.length, deps)) await deps.usage.measure({ anew: true }, signal);
  // Synchronous from here: no other call of ours runs between these looks and the rename.
  throwIfAborted(signal);
  checkRoom(content.length, deps, write.path);
  const create = write.expectSha256 === undefined || write.expectSha256 === "absent";
  using dir = openFolder(root, parentOf(write.path), { create });
  const old = openOld(root, dir, write.path);
  using _file = old?.file;
  checkExpected(write, old !== undefined, place);
  if (old !== undefined) keepOld(root.os, old, place, deps.kept, write.expectSha256);
  replace(root.os, dir, write.path, content, old?.stat);
  deps.usage.add(content.length - (old?.stat.bytes ?? 0));
  return { bytes: content.length, created: old === undefined, sha256 };
}

/** Deletes a regular file after its content was kept. Throws AppError as `writeFile`. */
export async function removeFile(
  root: OpenRoot,
  path: VirtualPath,
  deps: WriteDeps,
  signal: AbortSignal,
): Promise<HostAnswers["fs-write.remove"]> {
  await deps.kept.ready();
  throwIfAborted(signal);
  using dir = openFolder(root, parentOf(path));
  const { file, stat } = openRegular(root, dir, path);
  using _file = file;
  keepOld(root.os, { file, stat }, toVirtualText(path), deps.kept);
  checkSame(root.os, dir, path, stat);
  root.os.unlink(dir, path.parts.at(-1)!);
  root.os.sync(dir);
  deps.usage.add(-stat.bytes);
  return { bytes: stat.bytes };
}

/** Counted without what the write replaces: rather too strict than over the limit. */
function hasRoom(bytes: number, deps: WriteDeps): boolean {
  return deps.usage.bytes + bytes <= deps.rootBytesMax;
}

function checkRoom(bytes: number, deps: WriteDeps, path: VirtualPath): void {
  if (hasRoom(bytes, deps)) return;
  const params = { bytes, usedBytes: deps.usage.bytes, bytesMax: deps.rootBytesMax };
  const message = `/${path.root} may hold ${deps.rootBytesMax} bytes and is full; delete something`;
  throw new AppError("quota_exceeded", message, { params });
}

function openOld(root: OpenRoot, dir: DirHandle, path: VirtualPath): { file: FileHandle; stat: EntryStat } | undefined {
  try {
    return openRegular(root, dir, path);
  } catch (error) {
    if (error instanceof AppError && error.code === "file_not_found") return undefined;
    throw error;
  }
}

function checkExpected(write: FileWrite, exists: boolean, place: string): void {
  if (write.expectSha256 === "absent" && exists) throw new AppError("file_exists", `${place} exists already`);
  if (write.expectSha256 !== undefined && write.expectSha256 !== "absent" && !exists) {
    throw new AppError("file_changed", `${place} was deleted since it was read`);
  }
}

function keepOld(os: Os, old: { file: FileHandle; stat: EntryStat }, place: string, kept: Kept, expect?: string): void {
  kept.keep({
    path: place,
    bytes: old.stat.bytes,
    ...(expect === undefined ? {} : { expectSha256: expect }),
    read: (into, offset) => os.read(old.file, into, offset),
  });
}

function replace(os: Os, dir: DirHandle, path: VirtualPath, content: Uint8Array, old: EntryStat | undefined): void {
  const name = path.parts.at(-1)!;
  const temp = `${TEMP_PREFIX}${crypto.randomUUID()}`;
  using file = os.createFile(dir, temp, old === undefined ? 0o644 : 0o600);
  try {
    os.write(file, content);
    if (old !== undefined) os.setMode(file, old.mode);
    os.sync(file);
    if (old === undefined) {
      placeNew(os, dir, temp, name);
    } else {
      checkSame(os, dir, path, old);
      os.rename(dir, temp, name);
    }
  } catch (error) {
    removeTemp(os, dir, temp);
    throw error;
  }
  os.sync(dir);
}

/** A hard link fails when the name exists by now, a rename would replace it unkept. */
function placeNew(os: Os, dir: DirHandle, temp: string, name: string): void {
  try {
    os.link(dir, temp, name);
    os.unlink(dir, temp);
  } catch (error) {
    // Disks without hard links (exFAT, some shares of a host) say EPERM or ENOTSUP.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(codeOf(error))) throw error;
    os.rename(dir, temp, name);
  }
}

/** Refuses when another process replaced or changed the file since it was opened. What is left is the time between this look and the next system call. */
function checkSame(os: Os, dir: DirHandle, path: VirtualPath, old: EntryStat): void {
  const now = os.stat(dir, path.parts.at(-1)!);
  const place = toVirtualText(path);
  if (now.kind === "link") throw notRegular(place, "link");
  const isSame = now.id === old.id && now.bytes === old.bytes && now.modifiedAt === old.modifiedAt &&
    now.changedAt === old.changedAt;
  if (!isSame) throw new AppError("file_changed", `${place} was changed by someone else meanwhile; read it again`);
}

function removeTemp(os: Os, dir: DirHandle, temp: string): void {
  try {
    os.unlink(dir, temp);
  } catch {
    // Nothing was created, or the next boot sweeps it; the first error is the one to report.
  }
}
