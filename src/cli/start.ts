import type { UserFolders } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { acquireRunnerLock, readLockHolder, type RunnerLock } from "#/runner/lock.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import type { Runner } from "#/runner/runner.ts";
import { toRow } from "#/cli/columns.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { StartOptions } from "#/cli/options.ts";
import { openRunner, type RunnerPlace } from "#/cli/open_runner.ts";
import { findPlace, openProgram } from "#/cli/place.ts";

/** Where the text beside a label begins. */
const LABEL = 11;

/**
 * Runs a user's gateway until somebody stops it, or with `--detach` has a process of its own session do it and returns when that one listens.
 * Exit 0 after an orderly stop, 1 when its guests ended too often. Throws AppError `lock_held` when it runs already, and what a start throws.
 */
export async function runStart(options: StartOptions, version: string): Promise<number> {
  const asked = toProcessTier(options.optionsOnStdin ? await readOptions(options) : options);
  if (!asked.detach || options.optionsOnStdin) return await startHere(asked, version);
  const { startDetached }: typeof import("#/cli/start_detached.ts") = await import(
    new URL("./start_detached.ts", import.meta.url).href
  );
  return await startDetached(asked);
}

/** The reference's `--insecure`, which there takes the walls away. Throws AppError `usage` beside another tier. */
export function toProcessTier(options: StartOptions): StartOptions {
  if (!options.insecure) return options;
  const { insecure: _, ...others } = options;
  if (options.tier !== undefined && options.tier !== "process") {
    throw new AppError("usage", `--insecure means --tier process, and here is --tier ${options.tier}: choose one`);
  }
  console.error(
    "oxydra: --insecure means --tier process and removes no wall: tools keep their sandbox and their grants",
  );
  return { ...others, tier: "process" };
}

/** Says who has the workspace. */
export function toHeld({ run }: Pick<UserFolders, "run">, user: string): AppError {
  const holder = readLockHolder(run);
  const who = holder === null ? "" : ` (process ${holder.pid})`;
  return new AppError(
    "lock_held",
    `already running for ${user}${who}: see \`oxydra status\`, or \`oxydra restart\``,
  );
}

/** What the parent was asked; values of `--env` are secrets and on no command line. */
async function readOptions(own: StartOptions): Promise<StartOptions> {
  const text = await new Response(Deno.stdin.readable).text();
  return { ...JSON.parse(text) as StartOptions, ...own };
}

async function startHere(options: StartOptions, version: string): Promise<number> {
  const since = Date.now();
  const place = await findPlace(options);
  const { user, loaded } = place;
  const folders = prepareWorkspace(user, loaded, place);
  const program = await openProgram();
  const lock = acquireRunnerLock(folders.run, since);
  if (lock === null) throw toHeld(folders, user.id);
  const detached = options.optionsOnStdin === true;
  const { optionsOnStdin: _, ...kept } = options;
  const say = (line: string) => tell(line, detached);
  return await serve({
    ...{ ...place, folders, program, version, options, since },
    plainText: options.plainTextToTheNetwork === true,
    startedWith: { detached, options: { ...kept } },
    // In the background the log has it.
    onNote: (line) => detached ? undefined : console.error(`oxydra: ${toPrintable(line)}`),
  }, { lock, say });
}

async function serve(
  place: RunnerPlace,
  { lock, say }: { readonly lock: RunnerLock; readonly say: (line: string) => void },
): Promise<number> {
  let runner: Runner | undefined;
  let stops = 0;
  const onStop = () => {
    // Whoever does not want to wait for a start can have it end at once: the next one finds everything as a kill leaves it.
    if (++stops > 1 && runner === undefined) Deno.exit(EXIT.interrupted);
    if (runner === undefined) return;
    if (stops === 1) say(toStopping(runner.health()));
    void runner.stop(stops === 1 ? undefined : 0);
  };
  const onHangUp = () => Deno.stdout.isTerminal() ? onStop() : void runner?.reload();
  const listeners = [["SIGINT", onStop], ["SIGTERM", onStop], ["SIGHUP", onHangUp]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  try {
    runner = await openRunner(place, lock);
    say(toStartText(runner.health(), place.folders));
    if (stops > 0) await runner.stop(0);
    const failed = await Promise.race([runner.gaveUp, runner.closed]);
    if (failed === undefined) say(`oxydra has stopped for ${place.user.id}`);
    else console.error(`oxydra: ${toPrintable(failed.message)} (see \`oxydra logs\`)`);
    return failed === undefined ? EXIT.done : EXIT.internal;
  } finally {
    await runner?.close();
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}

function toStopping({ active_turns }: HealthStatus): string {
  if (active_turns === 0) return "oxydra stops";
  return `oxydra stops; turns at work (${active_turns}) have ${
    LIMITS.drainMs / 1_000
  } s to end, and go on at the next start ` +
    "if they do not; once more ends it now";
}

/** What a start says of itself; the token is in no line of it. Pure. */
export function toStartText(health: HealthStatus, { root, logs }: Pick<UserFolders, "root" | "logs">): string {
  const { user_id, pid, sandbox_tier, startup_status, shell_available, browser_available, gateway } = health;
  const toYes = (is: boolean) => is ? "available" : "not available";
  const row = (label: string, text: string) => toRow(label, LABEL, text);
  return toPrintable([
    `oxydra runs for ${user_id} (process ${pid})`,
    ...row("tier", sandbox_tier),
    ...row("shell", toYes(shell_available)),
    ...row("browser", toYes(browser_available)),
    ...(startup_status.degraded_reasons ?? []).flatMap(({ detail }) => row("", detail)),
    ...row("gateway", gateway),
    ...row("workspace", root),
    ...row("logs", `${logs} (\`oxydra logs -f\`)`),
    "Talk to it with `oxydra chat`; `oxydra stop` ends it.",
  ].join("\n"));
}

/** A terminal that has gone away is no reason to end. */
function tell(text: string, withTime: boolean): void {
  const time = withTime ? `${new Date().toISOString()} ` : "";
  try {
    for (const line of text.split("\n")) console.log(`${time}${line}`);
  } catch {
    // Nobody reads it.
  }
}
