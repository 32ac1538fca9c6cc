import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { toPrintable } from "#/lib/printable.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import type { UserFolders } from "#/config/user.ts";
import { probeLocalServers } from "#/provider/local_servers.ts";
import { parseModelFlag } from "#/provider/select.ts";
import { controlPath, endpointPath, readEndpoint } from "#/runner/endpoint.ts";
import { acquireRunnerLock, readLockHolder, type RunnerLock } from "#/runner/lock.ts";
import { planClient } from "#/runner/plan_client.ts";
import { planTools } from "#/runner/plan_tools.ts";
import { checkTier, isDescribed, planStart, type StartPlan } from "#/runner/plan_start.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import type { Environment, PlanInput } from "#/runner/process_plan.ts";
import { type Runner, startRunner } from "#/runner/runner.ts";
import { toStartupStatus } from "#/runner/startup_status.ts";
import type { ClientRequest } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { TurnOptions } from "#/cli/main.ts";
import { findPlace, openProgram, type Place, readEnvironment } from "#/cli/place.ts";
import type { PlainTurn } from "#/cli/plain_args.ts";
import { reportError } from "#/cli/report_error.ts";
import { prepareMediaFolder } from "#/cli/save_media.ts";

/** A command line that needed no parser, from its options to its exit code. */
export async function runPlainTurn(turn: PlainTurn, version: string): Promise<number> {
  try {
    return await launchClient(turn.mode, turn.prompt, turn.options, version);
  } catch (error) {
    return reportError(error);
  }
}

/** What every attempt of one launch shares. */
interface Launch extends Place {
  readonly folders: UserFolders;
  readonly request: ClientRequest;
  /** The message of `run`. */
  readonly prompt: string | undefined;
  readonly version: string;
}

/**
 * Runs a client against the live gateway of this user and workspace, or against one that this process starts and that lives until
 * the last client leaves. Whoever gets the lock starts; the others wait for its address. Returns the client's exit code.
 */
export async function launchClient(
  mode: ClientRequest["mode"],
  prompt: string | undefined,
  options: TurnOptions,
  version: string,
): Promise<number> {
  if (options.model !== undefined) parseModelFlag(options.model);
  if (prompt !== undefined && mode === "run") checkPrompt(prompt);
  if (options.session !== undefined) checkSession(options.session);
  if (options.gateway !== undefined) return await launchAt(mode, prompt, { ...options, gateway: options.gateway });
  const place = await findPlace(options);
  const { user, loaded } = place;
  checkTier(user.tier);
  const folders = prepareWorkspace(user, loaded, place);
  const request: ClientRequest = {
    mode: await toMode(mode, options, place.env),
    json: options.json ?? false,
    user: user.id,
    endpointPath: endpointPath(folders.ipc),
    controlPath: controlPath(folders.ipc),
    ...(options.session === undefined ? {} : { session: options.session }),
    ...(options.model === undefined ? {} : { model: toFullModel(options.model) }),
    ...(options.saveMedia === undefined ? {} : { saveMedia: prepareMediaFolder(options.saveMedia) }),
  };
  return await attachOrStart({ ...place, program: await openProgram(), folders, request, prompt, version });
}

type ElsewhereOptions = TurnOptions & { readonly gateway: string };

/** A gateway that somebody else runs: what starts one is not loaded. */
async function launchAt(
  mode: ClientRequest["mode"],
  prompt: string | undefined,
  options: ElsewhereOptions,
): Promise<number> {
  const { launchElsewhere }: typeof import("#/cli/launch_elsewhere.ts") = await import(
    new URL("./launch_elsewhere.ts", import.meta.url).href
  );
  return await launchElsewhere(await toMode(mode, options, readEnvironment()), prompt, options);
}

/** Lines or a screen. `run` is asked nothing and loads nothing for it. */
async function toMode(
  mode: ClientRequest["mode"],
  options: TurnOptions,
  env: Environment,
): Promise<ClientRequest["mode"]> {
  const wantsLines = options.json === true || options.saveMedia !== undefined;
  if (mode === "run" || (mode === "chat" && (wantsLines || !Deno.stdin.isTerminal()))) return mode;
  const { readTerminalFacts, toTerminalMode } = await loadTui();
  return toTerminalMode(mode, wantsLines, readTerminalFacts(env));
}

function loadTui(): Promise<typeof import("#/cli/tui_launch.ts")> {
  return import(new URL("./tui_launch.ts", import.meta.url).href);
}

/** What the gateway would refuse is said before anything starts. */
function checkPrompt(prompt: string): void {
  if (prompt.trim() === "") throw new AppError("usage", "the message is empty");
  if (prompt.length <= LIMITS.promptCharsMax) return;
  throw new AppError("usage", `the message has ${prompt.length} characters; at most ${LIMITS.promptCharsMax}`);
}

function checkSession(id: string): void {
  if (id !== "" && id.length <= LIMITS.idCharsMax) return;
  throw new AppError("usage", `--session: a session's id has 1 to ${LIMITS.idCharsMax} characters`);
}

/** `demo` alone means `demo/demo`. */
function toFullModel(flag: string): string {
  const { provider, model } = parseModelFlag(flag);
  return `${provider}/${model}`;
}

async function attachOrStart(launch: Launch): Promise<number> {
  const end = performance.now() + LIMITS.guestStartMs;
  while (performance.now() < end) {
    const lock = acquireRunnerLock(launch.folders.run, Date.now());
    if (lock !== null) return await startAndRun(launch, lock);
    const endpoint = readEndpoint(launch.folders.ipc);
    if (endpoint !== null) {
      const code = await runClient(launch, endpoint.port);
      if (code !== EXIT.gatewayGone) return code;
    }
    // Its runner is starting or stopping; both are over in a moment.
    await new Promise((resolve) => setTimeout(resolve, LIMITS.attachPollMs));
  }
  const holder = readLockHolder(launch.folders.run);
  const who = holder === null ? "another oxydra" : `another oxydra (process ${holder.pid})`;
  throw new AppError("gateway_unreachable", `${who} has this workspace, and its gateway does not answer`);
}

async function startAndRun(launch: Launch, lock: RunnerLock): Promise<number> {
  const runner = await start(launch, lock);
  // The client has the same terminal and does with Ctrl-C what is right there; this process ends when its clients have.
  let interrupts = 0;
  const onInterrupt = () => {
    if (++interrupts > 2) void runner.close();
  };
  // The guest closes its clients, and with the last one this process ends.
  const onTerminate = () => void runner.close();
  const listeners = [["SIGINT", onInterrupt], ["SIGTERM", onTerminate], ["SIGHUP", onTerminate]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  try {
    const code = await runClient(launch, runner.endpoint.port);
    await stayForOthers(runner);
    return code === EXIT.gatewayGone ? EXIT.internal : code;
  } finally {
    await runner.close();
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}

async function start(launch: Launch, lock: RunnerLock): Promise<Runner> {
  const { loaded, env } = launch;
  try {
    const plan = await describe(launch, planStart(loaded, env, []));
    return await startRunner({
      program: launch.program,
      version: launch.version,
      env,
      user: launch.request.user,
      folders: launch.folders,
      hosts: plan.hosts,
      port: 0,
      tools: planTools(loaded.config, env),
      lock,
      bootstrap: async () => {
        const { timezone, model, fallback, settings } = await lookAround(launch, plan);
        const startupStatus = toStartupStatus();
        return { version: launch.version, timezone, model, fallback: [...fallback], settings, startupStatus };
      },
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Only a start that ends at the demo by itself looks for a model server on this machine; it asks for names of models and nothing else. */
async function lookAround({ loaded, env }: Launch, plan: StartPlan): Promise<StartPlan> {
  const { provider, model } = loaded.config.selection;
  if (plan.model.type !== "demo" || provider !== undefined || model !== undefined) return plan;
  return planStart(loaded, env, await probeLocalServers(fetch));
}

/** Adds what the catalog knows of the model. The demo needs none: what reads a catalog is not even loaded for it. */
async function describe({ loaded }: Launch, plan: StartPlan): Promise<StartPlan> {
  if (isDescribed(plan, loaded)) return plan;
  const { describeStart }: typeof import("#/runner/describe_start.ts") = await import(
    new URL("../runner/describe_start.ts", import.meta.url).href
  );
  const described = await describeStart(plan, loaded);
  for (const note of described.notes) console.error(`oxydra: not used of the model catalog: ${toPrintable(note)}`);
  return described.plan;
}

/** Our own client has left; others may still be connected, and their work goes on. */
async function stayForOthers(runner: Runner): Promise<void> {
  // Told later than at once: our own client may still be counted. Told at all: the count is the guest's word.
  const notice = setTimeout(() => {
    console.error(
      `oxydra: other clients use this gateway; it stays until the last one leaves (Ctrl-C three times ends it)`,
    );
  }, LIMITS.stayNoticeMs);
  await Promise.race([runner.whenIdle(), runner.guestExited]);
  clearTimeout(notice);
}

async function runClient(launch: Launch, port: number): Promise<number> {
  const { program, env, request, prompt, folders } = launch;
  return await runClientProcess({ program, env, request, prompt, port, lockPath: join(folders.run, "guest.lock") });
}

/** What one client process is made of. */
export interface ClientProcess extends PlanInput {
  readonly request: ClientRequest;
  /** The message of `run`. */
  readonly prompt: string | undefined;
  readonly port: number;
  readonly lockPath: string;
  /** `host:port` of a gateway elsewhere. */
  readonly remote?: string;
}

/** Runs one client to its end. Returns its exit code. */
export async function runClientProcess({ request, prompt, ...input }: ClientProcess): Promise<number> {
  if (request.mode === "tui") {
    const { runTui } = await loadTui();
    return await runTui({ ...request, ...input }, request);
  }
  const plan = planClient({ ...request, ...input }, [JSON.stringify(request)]);
  const child = spawn(plan, {
    stdin: request.mode === "run" ? "piped" : "inherit",
    stdout: "inherit",
    stderr: "inherit",
  });
  if (request.mode === "run") {
    // A client that ends before it has read it says why with its exit code.
    await ReadableStream.from([new TextEncoder().encode(prompt)]).pipeTo(child.stdin).catch(() => {});
  }
  return (await child.status).code;
}
