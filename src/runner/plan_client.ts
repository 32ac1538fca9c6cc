import { type PlanInput, type ProcessPlan, toBareEntry, toChildEnv, toFlagPath } from "#/runner/process_plan.ts";
import { toBareFlags } from "#/sandbox/child_plan.ts";

/** What Deno itself needs to find its cache and to know whether to paint; the client's own code reads no name at all. */
const CLIENT_NAMES = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "NO_COLOR"] as const;

/** What decides a client's flags. */
export interface ClientPlanInput extends PlanInput {
  /** Port of the gateway on 127.0.0.1. */
  readonly port: number;
  /** The endpoint file, written by the runner in a folder that no guest and no tool can write. */
  readonly endpointPath: string;
  /** The runner's control socket: cards are shown as the runner made them, and answered to it alone. */
  readonly controlPath: string;
  /** Folder that the person named for what the model makes. */
  readonly saveMedia?: string | undefined;
}

/** The client's flags: one port, one socket and one file. It has the terminal; its arguments come on the command line, its secrets never. */
export function planClient(input: ClientPlanInput, clientArgs: readonly string[]): ProcessPlan {
  const entry = toBareEntry(input.program, "cli/client.ts");
  const socket = toFlagPath(input.controlPath);
  const saved = input.saveMedia === undefined ? [] : [toFlagPath(input.saveMedia)];
  return {
    name: "client",
    command: input.program.denoPath,
    args: [
      "run",
      "-q",
      ...toBareFlags(entry),
      `--allow-net=127.0.0.1:${input.port},unix:${socket}`,
      `--allow-read=${toFlagPath(input.endpointPath)},${socket},/dev/tty`,
      `--allow-write=${[socket, ...saved].join(",")}`,
      entry.entryUrl,
      ...clientArgs,
    ],
    env: toChildEnv(input.env, CLIENT_NAMES),
    reach: [
      "has the terminal",
      `connects to the gateway on 127.0.0.1:${input.port}, nowhere else`,
      `asks the runner at ${input.controlPath} what waits for an approval, and answers it`,
      `reads ${input.endpointPath} (address and token) and the terminal, no other file and no environment`,
      ...saved.map((dir) => `writes new files into ${dir}, what the model makes`),
    ],
  };
}
