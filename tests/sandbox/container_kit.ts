/** A bed of the container tiers for tests: an engine of their own, folders of a user, a driver. */
import { join } from "#/lib/path.ts";
import { ContainerTier, type ContainerTierOptions } from "#/sandbox/tier_container.ts";
import type { TierBed } from "../contract/tier_contract.ts";
import { startEngine, TEST_IMAGE, type TestEngine } from "../fixture/engine.ts";

const NO_SIGNAL = new AbortController().signal;

/** A bed with what a test of containers looks at besides. */
export interface ContainerBed extends TierBed {
  readonly test: TestEngine;
  readonly driver: ContainerTier;
  readonly log: string[];
  /** Another driver on the same engine. */
  readonly make: (options?: Partial<ContainerTierOptions>) => ContainerTier;
}

/** Opens one, hands it over, ends it. `owner` is whose the folders are. */
export async function withContainers(
  body: (bed: ContainerBed) => Promise<void>,
  options: Partial<ContainerTierOptions> & { readonly kind?: "docker" | "podman"; readonly owner?: number } = {},
): Promise<void> {
  const { kind = "docker", owner = 0, ...more } = options;
  const root = await Deno.makeTempDir({ prefix: "ox-tier-" });
  const [shared, tmp, dir] = [join(root, "shared"), join(root, "tmp"), join(root, "run")];
  for (const folder of [shared, tmp, dir]) {
    Deno.mkdirSync(folder, { mode: 0o700 });
    Deno.chownSync(folder, owner, owner);
  }
  const test = await startEngine({ kind, programs: ["perl"] });
  const log: string[] = [];
  const make = (other: Partial<ContainerTierOptions> = {}) =>
    new ContainerTier({
      name: "container",
      user: "alice",
      workspace: "w1",
      dir,
      place: { dockerHost: `unix://${test.socketPath}`, uid: 0 },
      image: TEST_IMAGE,
      isOwnImage: false,
      onLog: (text) => log.push(text),
      ...more,
      ...other,
    });
  const held = async () => (await test.engine.list({ "oxydra.user": "alice" }, NO_SIGNAL)).map(({ id }) => id);
  try {
    await body({ test, driver: make(), log, make, user: "alice", shared, tmp, held });
  } finally {
    await test.close();
    await Deno.remove(root, { recursive: true });
  }
}
