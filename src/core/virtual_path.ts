import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** The folders that tools can name, by their first path segment (SPEC §6). */
export const ROOT_NAMES = ["shared", "tmp", "vault"] as const;

/** One of the folders that tools can name. */
export type RootName = (typeof ROOT_NAMES)[number];

/** A virtual path in pieces: `/shared/notes/a.txt` is root `shared`, parts `["notes", "a.txt"]`. */
export interface VirtualPath {
  readonly root: RootName;
  readonly parts: readonly string[];
}

/** Start of the names that a write uses before it renames; invisible to tools, swept at boot. */
export const TEMP_PREFIX = ".oxydra-tmp-";

const SEGMENT_BYTES_MAX = 255;
/** What would change the lines or the order of a text that shows the name, and the other systems' separator. */
const UNSAFE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\\]/u;
/** Most names: judged without folding and encoding. */
const PLAIN_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu;
const encoder = new TextEncoder();

/**
 * True for names that no tool may see or touch: `.oxydra` and our temporaries. Folded first, because file systems exist that
 * open `.OXYDRA`, `.oxydra.`, a spelling with invisible characters or the short name `OXYDRA~1` as the same folder.
 */
export function isReservedName(name: string): boolean {
  const folded = name.normalize("NFKC").replace(IGNORABLE, "").toLowerCase().replace(/[. ]+$/, "");
  return folded === ".oxydra" || folded.startsWith(TEMP_PREFIX) || /^\.?oxydra~\d/.test(folded);
}

/** True for a name that a tool can pass back as one path segment; other names of a folder are left out of listings. */
export function isNameable(name: string): boolean {
  return PLAIN_NAME.test(name) ||
    name !== "" && name !== "." && name !== ".." && !name.includes("/") && name.isWellFormed() &&
      !UNSAFE.test(name) && encoder.encode(name).length <= SEGMENT_BYTES_MAX && !isReservedName(name);
}

/**
 * The pieces of a canonical virtual path. Throws AppError `path_invalid` for a path that is not canonical (a child sends it,
 * so nothing is repaired here) and `path_outside` for one that begins with no root; the message never repeats a host path.
 */
export function parseVirtualPath(path: string): VirtualPath {
  if (encoder.encode(path).length > LIMITS.pathBytesMax) {
    throw new AppError("path_invalid", `The path is longer than ${LIMITS.pathBytesMax} bytes`);
  }
  if (!path.isWellFormed() || UNSAFE.test(path)) {
    throw new AppError("path_invalid", "The path contains a NUL, a control character, a backslash or broken Unicode");
  }
  const [empty, first, ...parts] = path.split("/");
  const root = ROOT_NAMES.find((name) => name === first);
  if (empty !== "" || root === undefined) {
    throw new AppError("path_outside", `The path is outside ${rootList()}`);
  }
  if (parts.length > LIMITS.treeDepthMax) {
    throw new AppError("path_invalid", `The path below /${root} is more than ${LIMITS.treeDepthMax} folders deep`);
  }
  for (const part of parts) {
    if (part === "" || part === "." || part === "..") {
      throw new AppError("path_invalid", `The path below /${root} contains an empty part, "." or ".."`);
    }
    if (isReservedName(part)) {
      throw new AppError("path_outside", `The path names what tools cannot reach below /${root}`);
    }
    if (!isNameable(part)) throw new AppError("path_invalid", `A part of the path below /${root} is not a file name`);
  }
  return { root, parts };
}

/** The text form: `/shared/notes/a.txt`. */
export function toVirtualText(path: VirtualPath): string {
  return ["", path.root, ...path.parts].join("/");
}

/** True when `path` is `folder` or lies below it, by whole segments: `/sharedx` is not below `/shared`. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

function rootList(): string {
  return ROOT_NAMES.map((name) => `/${name}`).join(", ");
}
