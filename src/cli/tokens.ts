import { AppError } from "#/core/error.ts";
import type { Scope } from "#/gateway/token.ts";
import { toPrintableJson } from "#/lib/printable.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { checkFolders, prepareWorkspace } from "#/runner/prepare.ts";
import { createToken, type IssuedToken, readTokens, revokeToken } from "#/runner/token_store.ts";
import { toTable } from "#/cli/columns.ts";
import { ifReached, tellTokens } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { CommonOptions, JsonOptions } from "#/cli/main.ts";
import { findPlace } from "#/cli/place.ts";
import { toMinute } from "#/cli/wording.ts";

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Options of `tokens create`. */
export interface CreateOptions extends JsonOptions {
  readonly name: string;
  readonly scope: Scope;
  /** `90m`, `8h`, `30d` from now; never when absent. */
  readonly expires?: string;
}

/**
 * Makes a token and prints it, this once: on stdout the token alone, so that a script can keep it. A gateway that runs takes it at once.
 * Throws AppError `usage`, `quota_exceeded`, `config_invalid`.
 */
export async function runTokensCreate(options: CreateOptions): Promise<number> {
  const now = Date.now();
  const expiresAt = options.expires === undefined ? undefined : toExpiry(options.expires, now);
  const place = await findPlace(options);
  const folders = prepareWorkspace(place.user, place.loaded, place);
  const wanted = { name: options.name, scope: options.scope, ...(expiresAt === undefined ? {} : { expiresAt }) };
  const { token, issued } = await createToken(folders.run, wanted, now);
  const isLive = await tellRunner(folders.ipc);
  if (options.json) console.log(toPrintableJson({ token, ...toListed(issued, now), live: isLive }, 2));
  else {
    console.log(token);
    const until = expiresAt === undefined ? "until it is revoked" : `until ${toMinute(expiresAt)}`;
    console.error(`${issued.name} (${issued.id}), scope ${issued.scope}, ${until}. It is not shown again.`);
  }
  return EXIT.done;
}

/** Lists the tokens, never what opens. Exit 0. Throws AppError `config_invalid`. */
export async function runTokensList(options: JsonOptions): Promise<number> {
  const place = await findPlace(options);
  const { run } = checkFolders(place.user, place.loaded, place);
  const now = Date.now();
  const tokens = readTokens(run).map((token) => toListed(token, now));
  if (options.json) console.log(toPrintableJson({ tokens }, 2));
  else if (tokens.length === 0) console.log("no token was created; `run`, `chat` and `tui` need none");
  else console.log(toTokenLines(tokens).join("\n"));
  return EXIT.done;
}

/** Ends a token: a gateway that runs closes what it opened. Throws AppError `usage` when there is none, `config_invalid`. */
export async function runTokensRevoke(nameOrId: string, options: CommonOptions): Promise<number> {
  const place = await findPlace(options);
  const folders = checkFolders(place.user, place.loaded, place);
  const { name, id } = revokeToken(folders.run, nameOrId);
  const isLive = await tellRunner(folders.ipc);
  console.log(`revoked ${name} (${id})${isLive ? "; its connections are closed" : ""}`);
  return EXIT.done;
}

/** True when a runner took the new list; without one the next start reads it. */
async function tellRunner(ipcDir: string): Promise<boolean> {
  return await ifReached(tellTokens(controlPath(ipcDir))) !== undefined;
}

/** As listings have it. Times are integer ms UTC. */
interface Listed extends Omit<IssuedToken, "sha256"> {
  readonly expired: boolean;
}

function toListed({ sha256: _, ...token }: IssuedToken, now: number): Listed {
  return { ...token, expired: now >= (token.expiresAt ?? Infinity) };
}

/** Lines of a table. Pure. */
export function toTokenLines(tokens: readonly Listed[]): string[] {
  const rows = tokens.map(({ name, id, scope, createdAt, expiresAt, expired }) => [
    name,
    id,
    scope,
    toMinute(createdAt),
    expired ? "expired" : expiresAt === undefined ? "never" : toMinute(expiresAt),
  ]);
  return toTable([["name", "id", "scope", "created", "expires"], ...rows], []);
}

/** Integer ms UTC. Throws AppError `usage`. Pure. */
export function toExpiry(text: string, now: number): number {
  const span = /^([1-9]\d{0,3})([mhd])$/.exec(text);
  if (span === null) throw new AppError("usage", "--expires: a time from now such as 90m, 8h or 30d");
  return now + Number(span[1]) * UNIT_MS[span[2]!]!;
}
