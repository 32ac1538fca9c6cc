import { type PlanInput, type ProcessPlan, toBareEntry, toChildEnv, toFlagPath } from "#/runner/process_plan.ts";
import { toBareFlags } from "#/sandbox/child_plan.ts";

/** What Deno itself needs to find its cache and to know whether to paint; the client's own code reads no name at all. */
const CLIENT_NAMES: readonly string[] = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "NO_COLOR"];
const TLS_NAMES: readonly string[] = ["DENO_TLS_CA_STORE", "DENO_CERT", "NODE_EXTRA_CA_CERTS"];

/** What decides a client's flags. */
export interface ClientPlanInput extends PlanInput {
  /** Port of the gateway on 127.0.0.1. */
  readonly port: number;
  /** `host:port` of a gateway elsewhere, instead of that. */
  readonly remote?: string;
  /** The endpoint file, written by the runner in a folder that no guest and no tool can write. */
  readonly endpointPath: string;
  /** The runner's control socket: cards are shown as the runner made them, and answered to it alone. Empty when the runner is elsewhere. */
  readonly controlPath: string;
  /** Folder that the person named for what the model makes. */
  readonly saveMedia?: string | undefined;
}

/** The client's flags: one address, one socket and one file. It has the terminal; its arguments come on the command line, its secrets never. */
export function planClient(input: ClientPlanInput, clientArgs: readonly string[]): ProcessPlan {
  const entry = toBareEntry(input.program, "cli/client.ts");
  const reach = toClientReach(input, "/dev/tty");
  return {
    name: "client",
    command: input.program.denoPath,
    args: ["run", "-q", ...toBareFlags(entry), ...reach.flags, entry.entryUrl, ...clientArgs],
    env: toClientEnv(input),
    reach: reach.words,
  };
}

/** What every client may reach, as flags and in words; `terminal` is a device that it also reads. */
export function toClientReach(
  input: ClientPlanInput,
  terminal?: string,
): { readonly flags: readonly string[]; readonly words: readonly string[] } {
  const { port, remote, controlPath, endpointPath, saveMedia } = input;
  const address = remote ?? `127.0.0.1:${port}`;
  const sockets = controlPath === "" ? [] : [toFlagPath(controlPath)];
  const saved = saveMedia === undefined ? [] : [toFlagPath(saveMedia)];
  const read = [toFlagPath(endpointPath), ...sockets, ...(terminal === undefined ? [] : [terminal])];
  const written = [...sockets, ...saved];
  return {
    flags: [
      `--allow-net=${[address, ...sockets.map((path) => `unix:${path}`)].join(",")}`,
      `--allow-read=${read.join(",")}`,
      ...(written.length === 0 ? [] : [`--allow-write=${written.join(",")}`]),
    ],
    words: [
      "has the terminal",
      `connects to the gateway on ${address}, nowhere else`,
      ...sockets.map((path) => `asks the runner at ${path} what waits for an approval, and answers it`),
      `reads ${endpointPath} (address and token) and the terminal, no other file and no environment`,
      ...saved.map((dir) => `writes new files into ${dir}, what the model makes`),
    ],
  };
}

/** What is passed on of the environment, for Deno itself. A gateway elsewhere is spoken to over TLS: then also whom this machine trusts. */
export function toClientEnv({ env, remote }: ClientPlanInput): Record<string, string> {
  return toChildEnv(env, remote === undefined ? CLIENT_NAMES : [...CLIENT_NAMES, ...TLS_NAMES]);
}
