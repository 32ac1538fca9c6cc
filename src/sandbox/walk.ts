import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { codeOf, notRegular, toFileError } from "#/sandbox/file_error.ts";
import type { DirHandle, DirName, EntryStat, FileHandle, Os } from "#/sandbox/os.ts";
import { isReservedName, toVirtualText, type VirtualPath } from "#/core/virtual_path.ts";

/** A root folder that tools can name, open since boot. */
export interface OpenRoot {
  readonly os: Os;
  readonly handle: DirHandle;
}

/** One entry met by `walkTree`. `dir` is open until the next step. */
export interface WalkEntry {
  readonly dir: DirHandle;
  /** From the root. */
  readonly parts: readonly string[];
  readonly name: string;
  readonly kind: DirName["kind"];
}

/**
 * Opens the folder `path.parts`, one segment after another from the root's handle. No link is followed, and a folder that is
 * swapped for a link between two steps is refused like one that always was. With `create`, missing folders are made.
 * Throws AppError `file_not_found`, `path_outside` for a link, `path_invalid` when a part is a file.
 */
export function openFolder(root: OpenRoot, path: VirtualPath, options: { create?: boolean } = {}): DirHandle {
  let current: DirHandle = { fd: root.handle.fd, [Symbol.dispose]: () => {} };
  for (const [index, part] of path.parts.entries()) {
    using parent = current;
    const place = toVirtualText({ root: path.root, parts: path.parts.slice(0, index + 1) });
    current = openStep(root.os, parent, part, place, options.create ?? false);
  }
  return current;
}

/** Opens the regular file at `path` for reading. Throws AppError `file_not_found`, `path_outside` or `file_not_regular`. */
export function openRegular(root: OpenRoot, dir: DirHandle, path: VirtualPath): { file: FileHandle; stat: EntryStat } {
  const place = toVirtualText(path);
  const name = path.parts.at(-1);
  if (name === undefined) throw notRegular(place, "dir");
  let file: FileHandle;
  try {
    file = root.os.openFile(dir, name);
  } catch (error) {
    throw toFileError(error, place);
  }
  const stat = root.os.statFile(file);
  if (stat.kind === "file") return { file, stat };
  file[Symbol.dispose]();
  throw notRegular(place, stat.kind);
}

/** The folder that holds the last part of `path`. */
export function parentOf(path: VirtualPath): VirtualPath {
  return { root: path.root, parts: path.parts.slice(0, -1) };
}

/**
 * Every entry below the folder `start` (only in it, when not `deep`), in path order, links and special files included, none followed.
 * Reserved names are met but never entered, nor is what is deeper than `treeDepthMax`. A folder that vanishes or becomes a
 * link meanwhile is passed over. One handle is open at a time; ending the loop closes it.
 */
export function* walkTree(
  root: OpenRoot,
  start: VirtualPath,
  options: { readonly deep: boolean } = { deep: true },
): Generator<WalkEntry, void> {
  const frames: { parts: readonly string[]; names?: readonly DirName[]; next: number }[] = [
    { parts: start.parts, next: 0 },
  ];
  let dir: DirHandle | undefined;
  try {
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      dir ??= tryOpen(root, { root: start.root, parts: frame.parts });
      if (dir !== undefined) frame.names ??= sortedNames(root.os, dir);
      const entry = dir === undefined ? undefined : frame.names?.[frame.next++];
      if (dir === undefined || entry === undefined) {
        frames.pop();
      } else {
        const parts = [...frame.parts, entry.name];
        yield { dir, parts, name: entry.name, kind: entry.kind };
        if (!options.deep || entry.kind !== "dir" || parts.length > LIMITS.treeDepthMax || isReservedName(entry.name)) {
          continue;
        }
        frames.push({ parts, next: 0 });
      }
      dir?.[Symbol.dispose]();
      dir = undefined;
    }
  } finally {
    dir?.[Symbol.dispose]();
  }
}

function openStep(os: Os, parent: DirHandle, part: string, place: string, create: boolean): DirHandle {
  for (let made = false;; made = true) {
    try {
      return os.openDir(parent, part);
    } catch (error) {
      if (create && !made && codeOf(error) === "ENOENT") {
        makeFolder(os, parent, part, place);
        continue;
      }
      // Linux says ENOTDIR for a link too when O_DIRECTORY and O_NOFOLLOW meet; this look is for the sentence only.
      if (codeOf(error) === "ENOTDIR" && isLink(os, parent, part)) throw notRegular(place, "link");
      throw toFileError(error, place);
    }
  }
}

function makeFolder(os: Os, parent: DirHandle, part: string, place: string): void {
  try {
    os.makeDir(parent, part);
    os.sync(parent);
  } catch (error) {
    // Someone else made it: the open that follows decides what it is.
    if (codeOf(error) !== "EEXIST") throw toFileError(error, place);
  }
}

function isLink(os: Os, dir: DirHandle, name: string): boolean {
  try {
    return os.stat(dir, name).kind === "link";
  } catch {
    return false;
  }
}

function tryOpen(root: OpenRoot, path: VirtualPath): DirHandle | undefined {
  try {
    return openFolder(root, path);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function sortedNames(os: Os, dir: DirHandle): readonly DirName[] {
  return [...os.names(dir)].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}
