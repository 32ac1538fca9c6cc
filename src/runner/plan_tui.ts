import { type ClientPlanInput, toClientEnv, toClientReach } from "#/runner/plan_client.ts";
import { type Environment, type ProcessPlan, toModuleFlags } from "#/runner/process_plan.ts";

/** What decides the flags of a terminal client with a screen. */
export interface TuiPlanInput extends ClientPlanInput {
  /** The runner's copy of our lock: this client has npm packages. */
  readonly lockPath: string;
}

/** Not the person's environment: React's build without its development checks, and colours by number of the sixteen, or none. */
function toConstants({ NO_COLOR: none = "" }: Environment): Environment {
  return { NODE_ENV: "production", FORCE_COLOR: none === "" ? "1" : "0" };
}

/**
 * The flags of the client that draws with Ink: those of the other client, and modules from the lock. Of the environment it reads the two
 * names above; every other name that a package asks for is not there (`--ignore-env`), as it is for TERM, CI and the like. Measured:
 * Ink, React, Yoga and chalk ask for no file, no sys and no run permission.
 */
export function planTui(input: TuiPlanInput, clientArgs: readonly string[]): ProcessPlan {
  const { program } = input;
  const constants = toConstants(input.env);
  const reach = toClientReach(input);
  const args = [
    "run",
    "-q",
    ...toModuleFlags(program, input.lockPath),
    "--ignore-env",
    `--allow-env=${Object.keys(constants).join(",")}`,
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
    env: { ...toClientEnv(input), ...constants },
    reach: [
      ...reach.words,
      `draws with npm packages, to which ${Object.keys(constants).join(" and ")} are all of the environment`,
    ],
  };
}
