import { CHROMIUM_NAMES } from "#/sandbox/browser_names.ts";
import type { UserFolders } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import type { PlanInput } from "#/runner/process_plan.ts";
import { toMissing } from "#/runner/startup_status.ts";
import { planEgressOf } from "#/runner/tool_host.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { toSandboxEnv } from "#/runner/cache_view.ts";
import { toTierOptions } from "#/runner/tier_options.ts";
import type { Tier } from "#/sandbox/config.ts";
import { findWalled } from "#/sandbox/self_test_walled.ts";
import type { TierDriver, TierStatus } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";
import { openTunnels } from "#/sandbox/tunnel_client.ts";
import { toRow } from "#/cli/columns.ts";

/** What can be there or not on this machine, as it was just tried. */
export interface TierCheck extends TierStatus {
  readonly name: Tier | "browser" | "way out";
  /** What it is for, in a few words. */
  readonly use: string;
  /** The one that is configured. */
  readonly chosen: boolean;
}

/** What is tried, and for whom. */
export interface TierChecksInput extends PlanInput {
  readonly user: { readonly id: string; readonly tier: Tier };
  /** `[guest_images] shell_vm`. */
  readonly image: string;
  readonly folders: UserFolders;
  readonly tools: ToolsPlan;
}

const USES: Readonly<Record<Tier, string>> = {
  process: "the shell behind walls of this system",
  container: "guest and shell in a container each",
  micro_vm: "the same, each with a kernel of its own",
};

/** Names of a Chromium, as it is looked for behind the walls. */
const never = new AbortController().signal;
/** Where the text beside a label begins. */
const LABEL = 15;

/** Tries every tier, what a browser needs, and the way out of what is behind walls. Changes nothing that stays. Never rejects for what is missing. */
export async function checkTiers(input: TierChecksInput): Promise<readonly TierCheck[]> {
  const { user } = input;
  const options = await toTierOptions({ ...input, user: user.id });
  const tiers = await Promise.all((["process", "container", "micro_vm"] as const).map(async (name) => {
    const driver = await pickTier(name, options).catch(toReason);
    const status = driver instanceof AppError ? toMissing(driver.message) : await driver.probe();
    return { driver, check: { ...status, name, use: USES[name], chosen: user.tier === name } };
  }));
  const { driver, check } = tiers.find(({ check }) => check.chosen)!;
  const walls = driver instanceof AppError || !check.available ? undefined : driver;
  const [browser, wayOut] = await Promise.all([findBrowser(walls, input), tryWayOut(input)]);
  await Promise.all(tiers.map(({ driver }) => driver instanceof AppError ? undefined : driver.close?.()));
  return [
    ...tiers.map(({ check }) => check),
    { ...browser, name: "browser", use: "pages, behind the walls of the shell", chosen: false },
    { ...wayOut, name: "way out", use: "the network of what is behind walls", chosen: false },
  ];
}

/** What a person reads, in 80 columns. Pure. */
export function toTierLines(checks: readonly TierCheck[]): string[] {
  return checks.flatMap(({ name, use, chosen, available, about, reason, install, notes }) => [
    ...toRow(`${available ? "✓" : "✗"} ${name}`, LABEL, `${available ? about : reason ?? "cannot be used"}`),
    ...toRow("", LABEL, `for: ${use}${chosen ? " (configured)" : ""}`),
    ...(available || install === undefined ? [] : toRow("", LABEL, `to get it: ${install}`)),
    ...(available ? notes : []).flatMap((note) => toRow("", LABEL, `· ${note}`, LABEL + 2)),
  ]);
}

async function findBrowser(walls: TierDriver | undefined, { user, folders }: TierChecksInput): Promise<TierStatus> {
  if (walls === undefined) return toMissing(`the ${user.tier} tier, whose walls it needs, cannot be used`);
  const path = await findWalled(walls, { user: user.id, dir: folders.run }, CHROMIUM_NAMES, never).catch(toReason);
  if (path instanceof AppError) return toMissing(path.message);
  if (path !== undefined) return { available: true, about: path, notes: [] };
  if (user.tier === "process") return toMissing("no Chromium was found", "sudo apt-get install chromium");
  return toMissing("the shell's image has no Chromium", "an image with one, as guest_images.shell_vm");
}

/** Starts the process that leads outside and asks it for something that it has to refuse. */
async function tryWayOut({ program, env, folders, tools }: TierChecksInput): Promise<TierStatus> {
  const plan = planEgressOf({ program, env: toSandboxEnv(env, folders.run), folders });
  const log: string[] = [];
  const tunnels = openTunnels({
    plan: { ...plan, entryUrl: new URL("sandbox/tunnel_egress.ts", program.srcUrl).href },
    ...tools.egress,
    dir: join(folders.ipc, `try-${Deno.pid}`),
    onException: () => {},
    onLog: (text) => log.push(text),
    onEnd: () => {},
  });
  try {
    const tunnel = await tunnels.open("doctor", () => false);
    await tunnel.arm();
    using connection = await Deno.connect({ transport: "unix", path: join(tunnel.dir, "proxy.sock") });
    await connection.write(new TextEncoder().encode("CONNECT example.com:443 HTTP/1.1\r\n\r\n"));
    const answer = new Uint8Array(64);
    const text = new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
    if (!text.startsWith("HTTP/1.1 403 ")) return toMissing(`it did not refuse what was not granted: ${text}`);
    return { available: true, about: "asks the runner about each connection", notes: [] };
  } catch (error) {
    const { message } = toReason(error);
    // How Deno says why it does not start.
    const said = log.find((text) => text.startsWith("error: "))?.split("\n")[0];
    return toMissing(said === undefined ? message : `${message}: ${said}`);
  } finally {
    await tunnels.close();
  }
}

/** Programmer errors go on. */
function toReason(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof Error && error.name in Deno.errors) return new AppError("tier_unavailable", error.message);
  throw error;
}
