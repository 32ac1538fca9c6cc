import { AppError } from "#/core/error.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import { planTui, type TuiPlanInput } from "#/runner/plan_tui.ts";
import type { Environment } from "#/runner/process_plan.ts";
import type { ClientRequest } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { LEAVE } from "#/cli/tui_terminal.ts";

/** What decides between lines and a screen. */
export interface TerminalFacts {
  readonly isTerminal: boolean;
  /** `TERM`. */
  readonly term: string | undefined;
}

/**
 * The form in which a mode runs: `chat` on a terminal is the screen, and a screen on a terminal that can only print lines is `chat`. Pure.
 * Throws AppError `usage` for a screen without a terminal.
 */
export function toTerminalMode(
  mode: ClientRequest["mode"],
  wantsLines: boolean,
  { isTerminal, term }: TerminalFacts,
): ClientRequest["mode"] {
  if (mode === "run") return mode;
  if (mode === "tui" && !isTerminal) {
    throw new AppError("usage", "tui needs a terminal on stdin and stdout; `oxydra chat` reads lines from anything");
  }
  const canDraw = isTerminal && term !== undefined && term !== "" && term !== "dumb";
  return canDraw && !wantsLines ? "tui" : "chat";
}

/** Looks at stdin, stdout and `TERM`. */
export function readTerminalFacts(env: Environment): TerminalFacts {
  return { isTerminal: Deno.stdin.isTerminal() && Deno.stdout.isTerminal(), term: env.TERM };
}

/** Runs the client with a screen to its end. What ends this process ends it first, so that it can give the terminal back. */
export async function runTui(input: TuiPlanInput, request: ClientRequest): Promise<number> {
  // With `--cached-only` it finds its packages only when this process has them in its graph; from a file there is nothing to do.
  if (input.program.source === "url") await import(new URL("./tui_entries.ts", import.meta.url).href);
  const child = spawn(planTui(input, [JSON.stringify(request)]), {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  const pass = () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
  };
  // Not SIGHUP: the terminal tells the client itself when it is closed.
  Deno.addSignalListener("SIGTERM", pass);
  try {
    const { code, signal } = await child.status;
    if (signal === null) return code;
    await restoreTerminal();
    return EXIT.internal;
  } finally {
    Deno.removeSignalListener("SIGTERM", pass);
  }
}

/** What a client that was killed could not do itself. */
async function restoreTerminal(): Promise<void> {
  Deno.stdout.writeSync(new TextEncoder().encode(`\x1b[<u${LEAVE}\n`));
  // Line mode, echo, Ctrl-C: Deno gives back only what it took itself.
  await new Deno.Command("stty", { args: ["sane"], stdin: "inherit", stdout: "null", stderr: "null" }).output()
    .catch(() => {});
}
