import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { type Engine, type EngineImage, type EngineInfo, isRefused } from "#/sandbox/engine.ts";
import { type EnginePlace, findEngine } from "#/sandbox/engine_find.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import type { TierDriver, TierStatus, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { judgeTrial, planWalled, toKernelRuntime, TRIAL_SCRIPT } from "#/sandbox/tier_container_plan.ts";
import { isRunnerAlive, toRunner, WalledContainer } from "#/sandbox/tier_container_process.ts";
import { findCovered } from "#/sandbox/tier_cover.ts";
import { TierWatch } from "#/sandbox/tier_watch.ts";
import DOCKERFILE from "./tier_container_image.txt" with { type: "text" };

/** What a driver of containers is made with. */
export interface ContainerTierOptions {
  readonly name: "container" | "micro_vm";
  readonly user: string;
  /** Names this user's workspace and no other, `[a-z0-9]`: a hash of its path. */
  readonly workspace: string;
  /** Folder of this user's runner, 0700, for files that live for moments. A real path. */
  readonly dir: string;
  readonly place: EnginePlace;
  /** `[guest_images] shell_vm`. */
  readonly image: string;
  /** It is the name that ships: that image is built from our own file where it is missing, when what that starts from is there. */
  readonly isOwnImage: boolean;
  /** A line of what the engine does and says, for `logs/sidecar.log`. */
  readonly onLog: (text: string) => void;
}

/** An engine that was tried. */
interface Ready {
  readonly engine: Engine;
  readonly info: EngineInfo;
  readonly image: EngineImage;
  readonly runtime: string | undefined;
}

const NO_SIGNAL = new AbortController().signal;
const TRIAL_BYTES = 2 ** 28;
const TRIAL_LIMITS = {
  memoryBytesMax: TRIAL_BYTES,
  processesMax: 32,
  fileBytesMax: TRIAL_BYTES,
  cpuSecondsMax: 10,
  sharedBytesMax: TRIAL_BYTES,
  tmpBytesMax: TRIAL_BYTES,
  diskFloorBytes: 0,
};

/**
 * Puts a process into a container of its own, by Docker's or Podman's API; as `micro_vm` under a runtime that gives it a kernel of its own. What
 * an engine promises is tried once, before anything is started. No image is ever pulled: that is the person's to say.
 */
export class ContainerTier implements TierDriver {
  readonly name: "container" | "micro_vm";
  readonly #options: ContainerTierOptions;
  readonly #watch = new TierWatch();
  /** Containers that an engine could not remove when they ended. */
  readonly #left = new Set<string>();
  /** Those that are not removed yet. */
  readonly #living = new Set<WalledContainer>();
  #ready: Promise<Ready & { readonly hasSockets: boolean }> | undefined;

  constructor(options: ContainerTierOptions) {
    this.#options = options;
    this.name = options.name;
  }

  async probe(): Promise<TierStatus> {
    try {
      const { info, runtime, hasSockets } = await this.#prepare();
      const about = `${info.about} (${runtime ?? info.defaultRuntime})`;
      return { available: true, about, notes: toNotes(info, runtime, hasSockets) };
    } catch (error) {
      const { message, params } = error instanceof AppError ? error : new AppError("internal", String(error));
      const install = params["install"] === undefined ? {} : { install: `${params["install"]}` };
      return { available: false, about: "Docker or Podman", reason: message, ...install, notes: [] };
    }
  }

  async open(spec: WalledSpec, signal: AbortSignal): Promise<WalledProcess> {
    const opening = this.#prepare().then((ready) => {
      signal.throwIfAborted();
      return this.#start(ready, spec);
    });
    const walled = await untilAborted(opening, signal);
    if (walled !== undefined) return walled;
    // A request that is given up may be obeyed all the same: it is waited for, and what it made goes.
    opening.then((late) => discard(late), () => {});
    throw new AppError("cancelled", "The call was cancelled");
  }

  async prepare(): Promise<void> {
    const { image: name, place, onLog } = this.#options;
    using engine = await findEngine(place, NO_SIGNAL);
    if (await engine.image(name, NO_SIGNAL) !== undefined) return;
    onLog(`building ${name} from ${await this.#findBase(engine)}`);
    const context = toTar({ Dockerfile: new TextEncoder().encode(DOCKERFILE) });
    await engine.build(name, context, { onLog: (text) => onLog(text.trimEnd()) }, NO_SIGNAL);
  }

  async close(): Promise<void> {
    const ready = await this.#ready?.catch(() => undefined);
    await Promise.all([...this.#living].map((walled) => walled.kill().then(() => walled.removed)));
    ready?.engine[Symbol.dispose]();
  }

  async sweep(user: string): Promise<number> {
    let engine: Engine;
    try {
      engine = await findEngine(this.#options.place, NO_SIGNAL);
    } catch {
      // Nothing can be left behind in what is not there.
      return 0;
    }
    using _ = engine;
    const { workspace } = this.#options;
    const found = await engine.list(toLabels({ user, workspace }), NO_SIGNAL);
    const dead = found.filter(({ labels }) => !isRunnerAlive(labels["oxydra.runner"] ?? ""));
    await Promise.all(dead.map(({ id }) => engine.remove(id, NO_SIGNAL)));
    return dead.length;
  }

  #prepare(): Promise<Ready & { readonly hasSockets: boolean }> {
    const ready = this.#ready ??= this.#find();
    ready.catch(() => {
      if (this.#ready === ready) this.#ready = undefined;
    });
    return ready;
  }

  async #find(): Promise<Ready & { readonly hasSockets: boolean }> {
    const engine = await findEngine(this.#options.place, NO_SIGNAL);
    try {
      const info = await engine.info(NO_SIGNAL);
      const runtime = this.name === "micro_vm" ? toKernelRuntime(info) : undefined;
      const image = await engine.image(this.#options.image, NO_SIGNAL);
      if (image === undefined) throw toUnmade(this.#options.image, await this.#findBase(engine));
      const ready = { engine, info, image, runtime };
      return { ...ready, hasSockets: await this.#try(ready) };
    } catch (error) {
      engine[Symbol.dispose]();
      throw error;
    }
  }

  /** What the missing image would be made from. Throws when that is missing too, or the image is another's to make. */
  async #findBase(engine: Engine): Promise<string> {
    const { image: name, isOwnImage } = this.#options;
    const base = /^FROM (\S+)/m.exec(DOCKERFILE)![1]!;
    const missing = !isOwnImage ? name : await engine.image(base, NO_SIGNAL) === undefined ? base : undefined;
    if (missing === undefined) return base;
    const text = `the image ${missing} is missing, and none is pulled unasked`;
    throw new AppError("tier_unavailable", text, { params: { install: `docker pull ${missing}` } });
  }

  /** Throws when the walls do not stand. Returns whether sockets of the host can be reached through them. */
  async #try(ready: Ready): Promise<boolean> {
    const dir = await Deno.makeTempDir({ dir: this.#options.dir, prefix: "trial-" });
    using _ = Deno.listen({ transport: "unix", path: join(dir, "proxy.sock") });
    const mounts = { shared: dir, tmp: dir };
    const spec = {
      id: "trial",
      user: this.#options.user,
      mounts,
      env: {},
      files: {},
      argv: ["/bin/bash", "-c", TRIAL_SCRIPT],
      limits: TRIAL_LIMITS,
      netDir: dir,
    };
    try {
      const walled = await this.#start(ready, spec);
      const timer = setTimeout(() => walled.kill(), LIMITS.engineCallMs);
      await walled.stdin.close();
      const said = await Promise.all([new Response(walled.stdout).text(), new Response(walled.stderr).text()]);
      clearTimeout(timer);
      // The engine's first process is there, and finds nothing to start.
      if ((await walled.exited).code === 127) throw toNoBash(this.#options.image);
      const { failure, hasSockets } = judgeTrial(said[0], ready);
      if (failure !== undefined) {
        throw new AppError("tier_unavailable", `${ready.info.about} cannot be used: ${failure}`);
      }
      return hasSockets;
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  async #start(ready: Ready, spec: WalledSpec): Promise<WalledContainer> {
    const { engine, image } = ready;
    const { user, workspace, onLog } = this.#options;
    const [{ uid, gid }, ...covered] = await Promise.all([
      Deno.stat(spec.mounts.shared),
      findCovered(spec.mounts.shared, "/shared", NO_SIGNAL),
      findCovered(spec.mounts.tmp, "/tmp", NO_SIGNAL),
    ]);
    const labels = { ...toLabels({ user, workspace }), "oxydra.runner": toRunner() };
    const owner = { uid: uid ?? 0, gid: gid ?? 0 };
    const emptyDir = join(this.#options.dir, "empty");
    await Deno.mkdir(emptyDir, { recursive: true, mode: 0o755 });
    const plan = planWalled(spec, { ...ready, labels, owner, covered: covered.flat(), emptyDir });
    // Nobody else's, and not the one of a shell of this id that is just being removed.
    const name = `oxydra-${user}-${workspace}-${spec.id}-${crypto.randomUUID().slice(0, 8)}`;
    try {
      const id = await engine.create(name, plan, NO_SIGNAL);
      const stdio = await engine.attach(id, NO_SIGNAL);
      await engine.start(id, NO_SIGNAL);
      const pid = (await engine.inspect(id, NO_SIGNAL))?.pid ?? 0;
      onLog(`${name}: started from ${image.id}`);
      for (const left of this.#left) void this.#remove(engine, left);
      const onEnd = ({ code, reason }: { code: number; reason?: string }, isRemoved: boolean) => {
        if (!isRemoved) this.#left.add(id);
        onLog(`${name}: ended with ${code}${reason === undefined ? "" : `. ${reason}`}`);
      };
      const walled = new WalledContainer({ engine, id, pid, stdio, spec, watch: this.#watch, onEnd });
      this.#living.add(walled);
      void walled.removed.then(() => this.#living.delete(walled));
      return walled;
    } catch (error) {
      onLog(`${name}: ${error}`);
      this.#left.add(name);
      void this.#remove(engine, name);
      // The image went, or another has its name: the next one looks anew.
      if (isRefused(error, 404)) this.#ready = undefined;
      throw toStartError(error, this.#options.image);
    }
  }

  async #remove(engine: Engine, id: string): Promise<void> {
    await engine.remove(id, NO_SIGNAL).then(() => this.#left.delete(id), () => {});
  }
}

function toLabels(
  { user, workspace }: Pick<ContainerTierOptions, "user" | "workspace">,
): Readonly<Record<string, string>> {
  return { "oxydra.user": user, "oxydra.workspace": workspace, "oxydra.role": "shell" };
}

function toUnmade(image: string, base: string): AppError {
  const install = `start once in this tier: it is made from ${base} then, and logs/sidecar.log tells how that went`;
  return new AppError("tier_unavailable", `the image ${image} is not made yet`, { params: { install } });
}

async function discard(walled: WalledProcess): Promise<void> {
  await Promise.all([walled.kill(), walled.stdout.cancel(), walled.stderr.cancel()]);
}

function toStartError(error: unknown, image: string): unknown {
  if (!(error instanceof AppError) || !/bash.*(not found|no such file)/i.test(error.message)) return error;
  return toNoBash(image, error);
}

function toNoBash(image: string, cause?: unknown): AppError {
  return new AppError("tier_unavailable", `the image ${image} has no /bin/bash, which a shell needs`, { cause });
}

function toNotes(info: EngineInfo, runtime: string | undefined, hasSockets: boolean): string[] {
  const isRoot = !info.rootless && Deno.uid() === 0;
  return [
    ...info.rootless ? [] : [
      `Whoever may use ${info.about} is root on this machine; rootless Podman is the better way.`,
    ],
    ...isRoot
      ? ["Oxydra runs as root, and so, without its powers, does a shell: an ordinary user is the better choice."]
      : [],
    ...info.hasSeccomp ? [] : ["This engine filters no system calls."],
    ...runtime === undefined
      ? []
      : [`${runtime} does not bound the CPU time of a process: the time of a command does.`],
    ...hasSockets ? [] : ["There is no network in this tier here: its runtime reaches no socket of the host."],
  ];
}
