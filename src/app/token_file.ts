import { join } from "node:path";
import { newToken } from "#/lib/token.ts";

const TOKEN = /^[\w-]{43,128}$/;

/**
 * The token of this user's gateway that stays the same over restarts, from `internal/gateway-token` (mode 0600); made when there is
 * none, or when what lies there is no token. Only the guest reads and writes this file: the runner opens nothing that a guest can write.
 */
export async function readOrMakeToken(internalDir: string): Promise<string> {
  const path = join(internalDir, "gateway-token");
  try {
    const token = (await Deno.readTextFile(path)).trim();
    if (TOKEN.test(token)) return token;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const token = newToken();
  const temporary = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(temporary, token + "\n", { mode: 0o600, createNew: true });
  await Deno.rename(temporary, path);
  return token;
}
