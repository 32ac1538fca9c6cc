import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { readPlainFile } from "#/config/read_file.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const QUOTED = /^(["'])(.*)\1$/s;

/** Where a person keeps variables for every start. A project's `.env` is read only when somebody names it: a cloned folder may bring one. */
export function toOwnEnvFile(home: string): string {
  return join(home, ".config", "oxydra", ".env");
}

/**
 * One `NAME=VALUE`. `place` says where it stands, for messages. Throws AppError `usage`; never with the value, which may be a key.
 */
export function parseEnvEntry(entry: string, place: string): readonly [name: string, value: string] {
  const at = entry.indexOf("=");
  const name = at < 0 ? entry : entry.slice(0, at);
  // What stands where a name should may as well be a key that was pasted without one.
  if (at < 0) throw new AppError("usage", `${place}: expected NAME=VALUE, and there is no "="`);
  if (!NAME.test(name)) throw new AppError("usage", `${place}: what stands before "=" is not the name of a variable`);
  const value = entry.slice(at + 1);
  if (value.includes("\0")) throw new AppError("usage", `${place}: the value of ${name} holds a NUL byte`);
  return [name, value];
}

/**
 * The variables of a file with one `NAME=VALUE` a line: `#` begins a comment line, `export ` before a name is passed over, quotes around a
 * whole value go, and nothing else is interpreted: no `$NAME`, no escapes. A name that comes twice has its last value. Throws AppError `usage`
 * with the line.
 */
export function parseEnvFile(text: string, place: string): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim().replace(/^export\s+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const [name, value] = parseEnvEntry(line, `${place}:${index + 1}`);
    variables[name] = QUOTED.exec(value)?.[2] ?? value;
  }
  return variables;
}

/**
 * The variables of a file of at most `configBytesMax`; undefined when there is none. With `isPrivate` it must be readable by its owner alone.
 * Throws AppError `usage`.
 */
export function readEnvFile(
  path: string,
  { isPrivate = false }: { readonly isPrivate?: boolean } = {},
): Record<string, string> | undefined {
  const read = readPlainFile(path, { bytesMax: LIMITS.configBytesMax });
  if ("kind" in read) {
    if (read.kind === "absent") return undefined;
    throw new AppError("usage", `${path}: ${read.kind === "bad" ? read.sentence : "is no plain file"}`);
  }
  if (isPrivate && ((Deno.statSync(read.realPath).mode ?? 0) & 0o077) !== 0) {
    throw new AppError("usage", `${path}: others can read it, and it is for keys; run: chmod 600 ${path}`);
  }
  return parseEnvFile(new TextDecoder().decode(read.bytes), path);
}
