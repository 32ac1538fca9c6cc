/** An open folder; every name is looked up from it, never from a path. */
export interface DirHandle extends Disposable {
  readonly fd: number;
}

/** An open file or folder entry. Reading is by offset; `dispose` closes it. */
export interface FileHandle extends Disposable {
  readonly fd: number;
}

/** What is known of an entry without following a link. Times are integer ms UTC; `id` names the inode. */
export interface EntryStat {
  readonly kind: "file" | "dir" | "link" | "other";
  readonly bytes: number;
  readonly modifiedAt: number;
  readonly changedAt: number;
  /** Permission bits, without set-id and sticky. */
  readonly mode: number;
  readonly id: string;
}

/** One name of a folder. */
export interface DirName {
  readonly name: string;
  readonly kind: "file" | "dir" | "other";
}

/**
 * File operations relative to an open folder. `name` is one path segment, checked by the caller. No operation follows a
 * symbolic link. All are synchronous: a check and the step that relies on it run without another call in between.
 * Errors are the platform's, with `code` (`ENOENT`, `ELOOP`, …).
 */
export interface Os {
  /** Opens a folder by its host path; the last segment may not be a link. */
  openRoot(hostPath: string): DirHandle;
  openDir(dir: DirHandle, name: string): DirHandle;
  makeDir(dir: DirHandle, name: string): void;
  /** For reading; returns at once for a FIFO or a device, which the caller refuses by `statFile`. */
  openFile(dir: DirHandle, name: string): FileHandle;
  /** A new file for writing; fails when the name exists. */
  createFile(dir: DirHandle, name: string, mode: number): FileHandle;
  /** Bytes read at `offset` into `into`; 0 at the end. */
  read(file: FileHandle, into: Uint8Array, offset: number): number;
  write(file: FileHandle, content: Uint8Array): void;
  setMode(file: FileHandle, mode: number): void;
  /** To the disk. A folder's names too, when given a folder. */
  sync(handle: FileHandle | DirHandle): void;
  statFile(handle: FileHandle | DirHandle): EntryStat;
  stat(dir: DirHandle, name: string): EntryStat;
  /** Within one folder; replaces `to`. */
  rename(dir: DirHandle, from: string, to: string): void;
  /** A second name for `from`; fails when `to` exists. */
  link(dir: DirHandle, from: string, to: string): void;
  unlink(dir: DirHandle, name: string): void;
  /** Unsorted, at most `folderEntriesMax` names. */
  names(dir: DirHandle): readonly DirName[];
}
