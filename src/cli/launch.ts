import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { toPrintable } from "#/lib/printable.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import { parseModelFlag } from "#/provider/select.ts";
import { controlPath, endpointPath, readEndpoint } from "#/runner/endpoint.ts";
import { acquireRunnerLock, readLockHolder, type RunnerLock } from "#/runner/lock.ts";
import { planClient } from "#/runner/plan_client.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import type { Environment, PlanInput } from "#/runner/process_plan.ts";
import type { Runner } from "#/runner/runner.ts";
import type { ClientRequest, SessionsAsk } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { TurnOptions } from "#/cli/main.ts";
import { findPlace, openProgram, readEnvironment } from "#/cli/place.ts";
import type { PlainTurn } from "#/cli/plain_args.ts";
import { reportError } from "#/cli/report_error.ts";
import { prepareMediaFolder } from "#/cli/save_media.ts";
import { openRunner, type RunnerPlace } from "#/cli/open_runner.ts";

/** A command line that needed no parser, from its options to its exit code. */
export async function runPlainTurn(turn: PlainTurn, version: string): Promise<number> {
  try {
    return await launchClient(turn.mode, turn.prompt, turn.options, version);
  } catch (error) {
    return reportError(error);
  }
}

/** What every attempt of one launch shares. */
interface Launch extends Omit<RunnerPlace, "onNote"> {
  readonly request: ClientRequest;
  /** The message of `run`. */
  readonly prompt: string | undefined;
  readonly sessions: SessionsCall | undefined;
}

/** What goes in and out of the client process beside its terminal. */
export interface SessionsIo {
  /** Opened for each attempt. */
  readonly input?: () => ReadableStream<Uint8Array>;
  readonly output?: (file: ReadableStream<Uint8Array>) => Promise<void>;
}

/** A question about sessions, and what its answer is made of beside the terminal. */
export interface SessionsCall {
  readonly ask: SessionsAsk;
  readonly io: SessionsIo;
}

/** Clients beside which a line of ours on stderr does no harm. */
const LINE_MODES: ReadonlySet<string> = new Set(["run", "chat"]);

/**
 * Runs a client against the live gateway of this user and workspace, or against one that this process starts and that lives until
 * the last client leaves. Whoever gets the lock starts; the others wait for its address. Returns the client's exit code.
 */
export async function launchClient(
  mode: ClientRequest["mode"],
  prompt: string | undefined,
  options: TurnOptions,
  version: string,
  sessions?: SessionsCall,
): Promise<number> {
  if (options.model !== undefined) parseModelFlag(options.model);
  if (prompt !== undefined && mode === "run") checkPrompt(prompt);
  if (options.session !== undefined) checkSession(options.session);
  if (options.gateway !== undefined) return await launchAt(mode, prompt, { ...options, gateway: options.gateway });
  const since = Date.now();
  const place = await findPlace(options);
  const { user, loaded } = place;
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
    ...(sessions === undefined ? {} : { ask: sessions.ask }),
  };
  const plainText = options.plainTextToTheNetwork === true;
  const program = await openProgram();
  const client = { folders, request, prompt, sessions };
  return await attachOrStart({ ...place, ...client, program, version, options, since, plainText });
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
  // A client that paints the whole screen has it to itself.
  const onNote = (line: string) => {
    if (LINE_MODES.has(launch.request.mode)) console.error(`oxydra: ${toPrintable(line)}`);
  };
  const runner = await openRunner({ ...launch, onNote }, lock);
  // The client has the same terminal and does with Ctrl-C what is right there; this process ends when its clients have.
  let interrupts = 0;
  const onInterrupt = () => {
    if (++interrupts > 2) void runner.close();
  };
  // The guest closes its clients, and with the last one this process ends.
  const onTerminate = () => void runner.close();
  // A terminal that hangs up ends our own client as well, and with the last client this process.
  const onReload = () => void runner.reload();
  const listeners = [["SIGINT", onInterrupt], ["SIGTERM", onTerminate], ["SIGHUP", onReload]] as const;
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  void runner.gaveUp.then((error) => {
    console.error(`oxydra: ${toPrintable(error.message)} (log: ${launch.folders.logs}/runtime.log)`);
    // Our own client waits for another guest until nobody is there any more.
    return runner.close();
  });
  try {
    const code = await runClient(launch, runner.endpoint.port);
    await stayForOthers(runner);
    return code === EXIT.gatewayGone ? EXIT.internal : code;
  } finally {
    await runner.close();
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}

/** Our own client has left; others may still be connected, and their work goes on. */
async function stayForOthers(runner: Runner): Promise<void> {
  // Told later than at once: our own client may still be counted. Told at all: the count is the guest's word.
  const notice = setTimeout(() => {
    console.error(
      `oxydra: other clients use this gateway; it stays until the last one leaves (Ctrl-C three times ends it)`,
    );
  }, LIMITS.stayNoticeMs);
  await Promise.race([runner.whenIdle(), runner.gaveUp]);
  clearTimeout(notice);
}

async function runClient(launch: Launch, port: number): Promise<number> {
  const { program, env, request, prompt, folders, sessions } = launch;
  const lockPath = join(folders.run, "guest.lock");
  return await runClientProcess({ program, env, request, prompt, port, lockPath, sessions });
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
  readonly sessions?: SessionsCall | undefined;
}

/** Runs one client to its end. Returns its exit code. */
export async function runClientProcess({ request, prompt, sessions, ...plan }: ClientProcess): Promise<number> {
  if (request.mode === "tui") {
    const { runTui } = await loadTui();
    return await runTui({ ...request, ...plan }, request);
  }
  const input = sessions?.io.input?.() ??
    (request.mode === "run" ? ReadableStream.from([new TextEncoder().encode(prompt)]) : undefined);
  const child = spawn(planClient({ ...request, ...plan }, [JSON.stringify(request)]), {
    stdin: input === undefined ? "inherit" : "piped",
    stdout: sessions?.io.output === undefined ? "inherit" : "piped",
    stderr: "inherit",
  });
  // A client that ends before it has read it says why with its exit code.
  const given = input?.pipeTo(child.stdin).catch(() => {});
  await sessions?.io.output?.(child.stdout);
  await given;
  return (await child.status).code;
}
