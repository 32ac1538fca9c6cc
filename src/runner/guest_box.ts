import { AppError, toPublicError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import type { Bootstrap } from "#/app/bootstrap.ts";
import type { UserFolders } from "#/config/user.ts";
import { BoxedBody } from "#/runner/boxed_body.ts";
import { type MovedHosts, moveHosts, moveTold, toLoopback } from "#/runner/box_hosts.ts";
import { type BoxNetwork, BoxNetworks } from "#/runner/box_network.ts";
import type { GuestBody } from "#/runner/guest_process.ts";
import { openRelay, type Relay } from "#/runner/open_relay.ts";
import type { BindPlan } from "#/runner/plan_bind.ts";
import { type BoxPlan, type BoxSettings, planBox } from "#/runner/plan_box.ts";
import { planRelay } from "#/runner/plan_relay.ts";
import type { PlanInput } from "#/runner/process_plan.ts";
import { toEnginePlace, toWorkspaceId } from "#/runner/tier_options.ts";
import type { Engine, EngineInfo } from "#/sandbox/engine.ts";
import { findEngine } from "#/sandbox/engine_find.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import { toKernelRuntime } from "#/sandbox/tier_container_plan.ts";
import DOCKERFILE from "./guest_image.txt" with { type: "text" };

/** What the containers of one runner's guests are made with. */
export interface GuestBoxInput extends PlanInput {
  readonly settings: BoxSettings;
  readonly user: string;
  readonly folders: UserFolders;
  readonly lockPath: string;
  /** The runner's own environment: where its engine is. `env` is the guest's. */
  readonly runnerEnv: Readonly<Record<string, string>>;
  readonly denoDir: string;
  readonly onLog: (line: string) => void;
}

/** One guest to be started. */
export interface BoxedGuest {
  /** 0: any free one of 127.0.0.1. */
  readonly port: number;
  /** `host:port` of each model endpoint and channel, as this machine sees them. */
  readonly hosts: readonly string[];
  readonly bind?: Pick<BindPlan, "also" | "about">;
}

/** A guest that was started in a container. */
export interface StartedBox {
  readonly body: GuestBody;
  /** The bootstrap as that guest needs it: where it listens, and where it finds what lies on this machine. Throws what kept it from starting. */
  adapt(bootstrap: Bootstrap): Promise<Bootstrap>;
}

/** Starts guests in containers, one after another. */
export interface GuestBox {
  /** Returns at once; what keeps the guest from starting is in the end of its body. */
  start(guest: BoxedGuest): StartedBox;
  /** Removes the network. After the last guest. */
  close(): Promise<void>;
}

/** The default of `[guest_images] oxydra_vm`. */
const OWN_IMAGE = "oxydra-vm:latest";

/** An engine that has what a tier needs. */
interface BoxEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly info: EngineInfo;
  readonly runtime: string | undefined;
  /** The image is there; else it can be made from what is. */
  readonly hasImage: boolean;
}

/** What a guest of this tier would run in, for `doctor`. Makes nothing. Throws AppError `tier_unavailable` as a start would. */
export async function describeBox(
  settings: BoxSettings,
  runnerEnv: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  return await refuseWhole(settings, async () => {
    await using found = await findBoxEngine(settings, runnerEnv, signal);
    const { info, runtime, hasImage } = found;
    const image = `image ${settings.image}${hasImage ? "" : " (made at the first start)"}`;
    return [info.about, ...(runtime === undefined ? [] : [`runtime ${runtime}`]), image].join(", ");
  });
}

/**
 * Finds the engine, its runtime and the image, removes what a runner of this workspace that was killed has left, and makes the network. Throws AppError
 * `tier_unavailable` with what is missing and what would run without it: a configured tier is never lowered.
 */
export async function openGuestBox(input: GuestBoxInput, signal: AbortSignal): Promise<GuestBox> {
  const { settings, user, folders, runnerEnv, onLog } = input;
  return await refuseWhole(settings, async () => {
    await using open = new AsyncDisposableStack();
    const { engine, info, runtime, hasImage } = open.use(await findBoxEngine(settings, runnerEnv, signal));
    if (!hasImage) await makeImage(engine, settings.image, onLog, signal);
    const workspace = await toWorkspaceId(folders);
    const labels = { "oxydra.user": user, "oxydra.workspace": workspace, "oxydra.role": "guest" };
    for (const { id } of await engine.list(labels, signal)) await engine.remove(id, signal);
    const networks = open.use(new BoxNetworks(engine.socketPath));
    const network = await networks.ensure(`oxydra-${user}-${workspace}`, labels, signal);
    const closing = open.move();
    const box = new Box(input, { engine, info, network, labels, runtime, name: `oxydra-guest-${user}-${workspace}` });
    return {
      start: (guest) => box.start(guest),
      async close() {
        await networks.remove(network.name, new AbortController().signal).catch((error) => {
          onLog(`runner: the network ${network.name} stays: ${toPublicError(error, "").message}`);
        });
        await closing.disposeAsync();
      },
    };
  });
}

async function findBoxEngine(
  { tier, image }: BoxSettings,
  runnerEnv: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<BoxEngine> {
  await using open = new AsyncDisposableStack();
  const engine = open.use(await findEngine(toEnginePlace(runnerEnv), signal));
  const info = await engine.info(signal);
  const runtime = tier === "micro_vm" ? toKernelRuntime(info) : undefined;
  const hasImage = await engine.image(image, signal) !== undefined;
  if (!hasImage) await checkBase(engine, image, signal);
  const closing = open.move();
  return { engine, info, runtime, hasImage, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

/** Names the tier in front of what is missing, and behind it what would run without it. */
async function refuseWhole<T>({ tier }: BoxSettings, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "tier_unavailable") throw error;
    const { install } = error.params;
    const what = install === undefined ? error.message : `${error.message}; ${install}`;
    const message =
      `the ${tier} tier cannot be started: ${what}. --tier process runs without it, inside Deno's own sandbox`;
    throw new AppError("tier_unavailable", message, { cause: error });
  }
}

/** Refuses a missing image that cannot be made here: nothing is pulled, that is the person's to say. */
async function checkBase(engine: Engine, image: string, signal: AbortSignal): Promise<void> {
  const missing = `the image ${image} is missing ([guest_images] oxydra_vm)`;
  if (image !== OWN_IMAGE) throw new AppError("tier_unavailable", `${missing}; pull or build it`);
  const base = /^FROM (\S+)/m.exec(DOCKERFILE)![1]!;
  if (await engine.image(base, signal) !== undefined) return;
  throw new AppError(
    "tier_unavailable",
    `${missing}, and so is ${base}, which it is made from; run: docker pull ${base}`,
  );
}

async function makeImage(
  engine: Engine,
  image: string,
  onLog: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const Dockerfile = new TextEncoder().encode(DOCKERFILE);
  await engine.build(image, toTar({ Dockerfile }), { onLog: (text) => onLog(`image: ${text.trimEnd()}`) }, signal);
}

interface BoxParts {
  readonly engine: Engine;
  readonly info: EngineInfo;
  readonly network: BoxNetwork;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtime: string | undefined;
  readonly name: string;
}

/** What one guest was given to start with. */
interface Prepared {
  readonly plan: BoxPlan;
  readonly port: number;
  readonly moved: MovedHosts;
  readonly relay: Relay | undefined;
}

class Box {
  readonly #input: GuestBoxInput;
  readonly #parts: BoxParts;

  constructor(input: GuestBoxInput, parts: BoxParts) {
    this.#input = input;
    this.#parts = parts;
  }

  start(guest: BoxedGuest): StartedBox {
    const { engine, name, network, info } = this.#parts;
    const prepared = this.#prepare(guest);
    prepared.catch(() => {});
    const body = new BoxedBody(engine, name, prepared.then(({ plan }) => plan.container));
    void body.status.then(async () => await (await prepared).relay?.close()).catch(() => {});
    return {
      body,
      async adapt(bootstrap) {
        const { port, moved } = await prepared;
        const { main, also } = bootstrap.listen ?? {};
        // Without root an engine lets connections in from addresses that nobody says before.
        const publishedBy = info.rootless ? {} : { publishedBy: network.gateway };
        return {
          ...moveTold(bootstrap, moved),
          port,
          listen: {
            main: { ...main, hostname: "0.0.0.0", ...publishedBy },
            ...(also === undefined ? {} : { also: { ...also, hostname: "0.0.0.0" } }),
          },
        };
      },
    };
  }

  async #prepare({ port: wanted, hosts, bind = {} }: BoxedGuest): Promise<Prepared> {
    const { program, env, folders, settings, denoDir } = this.#input;
    const { name, labels, network, runtime, info } = this.#parts;
    const { relay, moved } = await this.#openRelay(hosts);
    try {
      const port = wanted === 0 ? findFreePort() : wanted;
      const { uid, gid } = Deno.statSync(folders.internal);
      if (program.source === "url") makeLockFolder(this.#input);
      const plan = planBox({
        ...bind,
        program,
        env,
        internalDir: folders.internal,
        runDir: folders.run,
        port,
        hosts: moveHosts(hosts, moved),
        settings,
        name,
        labels,
        network: network.name,
        ...(runtime === undefined ? {} : { runtime }),
        denoDir: Deno.realPathSync(denoDir),
        // Who runs an engine without root is uid 0 in its containers.
        owner: info.rootless ? { uid: 0, gid: 0 } : { uid: uid ?? 0, gid: gid ?? 0 },
        hostUsers: info.remapsUsers && !info.rootless,
      });
      return { plan, port, moved, relay };
    } catch (error) {
      await relay?.close();
      throw error;
    }
  }

  async #openRelay(hosts: readonly string[]): Promise<Pick<Prepared, "relay" | "moved">> {
    const { program, runnerEnv, onLog } = this.#input;
    const { network: { gateway, subnet }, info } = this.#parts;
    const targets = toLoopback(hosts);
    if (targets.length === 0) return { relay: undefined, moved: new Map() };
    const names = targets.map(({ hostname, port }) => `${hostname}:${port}`);
    if (info.rootless) {
      const why = `${info.about} runs without root, and its containers have no way to it`;
      throw new AppError(
        "config_invalid",
        `${names.join(", ")} is on this machine's loopback, and ${why}; --tier process reaches it`,
      );
    }
    const relay = await openRelay(planRelay({ program, env: runnerEnv }, { address: gateway, subnet, targets }), onLog);
    return { relay, moved: new Map(names.map((name, at) => [name, `${gateway}:${relay.ports[at]}`])) };
  }
}

/** What a guest before left there goes unread: it may have been taken over. */
function makeLockFolder({ folders, lockPath }: GuestBoxInput): void {
  const dir = join(folders.run, "box");
  try {
    Deno.removeSync(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.mkdirSync(dir, { mode: 0o700 });
  Deno.writeTextFileSync(join(dir, "guest.lock"), Deno.readTextFileSync(lockPath), { createNew: true, mode: 0o600 });
}

/** Somebody may take it before the engine does; then the engine says so. */
function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
