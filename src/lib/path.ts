/**
 * POSIX paths as text, the same as `node:path/posix` (tests/lib/path_test.ts compares them on random input). Its own file because the
 * first `node:` module costs 6 ms of every process that imports it, and each start is three processes.
 */

/** True for a path that begins at the root. */
export function isAbsolute(path: string): boolean {
  return path.startsWith("/");
}

/** The parts as one path, `.` and `..` resolved as far as that goes without a disk. `.` for nothing. */
export function join(...parts: readonly string[]): string {
  const joined = parts.filter((part) => part !== "").join("/");
  return joined === "" ? "." : normalize(joined);
}

/** An absolute path: parts from right to left until one begins at the root, else below the working directory. */
export function resolve(...parts: readonly string[]): string {
  let path = "";
  for (let at = parts.length - 1; at >= 0 && !isAbsolute(path); at--) {
    if (parts[at] !== "") path = path === "" ? parts[at]! : `${parts[at]}/${path}`;
  }
  if (!isAbsolute(path)) path = `${Deno.cwd()}/${path}`;
  const normal = normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** The way from one path to another; empty when they are the same. */
export function relative(from: string, to: string): string {
  const start = toNames(resolve(from));
  const end = toNames(resolve(to));
  let shared = 0;
  while (shared < start.length && shared < end.length && start[shared] === end[shared]) shared++;
  return [...start.slice(shared).map(() => ".."), ...end.slice(shared)].join("/");
}

/** The path without its last name. */
export function dirname(path: string): string {
  const trimmed = trimEnd(path);
  const slash = trimmed.lastIndexOf("/");
  if (slash < 0) return path.startsWith("/") ? "/" : ".";
  // Node keeps every slash but the one that it cuts at.
  return slash === 0 ? "/" : slash === 1 && trimmed.startsWith("//") ? "//" : trimmed.slice(0, slash);
}

/** The last name of the path. */
export function basename(path: string): string {
  const trimmed = trimEnd(path);
  return trimmed.slice(trimmed.lastIndexOf("/") + 1);
}

/** The path of a `file:` URL. Throws TypeError for another one. */
export function toFilePath(url: URL): string {
  if (url.protocol !== "file:") throw new TypeError(`${url.protocol} is no file URL`);
  return decodeURIComponent(url.pathname);
}

function trimEnd(path: string): string {
  return path.replace(/\/+$/, "");
}

function toNames(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function normalize(path: string): string {
  const absolute = isAbsolute(path);
  const names: string[] = [];
  for (const name of toNames(path)) {
    if (name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.length > 0 && names.at(-1) !== "..") names.pop();
    else if (!absolute) names.push("..");
  }
  const body = names.join("/");
  const tail = path.endsWith("/") && body !== "" ? "/" : "";
  if (body === "") return absolute ? "/" : path.endsWith("/") ? "./" : ".";
  return `${absolute ? "/" : ""}${body}${tail}`;
}
