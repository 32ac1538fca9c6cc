import { AppError } from "#/core/error.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { TierDriver, TierName } from "#/sandbox/tier.ts";
import type { ContainerTierOptions } from "#/sandbox/tier_container.ts";

/** What every driver is made with. */
export interface TierOptions {
  /** Whose walls they are. */
  readonly user: string;
  /** Folder of this user's runner, 0700, for files that live for moments, e.g. `<user>/run`. A real path. */
  readonly dir: string;
  /** Path of `setpriv`, where it exists: a walled process dies with its runner (Linux). */
  readonly pdeathsig?: string | undefined;
  /** Where the engine of the container tiers is and what it starts. Without it there are none. */
  readonly engine?: Omit<ContainerTierOptions, "name" | "user" | "dir">;
}

const BWRAP = new URL("./tier_bwrap.ts", import.meta.url).href;
const SEATBELT = new URL("./tier_seatbelt.ts", import.meta.url).href;
const CONTAINER = new URL("./tier_container.ts", import.meta.url).href;

/**
 * Every way of putting a process behind walls. A driver is one file and one line here, and loaded when it is asked for: nothing of them is
 * needed before the gateway listens.
 */
const DRIVERS: Readonly<Record<TierName, (options: TierOptions) => Promise<TierDriver>>> = {
  bubblewrap: async (options) =>
    new (await import(BWRAP) as typeof import("#/sandbox/tier_bwrap.ts")).BwrapTier(options),
  seatbelt: async (options) =>
    new (await import(SEATBELT) as typeof import("#/sandbox/tier_seatbelt.ts")).SeatbeltTier(options),
  container: (options) => openContainers("container", options),
  micro_vm: (options) => openContainers("micro_vm", options),
};

async function openContainers(
  name: ContainerTierOptions["name"],
  { user, dir, engine }: TierOptions,
): Promise<TierDriver> {
  if (engine === undefined) throw new AppError("tier_unavailable", "no container engine was named");
  const { ContainerTier } = await import(CONTAINER) as typeof import("#/sandbox/tier_container.ts");
  return new ContainerTier({ ...engine, name, user, dir });
}

/** What a configured tier is called where its shell runs, e.g. `process` is `bubblewrap` on Linux; undefined where there is nothing. */
export function toTierName(tier: Tier, os: typeof Deno.build.os): TierName | undefined {
  if (tier !== "process") return tier;
  return os === "linux" ? "bubblewrap" : os === "darwin" ? "seatbelt" : undefined;
}

/** The driver of a configured tier; it says itself whether it can be used. Throws AppError `tier_unavailable` where there is none. */
export async function pickTier(tier: Tier, options: TierOptions): Promise<TierDriver> {
  const name = toTierName(tier, Deno.build.os);
  if (name === undefined) {
    throw new AppError("tier_unavailable", `There is no sandbox for the ${tier} tier on ${Deno.build.os}`);
  }
  return await DRIVERS[name](options);
}
