import { join } from "#/lib/path.ts";
import type { Bootstrap } from "#/app/bootstrap.ts";
import type { UserFolders } from "#/config/user.ts";
import type { ApprovalResolution } from "#/core/capability.ts";
import { openControl } from "#/runner/control.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import { newToken } from "#/lib/token.ts";
import { type Endpoint, removeEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { toNodeId } from "#/runner/node_id.ts";
import { type GuestProcess, startGuest } from "#/runner/guest_process.ts";
import type { RunnerLock } from "#/runner/lock.ts";
import { type LogFile, openLogFile } from "#/runner/log_file.ts";
import { hasPackages } from "#/runner/packages_dir.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import type { ProcessPlan, Program } from "#/runner/process_plan.ts";
import type { ToolHost } from "#/runner/tool_host.ts";

/** Everything that one start is made of. */
export interface RunnerInput {
  readonly program: Program;
  /** Of this program. */
  readonly version: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly folders: UserFolders;
  /** `host:port` of the model endpoint and of channels. */
  readonly hosts: readonly string[];
  /** Finds out what the guest is told; called once, just before its process is started. */
  readonly bootstrap: () => Promise<
    Omit<Bootstrap, "v" | "node" | "startToken" | "internalDir" | "port" | "user" | "offered">
  >;
  readonly port: number;
  /** What the person set about tools. */
  readonly tools: ToolsPlan;
  /** Held; it is released by `close`. */
  readonly lock: RunnerLock;
}

/** A runner at work: it holds the broker, starts tool children and owns the guest. */
export interface Runner {
  readonly endpoint: Endpoint;
  /** Settles when the guest has ended by itself, with its exit code. */
  readonly guestExited: Promise<number>;
  /** Clients connected to the gateway now. */
  readonly clients: number;
  /** Resolves when no client is connected. */
  whenIdle(): Promise<void>;
  /** Ends guest and children, removes the endpoint and gives the lock back. A second call waits for the first. */
  close(): Promise<void>;
}

/**
 * Starts the guest of one user beside the broker that serves it. Guest and broker start at the same time; nobody is told of the
 * gateway before both are ready. Throws AppError `self_test_failed`, `guest_failed`, `store_*`, `audit_failed`; nothing is left behind then.
 */
export async function startRunner(input: RunnerInput): Promise<Runner> {
  const { folders } = input;
  // Closed from the last to the first: the endpoint, so that nobody new comes; the guest before its broker, so that it can record what it
  // was told; the lock last.
  await using open = new AsyncDisposableStack();
  open.defer(() => input.lock.release());
  // A start before us that was killed leaves its address behind; it must not be taken for ours.
  removeEndpoint(folders.ipc);
  const lockPath = join(folders.run, "guest.lock");
  await writeGuestLock(input.program, lockPath);
  makeCacheView(await findDenoDir(input.env), folders.run);
  const env = toSandboxEnv(input.env, folders.run);
  const log = openLogFile(join(folders.logs, "runtime.log"));
  open.defer(() => log.close());
  const startToken = newToken();
  const told = input.bootstrap();
  told.catch(() => {});
  const idle = new Idle();
  const tools = Promise.withResolvers<ToolHost>();
  tools.promise.catch(() => {});
  open.defer(async () => await (await tools.promise.catch(() => undefined))?.close());
  const { program, port: wanted, hosts } = input;
  const guestPlan = planGuest({ program, env, internalDir: folders.internal, lockPath, port: wanted, hosts });
  const guest = spawnGuest(input, { guestPlan, told, startToken, tools: tools.promise, idle, log });
  open.defer(() => guest.close());
  try {
    // The guest works with it while this process is busy with what runs tools.
    await Promise.allSettled([told]);
    // Not a literal import: what runs tools is evaluated while the guest starts, not before it (60 ms).
    const { openTools }: typeof import("#/runner/tool_host.ts") = await import(
      new URL("./tool_host.ts", import.meta.url).href
    );
    const onResolved = (resolution: ApprovalResolution) => guest.notify({ v: 1, type: "approval", resolution });
    const host = await openTools({
      ...input,
      plan: input.tools,
      guestPlan,
      env,
      now: Date.now,
      onResolved,
      guestStarted: guest.listening,
      attachment: (place, signal) => guest.attachment(place, signal),
      onLog: (line) => log.write(line),
    });
    tools.resolve(host);
    const port = await guest.listening;
    const health = watchHealth(input, { guest, host, port, startupStatus: (await told).startupStatus });
    const control = openControl(folders.ipc, { approvals: host.approvals, health });
    open.defer(() => control.close());
    const endpoint = writeEndpoint(folders.ipc, port, startToken);
    open.defer(() => removeEndpoint(folders.ipc));
    // Not before: what waits for the address does not wait for this, and the first call does.
    host.tryWalls();
    return toRunner(endpoint, guest, idle, open.move());
  } catch (error) {
    tools.reject(error);
    throw error;
  }
}

function toRunner(endpoint: Endpoint, guest: GuestProcess, idle: Idle, open: AsyncDisposableStack): Runner {
  let closing: Promise<void> | undefined;
  return {
    endpoint,
    guestExited: guest.exited,
    get clients() {
      return guest.clients;
    },
    whenIdle: () => idle.promise,
    close: () => closing ??= open.disposeAsync(),
  };
}

interface GuestDeps {
  readonly guestPlan: ProcessPlan;
  readonly told: ReturnType<RunnerInput["bootstrap"]>;
  readonly startToken: string;
  readonly tools: Promise<ToolHost>;
  readonly idle: Idle;
  readonly log: LogFile;
}

function spawnGuest(
  { folders, port, user }: RunnerInput,
  { guestPlan, told, startToken, tools, idle, log }: GuestDeps,
): GuestProcess {
  return startGuest(
    guestPlan,
    async () => ({
      v: 1,
      ...await told,
      // Only then does the guest wait for the tools to open.
      ...(hasPackages(folders) ? { offered: [...(await tools).offered] } : {}),
      user,
      node: await toNodeId(folders.internal),
      internalDir: folders.internal,
      port,
      startToken,
    }),
    {
      broker: {
        call: async (request, signal) => (await tools).broker.call(request, signal),
        answer: async (given) => await (await tools).broker.answer(given),
        derived: async (session, from) => await (await tools).broker.derived(session, from),
      },
      onClients: (count) => idle.set(count),
      onTurn: () => void tools.then((host) => host.warm()).catch(() => {}),
      onLog: (line) => log.write(line),
    },
  );
}

interface Watched {
  readonly guest: GuestProcess;
  readonly host: ToolHost;
  readonly port: number;
  readonly startupStatus: Bootstrap["startupStatus"];
}

/** What the control socket says of this runner, each time anew. */
function watchHealth(
  { user, version, folders }: RunnerInput,
  { guest, host, port, startupStatus }: Watched,
): () => HealthStatus {
  let isUp = true;
  void guest.exited.then(() => isUp = false);
  return () => ({
    user_id: user,
    healthy: isUp,
    sandbox_tier: startupStatus.sandbox_tier,
    startup_status: startupStatus,
    shell_available: startupStatus.shell_available,
    browser_available: startupStatus.browser_available,
    // Whoever shuts down has closed the socket.
    shutdown: false,
    log_dir: folders.logs,
    runtime_pid: guest.pid,
    pid: Deno.pid,
    version,
    gateway: `127.0.0.1:${port}`,
    clients: guest.clients,
    approvals: host.approvals.pending.length,
    audit_head: host.audit.head,
  });
}

/** The count of clients as a promise of none. */
class Idle {
  #count = 0;
  #waiting: (() => void)[] = [];

  set(count: number): void {
    this.#count = count;
    if (count > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  get promise(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
