import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { isReservedName, ROOT_NAMES } from "#/core/virtual_path.ts";

const ROOTS_TEXT = "use an absolute path below /shared, /tmp or /vault";
/** Control characters, and characters that change the order or the lines of a text: a path is shown to a person before it is granted. */
const HIDDEN = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const encoder = new TextEncoder();

/**
 * The one form of a virtual path: `/shared/a/b`, no empty component, no slash at the end. Pure; it says nothing about the file.
 * Throws AppError `path_invalid` for what is no virtual path (NUL and other control characters, backslash, `.` and `..`, relative,
 * over `pathBytesMax`) and `path_outside` for one that leads outside the roots or to a reserved name. Every reason names the roots.
 */
export function normalizeVirtualPath(path: string): string {
  if (path.length > LIMITS.pathBytesMax || encoder.encode(path).length > LIMITS.pathBytesMax) {
    throw new AppError("path_invalid", `the path is longer than ${LIMITS.pathBytesMax} bytes: ${ROOTS_TEXT}`);
  }
  if (path === "") throw new AppError("path_invalid", `the path is empty: ${ROOTS_TEXT}`);
  if (HIDDEN.test(path) || !path.isWellFormed()) {
    throw new AppError("path_invalid", `the path has a control character or a broken one: ${ROOTS_TEXT}`);
  }
  const shown = JSON.stringify(path.length > 120 ? `${path.slice(0, 120)}…` : path);
  if (path.startsWith("~") || /^[a-z][a-z0-9+.-]*:/i.test(path)) {
    throw new AppError("path_outside", `${shown} is a path of the host: ${ROOTS_TEXT}`);
  }
  if (path.includes("\\")) {
    throw new AppError("path_invalid", `${shown} has a backslash: ${ROOTS_TEXT}, with "/" between names`);
  }
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.includes("..") || parts.includes(".")) {
    throw new AppError("path_invalid", `${shown} has a "." or ".." component: ${ROOTS_TEXT}, without them`);
  }
  if (!path.startsWith("/")) throw new AppError("path_invalid", `${shown} is relative: ${ROOTS_TEXT}`);
  if (!ROOT_NAMES.some((name) => name === parts[0])) {
    throw new AppError("path_outside", `${shown} is outside of the roots: ${ROOTS_TEXT}`);
  }
  if (parts.some(isReservedName)) {
    throw new AppError("path_outside", `${shown} has a reserved name (.oxydra): ${ROOTS_TEXT}, with other names`);
  }
  return `/${parts.join("/")}`;
}
