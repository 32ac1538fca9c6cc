import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { writePrivateFile } from "#/runner/lock.ts";
import type { ClientRequest } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { runClientProcess } from "#/cli/launch.ts";
import type { TurnOptions } from "#/cli/main.ts";
import { openProgram, readEnvironment } from "#/cli/place.ts";
import { prepareMediaFolder } from "#/cli/save_media.ts";

const TOKEN_NAME = "OXYDRA_GATEWAY_TOKEN";

/** A gateway that somebody else runs. */
export interface Elsewhere {
  /** `ws://127.0.0.1:4711` or `wss://example.org:443`. */
  readonly origin: string;
  /** `host:port`, as `--allow-net` takes it. */
  readonly address: string;
}

/**
 * What `--gateway` means. Pure. Throws AppError `usage` for what is no such address, for one with a token in it, and for one without TLS
 * that is not on this machine: its token would be there for everybody on the way.
 */
export function parseGateway(text: string): Elsewhere {
  const wrong = (why: string) => new AppError("usage", `--gateway: ${why}; as in wss://example.org:8443`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong("this is no address");
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw wrong("the address begins with ws:// or wss://");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw wrong(`a token belongs into ${TOKEN_NAME} or a file (--token-file), not into an address that \`ps\` shows`);
  }
  if (url.pathname !== "/" && url.pathname !== "/ws") throw wrong("the address has no path");
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url.protocol === "ws:" && !isLocal) throw wrong("only a gateway on this machine is spoken to without TLS");
  const port = url.port === "" ? (url.protocol === "wss:" ? 443 : 80) : Number(url.port);
  return { origin: `${url.protocol}//${url.hostname}:${port}`, address: `${url.hostname}:${port}` };
}

/** Runs a client against a gateway elsewhere; nothing is started but the client, and no configuration is read. Returns its exit code. */
export async function launchElsewhere(
  mode: ClientRequest["mode"],
  prompt: string | undefined,
  options: TurnOptions & { readonly gateway: string },
): Promise<number> {
  const { origin, address } = parseGateway(options.gateway);
  const env = readEnvironment();
  const token = readToken(options.tokenFile, env);
  const program = await openProgram();
  const folder = await Deno.makeTempDir({ prefix: "oxydra-gateway-" });
  try {
    const endpointPath = join(folder, "endpoint");
    writePrivateFile(endpointPath, `${origin}/ws?token=${token}\n`);
    const lockPath = join(folder, "guest.lock");
    if (mode === "tui") await writeGuestLock(program, lockPath);
    const request: ClientRequest = {
      mode,
      json: options.json ?? false,
      user: options.user ?? "default",
      endpointPath,
      // Its runner is not here: cards are answered there, or through the gateway where its policy lets them.
      controlPath: "",
      ...(options.session === undefined ? {} : { session: options.session }),
      ...(options.saveMedia === undefined ? {} : { saveMedia: prepareMediaFolder(options.saveMedia) }),
    };
    const code = await runClientProcess({ program, env, request, prompt, lockPath, port: 0, remote: address });
    if (code !== EXIT.gatewayGone) return code;
    throw new AppError("gateway_unreachable", `${origin} does not answer`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function readToken(path: string | undefined, env: Readonly<Record<string, string>>): string {
  const where = path === undefined ? TOKEN_NAME : `--token-file ${path}`;
  let text = env[TOKEN_NAME] ?? "";
  if (path !== undefined) {
    try {
      text = Deno.readTextFileSync(path);
    } catch (cause) {
      throw new AppError("usage", `${where}: the file cannot be read`, { cause });
    }
  }
  const token = text.trim();
  if (token === "") throw new AppError("usage", `--gateway needs a token: set ${TOKEN_NAME}, or --token-file`);
  if (/^[\w.~-]+$/.test(token) && token.length <= LIMITS.tokenCharsMax) return token;
  throw new AppError("usage", `${where}: this is no token`);
}
