import { join } from "#/lib/path.ts";
import { newToken } from "#/lib/token.ts";

const TOKEN = /^[\w-]{43,128}$/;

/**
 * The token of this user's gateway that stays the same over restarts, from `internal/gateway-token` (mode 0600). A new one is made
 * when there is none, when others may read it, and when the file is not the very one that was made here: a cloned or unpacked
 * folder could bring a token that somebody else knows, but not the number of the inode that its copy gets; `gateway-token.inode`
 * holds that. Only the guest reads and writes these files: the runner opens nothing that a guest can write.
 */
export async function readOrMakeToken(internalDir: string): Promise<string> {
  const path = join(internalDir, "gateway-token");
  return await readToken(path) ?? await makeToken(path);
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    const { ino, mode, isFile } = await Deno.lstat(path);
    if (!isFile || ino === null || ((mode ?? 0) & 0o077) !== 0) return undefined;
    if ((await Deno.readTextFile(toMarkPath(path))).trim() !== String(ino)) return undefined;
    const token = (await Deno.readTextFile(path)).trim();
    return TOKEN.test(token) ? token : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function makeToken(path: string): Promise<string> {
  const token = newToken();
  await replace(path, token);
  await replace(toMarkPath(path), String((await Deno.lstat(path)).ino));
  return token;
}

function toMarkPath(path: string): string {
  return `${path}.inode`;
}

async function replace(path: string, line: string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(temporary, line + "\n", { mode: 0o600, createNew: true });
  await Deno.rename(temporary, path);
}
