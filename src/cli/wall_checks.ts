import { AppError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { type AllPlansInput, planAll } from "#/runner/plan_all.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import { toListed, toTargets, tryWalls } from "#/runner/self_check.ts";
import { toTierOptions } from "#/runner/tier_options.ts";
import { planEgressOf } from "#/runner/tool_host.ts";
import { openEgress } from "#/sandbox/egress_client.ts";
import type { Tier } from "#/sandbox/config.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { tryEgress, type WallFinding } from "#/sandbox/self_test_process.ts";
import { tryWalled } from "#/sandbox/self_test_walled.ts";
import type { TierDriver } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";

/** One wall that was tried. */
export interface WallCheck {
  /** The file walk, the process that was tried, the way out, or the shell. */
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly tries: readonly WallFinding[];
}

/** Whose shell is tried, in which tier and, where that is one of containers, from which image. */
export interface ShellUser {
  readonly id: string;
  readonly tier: Tier;
  readonly image: string;
}

/**
 * The quick part of the attack suite, on this machine, now: the file walk; every process but the runner, tried from inside with its exact
 * flags; the way out, asked for addresses inside; and for a user the walls of the shell. Beside a gateway that lives it changes nothing. Throws
 * AppError only for what keeps it from trying at all.
 */
export async function checkWalls(
  input: AllPlansInput,
  user?: ShellUser,
): Promise<readonly WallCheck[]> {
  const { folders, program, env, hosts, tools: { egress } } = input;
  // Whoever has the lock makes what the flags name; a runner that lives has made it.
  const lock = acquireRunnerLock(folders.run, Date.now());
  try {
    if (lock !== null) {
      makeCacheView(await findDenoDir(env), folders.run);
      await writeGuestLock(program, join(folders.run, "guest.lock"));
    }
    const targets = toTargets(toListed(egress, hosts));
    const never = new AbortController().signal;
    const processes = planAll(input).filter(({ name }) => name !== "runner").map((plan) =>
      check(plan.name, () => tryWalls(plan, { program, runDir: folders.run }, targets, never))
    );
    const wayOut = check("way out", () => askWayOut(input, targets, never), "addresses inside asked for");
    const shell = user === undefined ? [] : [checkShell(user, input)];
    return await Promise.all([checkFileWalk(folders.run), ...processes, wayOut, ...shell]);
  } finally {
    lock?.release();
  }
}

async function askWayOut(
  { program, env, folders, tools }: AllPlansInput,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<readonly WallFinding[]> {
  const plan = planEgressOf({ program, env: toSandboxEnv(env, folders.run), folders });
  const egress = openEgress({ plan, ...tools.egress, onException: () => {}, onLog: () => {} });
  try {
    return await tryEgress(egress, targets, signal);
  } finally {
    await egress.close();
  }
}

/** A machine without a sandbox has no shell: nothing is behind walls that do not stand. */
async function checkShell(
  { id, tier, image }: ShellUser,
  { folders, program, env }: AllPlansInput,
): Promise<WallCheck> {
  let driver: TierDriver | undefined;
  try {
    driver = await pickTier(tier, await toTierOptions({ user: id, folders, program, env, image }));
    const { available, reason } = await driver.probe();
    if (!available) throw new AppError("tier_unavailable", reason ?? "it cannot be used");
    const never = new AbortController().signal;
    const walls = driver;
    return await check("shell", () => tryWalled(walls, { user: id, dir: folders.run }, never), "tries from inside");
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { name: "shell", ok: true, detail: `there is none, so nothing to try: ${error.message}`, tries: [] };
  } finally {
    await driver?.close?.();
  }
}

async function checkFileWalk(runDir: string): Promise<WallCheck> {
  const found = await check("file walk", () => {
    runSelfTest(runDir);
    return Promise.resolve([]);
  });
  return found.ok ? { ...found, detail: "no link is followed out of a folder (tried here, now)" } : found;
}

async function check(
  name: string,
  tries: () => Promise<readonly WallFinding[]>,
  what = "tries from inside",
): Promise<WallCheck> {
  try {
    const all = await tries();
    const through = all.filter(({ held }) => !held);
    if (through.length === 0) {
      return { name, ok: true, detail: `${all.length} ${what}, all refused`, tries: all };
    }
    const detail = through.map(({ tried, detail }) => `${tried} (${detail})`).join(", ");
    return { name, ok: false, detail: `came through: ${detail}`, tries: all };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { name, ok: false, detail: error.message, tries: [] };
  }
}
