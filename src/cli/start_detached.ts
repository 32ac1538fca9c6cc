import { AppError, messageOf } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { toPrintable } from "#/lib/printable.ts";
import { spawn } from "#/lib/spawn_piped.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { isRunnerLockHeld } from "#/runner/lock.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { DAEMON_LOGS, planDaemon, toOwnCommand } from "#/runner/plan_daemon.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import { ifReached, readHealth } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { StartOptions } from "#/cli/options.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { toHeld, toStartText } from "#/cli/start.ts";

/**
 * Starts this program anew in a session of its own, with no terminal and with its output in `logs/`, and waits until its gateway listens. Returns 0
 * then, or the exit code that it ended with, its reason said. `mainUrl` is the file of this program. Throws AppError `lock_held`, and `guest_failed`
 * when it is silent for `daemonStartMs`.
 */
export async function startDetached(options: StartOptions, mainUrl: string = Deno.mainModule): Promise<number> {
  const place = await findPlace(options);
  const { user, loaded } = place;
  const folders = prepareWorkspace(user, loaded, place);
  if (isRunnerLockHeld(folders.run)) throw toHeld(folders, user.id);
  const errors = join(folders.logs, DAEMON_LOGS.stderr);
  for (const name of Object.values(DAEMON_LOGS)) turnPage(join(folders.logs, name));
  const from = Deno.statSync(errors).size;
  // `ps` shows whose it is; everything else comes on stdin.
  const command = [...toOwnCommand(await openProgram(), mainUrl), "start", "--options-on-stdin", "--user", user.id];
  const plan = planDaemon(command, { logsDir: folders.logs, env: Deno.env.toObject() });
  const child = spawn(plan, { detached: true, stdin: "piped", stdout: "null", stderr: "null" });
  const onInterrupt = () => child.kill("SIGTERM");
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await hand(child, options);
    const started = await waitFor(child, toOwnSocket(folders));
    if (typeof started !== "number") {
      console.log(toStartText(started, folders));
      return EXIT.done;
    }
    console.error(toPrintable(readFrom(errors, from)) || `oxydra: it ended with code ${started} and said nothing`);
    return started;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
    child.unref();
  }
}

/** One that ends before it has read them says why. */
async function hand(child: Deno.ChildProcess, { detach: _, ...options }: StartOptions): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(options))).catch(() => {});
  await writer.close().catch(() => {});
}

/** How it is, or the code that it ended with. */
async function waitFor(child: Deno.ChildProcess, socket: string): Promise<HealthStatus | number> {
  let code: number | undefined;
  void child.status.then((status) => code = status.code);
  const end = performance.now() + LIMITS.daemonStartMs;
  while (performance.now() < end) {
    // A process that ended in good order before it listened was stopped.
    if (code !== undefined) return code === 0 ? EXIT.interrupted : code;
    const health = await ifReached(readHealth(socket));
    if (health?.pid === child.pid && health.healthy) return health;
    await new Promise((resolve) => setTimeout(resolve, LIMITS.daemonPollMs));
  }
  child.kill("SIGTERM");
  throw new AppError(
    "guest_failed",
    `its gateway did not listen within ${LIMITS.daemonStartMs / 1_000} s; see \`oxydra logs\``,
  );
}

/** Makes the file when it is not there; one that has grown becomes the one before it. Throws AppError `config_invalid` for a folder that takes none. */
function turnPage(path: string): void {
  try {
    using file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
    if (file.statSync().size <= LIMITS.daemonLogBytesMax) return;
    Deno.renameSync(path, `${path}.1`);
    Deno.openSync(path, { append: true, create: true, mode: 0o600 }).close();
  } catch (cause) {
    throw new AppError("config_invalid", `${path} cannot be written: ${messageOf(cause)}`, { cause });
  }
}

/** What was written behind this place. */
function readFrom(path: string, offset: number): string {
  using file = Deno.openSync(path);
  file.seekSync(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(LIMITS.logAnswerBytesMax);
  return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0)).trimEnd();
}
