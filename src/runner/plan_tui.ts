import { type ClientPlanInput, toClientEnv, toClientReach } from "#/runner/plan_client.ts";
import { type ProcessPlan, toModuleFlags } from "#/runner/process_plan.ts";

/** What decides the flags of a terminal client with a screen. */
export interface TuiPlanInput extends ClientPlanInput {
  /** The runner's copy of our lock: this client has npm packages. */
  readonly lockPath: string;
}

/** Constants, not the person's environment: React's build without its development checks, and colours by number of the sixteen. */
const CONSTANTS = { NODE_ENV: "production", FORCE_COLOR: "1" } as const;

/**
 * The flags of the client that draws with Ink: those of the other client, and modules from the lock. Of the environment it reads the two
 * constants above; every other name that a package asks for is not there (`--ignore-env`), as it is for TERM, CI and the like. Measured:
 * Ink, React, Yoga and chalk ask for no file, no sys and no run permission.
 */
export function planTui(input: TuiPlanInput, clientArgs: readonly string[]): ProcessPlan {
  const { program } = input;
  const reach = toClientReach(input);
  const args = [
    "run",
    "-q",
    ...toModuleFlags(program, input.lockPath),
    "--ignore-env",
    `--allow-env=${Object.keys(CONSTANTS).join(",")}`,
    ...reach.flags,
    new URL("cli/tui.ts", program.srcUrl).href,
    ...clientArgs,
  ];
  // When the launcher is killed this process is told, so that it can give the terminal back.
  const command = program.setprivPath === null
    ? { command: program.denoPath, args }
    : { command: program.setprivPath, args: ["--pdeathsig", "TERM", "--", program.denoPath, ...args] };
  return {
    name: "tui",
    ...command,
    env: { ...toClientEnv(input), ...CONSTANTS },
    reach: [
      ...reach.words,
      `draws with npm packages, to which ${Object.keys(CONSTANTS).join(" and ")} are all of the environment`,
    ],
  };
}
