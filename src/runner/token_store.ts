import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { GatewayToken, Scope } from "#/gateway/token.ts";
import { join } from "#/lib/path.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { newToken } from "#/lib/token.ts";
import { writePrivateFile } from "#/runner/lock.ts";
import { tokensPath } from "#/runner/tokens_path.ts";

/** What a token may be called; its id, which the log and its sessions name, is another. */
export const TOKEN_NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;

const Time = z.number().int().nonnegative();
const TokenFile = z.strictObject({
  v: z.literal(1),
  tokens: z.array(z.strictObject({
    id: z.string().regex(/^[0-9a-f]{8}$/),
    name: z.string().regex(TOKEN_NAME),
    scope: z.enum(["owner", "read", "channel"]),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** Integer ms UTC, as `expiresAt`. */
    createdAt: Time,
    expiresAt: Time.exactOptional(),
  })).max(LIMITS.tokensMax),
});
/** A token as it is kept: never the token itself. */
export type IssuedToken = z.infer<typeof TokenFile>["tokens"][number];

/** The tokens of a workspace; none without the file. Throws AppError `config_invalid` for one that is damaged: whose tokens count must not be guessed. */
export function readTokens(runDir: string): readonly IssuedToken[] {
  const path = tokensPath(runDir);
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    return TokenFile.parse(JSON.parse(text)).tokens;
  } catch (cause) {
    throw new AppError("config_invalid", `${path} is damaged; remove it and create the tokens anew`, { cause });
  }
}

/**
 * Makes a token: 256 random bits behind a mark that secret scanners know it by. It is in no file; this is the only time anybody sees it.
 * Throws AppError `usage` for a name that is no name or in use, `quota_exceeded` at `tokensMax`, `config_invalid`.
 */
export async function createToken(
  runDir: string,
  wanted: { readonly name: string; readonly scope: Scope; readonly expiresAt?: number },
  now: number,
): Promise<{ readonly token: string; readonly issued: IssuedToken }> {
  if (!TOKEN_NAME.test(wanted.name)) {
    throw new AppError("usage", "a token's name is 1 to 32 of a-z, 0-9, - and _, and begins with a letter or digit");
  }
  const token = `oxydra_${newToken()}`;
  const id = crypto.getRandomValues(new Uint8Array(4)).toHex();
  const issued: IssuedToken = { ...wanted, id, sha256: await sha256Hex(token), createdAt: now };
  change(runDir, (tokens) => {
    // What has expired makes room, for its name as well.
    const live = tokens.filter(({ expiresAt = Infinity }) => now < expiresAt);
    if (live.some(({ name }) => name === wanted.name)) {
      throw new AppError("usage", `a token is called ${wanted.name} already; revoke it first`);
    }
    if (live.length >= LIMITS.tokensMax) throw new AppError("quota_exceeded", `at most ${LIMITS.tokensMax} tokens`);
    return [...live, issued];
  });
  return { token, issued };
}

/** Removes the token of this name or id. Throws AppError `usage` when there is none, `config_invalid`. */
export function revokeToken(runDir: string, nameOrId: string): IssuedToken {
  let revoked: IssuedToken | undefined;
  change(runDir, (tokens) => {
    revoked = tokens.find(({ name, id }) => name === nameOrId || id === nameOrId);
    if (revoked === undefined) throw new AppError("usage", "no token has this name or id; see `oxydra tokens list`");
    return tokens.filter((token) => token !== revoked);
  });
  return revoked!;
}

/** What a gateway is told of them. Pure. */
export function toGatewayTokens(issued: readonly IssuedToken[]): GatewayToken[] {
  return issued.map(({ id, sha256, scope, expiresAt }) => ({
    id,
    sha256,
    scope,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  }));
}

/** Two commands at once would otherwise lose what one of them did: a revoked token would be back. */
function change(runDir: string, toNext: (tokens: readonly IssuedToken[]) => readonly IssuedToken[]): void {
  using lock = Deno.openSync(join(runDir, "tokens.lock"), { read: true, write: true, create: true, mode: 0o600 });
  lock.lockSync(true);
  const tokens = toNext(readTokens(runDir));
  writePrivateFile(tokensPath(runDir), JSON.stringify({ v: 1, tokens }, null, 2) + "\n");
  lock.unlockSync();
}
