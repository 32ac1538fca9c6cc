import fs from "node:fs";
import { AppError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";

/** An open segment of the audit log; its size was taken when it was opened. */
export interface Segment extends Disposable {
  readonly fd: number;
  readonly size: number;
}

/** How a segment is opened, besides following no link and waiting for no pipe. */
export const SEGMENT_FLAGS = {
  read: fs.constants.O_RDONLY,
  append: fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT,
  create: fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const;

/** File name of a segment. */
export function segmentName(segment: number): string {
  return `audit-${String(segment).padStart(6, "0")}.jsonl`;
}

/** Numbers of the segments in `dir`, ascending. Throws AppError `audit_failed` for what is no folder of ours. */
export function listSegments(dir: string): number[] {
  const stat = fs.lstatSync(dir);
  if (!stat.isDirectory() || stat.uid !== Deno.uid()) throw notPlain(dir, "folder");
  if ((stat.mode & 0o077) !== 0) fs.chmodSync(dir, 0o700);
  const found = fs.readdirSync(dir).flatMap((name) => /^audit-(\d{6})\.jsonl$/.exec(name)?.[1] ?? []);
  return found.map(Number).sort((a, b) => a - b);
}

/** Opens a segment. Throws AppError `audit_failed` for a pipe, a link, a file that has another name too, and what is not ours. */
export function openSegment(dir: string, segment: number, how: keyof typeof SEGMENT_FLAGS = "read"): Segment {
  const path = join(dir, segmentName(segment));
  const { O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, SEGMENT_FLAGS[how] | O_NOFOLLOW | O_NONBLOCK, 0o600);
  const stat = fs.fstatSync(fd);
  if (stat.isFile() && stat.uid === Deno.uid() && stat.nlink === 1) {
    if ((stat.mode & 0o077) !== 0) fs.fchmodSync(fd, 0o600);
    return { fd, size: stat.size, [Symbol.dispose]: () => fs.closeSync(fd) };
  }
  fs.closeSync(fd);
  throw notPlain(path, "file");
}

/** Bytes `from`…`to` of a segment, fewer where it ends before. */
export function readSegment({ fd }: Segment, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(to - from);
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, from));
}

/** Appends all of `content` in one write, or nothing. Throws when the segment has not `size` bytes and one name any more, and when the disk is full. */
export function appendSegment({ fd }: Pick<Segment, "fd">, size: number, content: Uint8Array): void {
  const stat = fs.fstatSync(fd);
  if (stat.size !== size || stat.nlink !== 1) throw new Error("someone else changed or removed its file");
  try {
    if (fs.writeSync(fd, content) < content.length) throw new Error("the disk is full");
  } catch (error) {
    fs.ftruncateSync(fd, size);
    throw error;
  }
}

function notPlain(path: string, kind: "file" | "folder"): AppError {
  return new AppError("audit_failed", `${path} is no plain ${kind} of yours, so it is no audit log`);
}
