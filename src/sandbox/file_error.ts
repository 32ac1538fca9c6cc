import { AppError, type ErrorCode } from "#/core/error.ts";
import type { EntryStat } from "#/sandbox/os.ts";

/** What a failed file step means to a model. `place` is the virtual path; the host's own message stays in `cause`. */
const MEANING: Readonly<Record<string, readonly [ErrorCode, (place: string) => string]>> = {
  ENOENT: ["file_not_found", (place) => `${place} does not exist`],
  ELOOP: ["path_outside", (place) => linkSentence(place)],
  EISDIR: ["file_not_regular", (place) => `${place} is a folder, not a file`],
  ENOTDIR: ["path_invalid", (place) => `${place} is not a folder`],
  ENXIO: ["file_not_regular", (place) => `${place} is not a regular file`],
  EEXIST: ["file_changed", (place) => `${place} was created by someone else meanwhile`],
  ENAMETOOLONG: ["path_invalid", (place) => `A name in ${place} is too long`],
  EACCES: ["tool_failed", (place) => `The system refuses access to ${place}`],
  EPERM: ["tool_failed", (place) => `The system refuses access to ${place}`],
  EROFS: ["tool_failed", (place) => `${place} lies on a read-only disk`],
  ENOSPC: ["quota_exceeded", (place) => `The disk has no space left for ${place}`],
  EDQUOT: ["quota_exceeded", (place) => `The disk quota leaves no space for ${place}`],
  EMFILE: ["tool_failed", (place) => `Too many files are open to reach ${place}; try again`],
};

/** An AppError for a failed file step; an AppError passes unchanged. `place` is a virtual path. Throws what is no file error: a bug. */
export function toFileError(error: unknown, place: string): AppError {
  if (error instanceof AppError) return error;
  const platformCode = codeOf(error);
  if (platformCode === "") throw error;
  const [code, sentence] = MEANING[platformCode] ?? ["tool_failed", (p: string) => `${p} could not be reached`];
  return new AppError(code, sentence(place), { cause: error });
}

/** The platform's error code (`ENOENT`), or `""`. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** The refusal of something that is no regular file. */
export function notRegular(place: string, kind: EntryStat["kind"]): AppError {
  if (kind === "link") return new AppError("path_outside", linkSentence(place));
  if (kind === "dir") return new AppError("file_not_regular", `${place} is a folder, not a file`);
  return new AppError("file_not_regular", `${place} is a pipe, socket or device, not a regular file`);
}

function linkSentence(place: string): string {
  return `${place} is a symbolic link, and tools follow no link: it may lead outside /${place.split("/")[1] ?? ""}`;
}
