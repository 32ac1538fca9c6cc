/** What tests of walled processes share: folders of a user, a driver, and one command in it. */
import { join } from "#/lib/path.ts";
import type { TierDriver, TierLimits, WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";

/** Generous ones; each test of a limit lowers its own. */
export const LIMITS_OF_TESTS: TierLimits = {
  memoryBytesMax: 2 ** 31,
  processesMax: 128,
  fileBytesMax: 2 ** 28,
  cpuSecondsMax: 60,
  sharedBytesMax: 2 ** 30,
  tmpBytesMax: 2 ** 30,
  diskFloorBytes: 2 ** 20,
};

/** What one command did. */
export interface Ran extends WalledEnd {
  readonly stdout: string;
  readonly stderr: string;
}

/** A user with folders and a driver. */
export class WallHouse implements AsyncDisposable {
  readonly root: string;
  readonly shared: string;
  readonly tmp: string;
  readonly driver: TierDriver;
  /** Of this house alone: control groups have a machine's names. */
  readonly user: string;
  #count = 0;

  private constructor(root: string, user: string, driver: TierDriver) {
    this.root = root;
    [this.shared, this.tmp] = [join(root, "shared"), join(root, "tmp")];
    [this.user, this.driver] = [user, driver];
  }

  /** `root` is removed with everything in it. */
  static async open(root = Deno.makeTempDirSync({ prefix: "oxydra-wall-" })): Promise<WallHouse> {
    for (const name of ["shared", "tmp", "run"]) Deno.mkdirSync(join(root, name), { mode: 0o700 });
    const user = `t${crypto.randomUUID().slice(0, 8)}`;
    const options = { user, dir: join(Deno.realPathSync(root), "run"), pdeathsig: "/usr/bin/setpriv" };
    return new WallHouse(root, user, await pickTier("process", options));
  }

  /** A process of this user, that a test ends itself. */
  start(argv: readonly string[], spec: Partial<WalledSpec> = {}): Promise<WalledProcess> {
    return this.driver.open({
      id: `t-${++this.#count}`,
      user: this.user,
      mounts: { shared: this.shared, tmp: this.tmp },
      env: {},
      limits: LIMITS_OF_TESTS,
      files: {},
      ...spec,
      argv,
    }, new AbortController().signal);
  }

  /** Runs a text of bash to its end. */
  async run(command: string, spec: Partial<WalledSpec> = {}, input = ""): Promise<Ran> {
    const walled = await this.start(["/bin/bash", "-c", command], spec);
    const writer = walled.stdin.getWriter();
    const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
    const [stdout, stderr, end] = await Promise.all([
      new Response(walled.stdout).text(),
      new Response(walled.stderr).text(),
      walled.exited,
      written,
    ]);
    return { stdout, stderr, ...end };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}
