import { isUtf8 } from "node:buffer";
import { AppError } from "#/core/error.ts";
import type { HostAnswers, ListEntry } from "#/sandbox/host_call.ts";
import type { DirName, FileHandle, Os } from "#/sandbox/os.ts";
import { Slice } from "#/lib/slice.ts";
import { isNameable, toVirtualText, type VirtualPath } from "#/core/virtual_path.ts";
import { openFolder, openRegular, type OpenRoot, parentOf, type WalkEntry, walkTree } from "#/sandbox/walk.ts";

/** A file's text as bytes. Throws AppError as `readBytes`, `file_not_regular` when it is no UTF-8 text. */
export function readText(root: OpenRoot, path: VirtualPath, bytesMax: number): Uint8Array<ArrayBuffer> {
  const content = readBytes(root, path, bytesMax);
  if (isText(content)) return content;
  throw new AppError("file_not_regular", `${toVirtualText(path)} is a binary file, not UTF-8 text`);
}

/** A file's content. Throws AppError as `openRegular`, `file_too_large` over `bytesMax`. */
export function readBytes(root: OpenRoot, path: VirtualPath, bytesMax: number): Uint8Array<ArrayBuffer> {
  const place = toVirtualText(path);
  using dir = openFolder(root, parentOf(path));
  const { file, stat } = openRegular(root, dir, path);
  using _file = file;
  const content = readUpTo(root.os, file, stat.bytes, bytesMax);
  if (content === undefined) {
    const params = { bytes: stat.bytes, bytesMax };
    const message = `${place} is larger than the ${bytesMax} bytes this call may read`;
    throw new AppError("file_too_large", message, { params });
  }
  return content;
}

/**
 * The whole content, or undefined when there is more than `bytesMax`. `bytesHint` is its size a moment ago: a file that
 * grows while it is read ends at the limit, not at its end.
 */
export function readUpTo(
  os: Os,
  file: FileHandle,
  bytesHint: number,
  bytesMax: number,
): Uint8Array<ArrayBuffer> | undefined {
  if (bytesHint > bytesMax) return undefined;
  let buffer = new Uint8Array(bytesHint + 1);
  for (let length = 0;;) {
    const count = os.read(file, buffer.subarray(length), length);
    length += count;
    if (length > bytesMax) return undefined;
    if (count === 0) return buffer.subarray(0, length);
    if (length === buffer.length) {
      const larger = new Uint8Array(Math.min(buffer.length * 2, bytesMax) + 1);
      larger.set(buffer);
      buffer = larger;
    }
  }
}

/** True for UTF-8 without a NUL. */
export function isText(content: Uint8Array): boolean {
  return !content.includes(0) && isUtf8(content);
}

/**
 * What is in a folder, or with `recursive` below it, in path order, at most `entriesMax`. Links and special files are
 * `other`. Names that no tool could pass back are left out. Throws AppError as `openFolder`, and `cancelled`.
 */
export async function listFolder(
  root: OpenRoot,
  path: VirtualPath,
  options: { readonly recursive: boolean; readonly entriesMax: number },
  signal: AbortSignal,
): Promise<HostAnswers["fs-read.list"]> {
  openListed(root, path);
  const slice = new Slice(signal);
  const entries: ListEntry[] = [];
  for (const entry of walkTree(root, path, { deep: options.recursive })) {
    if (!isNameable(entry.name)) continue;
    if (entries.length >= options.entriesMax) return { entries, truncated: true };
    const listed = toListEntry(root.os, path.root, entry);
    if (listed !== undefined) entries.push(listed);
    if (slice.used) await slice.pause();
  }
  return { entries, truncated: false };
}

/** Where `walkTree` passes over a folder that is not there, a listing says so. */
function openListed(root: OpenRoot, path: VirtualPath): void {
  using _folder = openFolder(root, path);
}

function toListEntry(os: Os, rootName: VirtualPath["root"], entry: WalkEntry): ListEntry | undefined {
  try {
    const stat = os.stat(entry.dir, entry.name);
    const kind: DirName["kind"] = stat.kind === "file" || stat.kind === "dir" ? stat.kind : "other";
    const path = toVirtualText({ root: rootName, parts: entry.parts });
    return { path, kind, bytes: kind === "file" ? stat.bytes : 0, modifiedAt: stat.modifiedAt };
  } catch {
    // Deleted between its name and its size: as good as never there.
    return undefined;
  }
}
