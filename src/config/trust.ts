import { dirname, join } from "#/lib/path.ts";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { readConfigFile, readPlainFile } from "#/config/read_file.ts";

/** What `oxydra trust` remembers: exactly these bytes at exactly this place. */
export const TrustedFile = z.strictObject({ path: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
export type TrustedFile = z.infer<typeof TrustedFile>;

const TrustList = z.strictObject({ version: z.literal(1), files: z.array(TrustedFile) });

/** Where the list is kept: `trusted.json`, mode 600, in the person's config folder. */
export function toTrustPath(home: string): string {
  return join(home, ".config", "oxydra", "trusted.json");
}

/** True when these bytes at this real path were trusted. A file that changed is not. */
export function isTrusted(list: readonly TrustedFile[], file: TrustedFile): boolean {
  return list.some(({ path, sha256 }) => path === file.path && sha256 === file.sha256);
}

/**
 * The person's list; empty when there is none. Throws AppError `config_invalid` for a list that is broken or that others can
 * write: whoever writes it decides what counts.
 */
export function readTrustList(home: string | undefined): readonly TrustedFile[] {
  if (home === undefined) return [];
  const path = toTrustPath(home);
  try {
    const info = Deno.statSync(path);
    if (((info.mode ?? 0) & 0o022) !== 0) throw broken(path, "others can write it; run: chmod 600");
    if (info.size > LIMITS.configBytesMax) throw broken(path, "it is too large");
    return TrustList.parse(JSON.parse(Deno.readTextFileSync(path))).files;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (error instanceof AppError) throw error;
    throw broken(path, "it is not a list of trusted files; remove it and trust your files again", error);
  }
}

/**
 * Trusts a config file, or a model catalog, as it is now and returns what was recorded. Two at once are both recorded. Throws AppError
 * `config_invalid` when the file cannot be read or is no TOML, or the list cannot be written.
 */
export async function trustFile(file: string, home: string): Promise<TrustedFile> {
  const read = file.endsWith(".json") ? await readJsonFile(file) : await readConfigFile(file);
  if (read.kind === "absent") throw new AppError("config_invalid", `${file}: there is no such file`);
  if (read.kind === "bad") throw new AppError("config_invalid", `${file}: ${read.sentence}`);
  const trusted = { path: read.realPath, sha256: read.sha256 };
  await changeTrust(home, [trusted.path], [trusted]);
  return trusted;
}

/** A project's model catalog, the one file that is no TOML. What it says is checked when it is read. */
async function readJsonFile(file: string) {
  const read = readPlainFile(file, { bytesMax: LIMITS.catalogBytesMax });
  if ("kind" in read) return read;
  return { kind: "read", realPath: read.realPath, sha256: await sha256Hex(read.bytes) } as const;
}

/** Forgets these paths, then records these files. Two at once are both recorded. Throws AppError `config_invalid` when the list cannot be written. */
export async function changeTrust(
  home: string,
  forgotten: readonly string[],
  files: readonly TrustedFile[],
): Promise<void> {
  const path = toTrustPath(home);
  try {
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    using lock = await Deno.open(`${path}.lock`, { create: true, write: true, mode: 0o600 });
    // The kernel drops this lock with the process: a kill leaves nothing to clean.
    await lock.lock(true);
    const others = readTrustList(home).filter((other) => !forgotten.includes(other.path));
    await replace(path, { version: 1, files: [...others, ...files].slice(-LIMITS.trustedFilesMax) });
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw broken(path, "it cannot be written", error);
  }
}

async function replace(path: string, list: z.infer<typeof TrustList>): Promise<void> {
  const temporary = `${path}.new`;
  await Deno.writeTextFile(temporary, JSON.stringify(list, null, 2) + "\n", { mode: 0o600 });
  // The mode of an older, half-written file would stay.
  await Deno.chmod(temporary, 0o600);
  await Deno.rename(temporary, path);
}

function broken(path: string, reason: string, cause?: unknown): AppError {
  return new AppError("config_invalid", `${path}: ${reason}`, { cause });
}
