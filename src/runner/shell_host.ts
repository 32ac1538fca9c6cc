import type { UserFolders } from "#/config/user.ts";
import { AppError, messageOf, toPublicError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { forgetTier, keepTier, recallTier, toTierKey } from "#/runner/known_tier.ts";
import { prepareNetDir } from "#/runner/endpoint.ts";
import { openLogFile } from "#/runner/log_file.ts";
import type { NoShell, ShellPlan, WantedTier } from "#/runner/plan_shell.ts";
import { type PlanInput, toModuleFlags, toParent } from "#/runner/process_plan.ts";
import { toMissing, type WalledPart } from "#/runner/startup_status.ts";
import type { BrowserWalls } from "#/runner/browser_host.ts";
import type { TierPlace } from "#/runner/tier_options.ts";
import type { EgressOptions } from "#/sandbox/egress_client.ts";
import type { ShellDeps } from "#/sandbox/run_call.ts";
import type { Shells } from "#/sandbox/shell.ts";
import { toTierName } from "#/sandbox/tiers.ts";
import type { ShellRules } from "#/sandbox/shell_rules.ts";
import type { ShellForwarder } from "#/sandbox/shells.ts";
import type { TierDriver, TierStatus } from "#/sandbox/tier.ts";

/** What the shells of one user are opened from. */
export interface ShellHostInput extends PlanInput {
  readonly user: string;
  readonly folders: UserFolders;
  readonly plan: ShellPlan;
  /** How an egress process of the tools is started, and where it may connect. */
  readonly egress: Omit<EgressOptions, "onException" | "onLog">;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
}

/** The shells, and the rules about their commands. */
export interface ShellHost extends ShellDeps {
  /** Why a call is refused before anything else looks at it. See `BrokerOptions.rules`. */
  readonly rules: (tool: string, args: unknown, signal: AbortSignal) => Promise<string | undefined>;
  /** As `Shells.kill`; opens nothing. */
  kill(session: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens them when the first command comes: nothing of it is loaded before. */
export function openShellHost(input: ShellHostInput): ShellHost {
  let opened: Promise<{ readonly shells: Shells; close(): Promise<void> }> | undefined;
  let parser: Promise<ShellRules> | undefined;
  return {
    timeoutSecs: input.plan.timeoutSecs,
    async shells() {
      // One that failed is tried again: the person may have mended what was missing.
      opened ??= open(input).catch((error) => {
        opened = undefined;
        throw error;
      });
      return (await opened).shells;
    },
    async rules(tool, args, signal) {
      if (tool !== "shell_exec") return undefined;
      const command = (args as { command?: unknown } | null)?.command;
      if (typeof command !== "string") return undefined;
      parser ??= openRules(input);
      const verdict = await (await parser).check(command, signal);
      return verdict.allowed ? undefined : verdict.reason;
    },
    async kill(session) {
      await opened?.then(({ shells }) => shells.kill(session), () => {});
    },
    async close() {
      await Promise.allSettled([opened?.then((one) => one.close()), parser?.then((rules) => rules.close())]);
    },
  };
}

/** What would hold the shells of this plan: its tier is tried on this machine. Never rejects. */
export async function findShell(
  plan: ShellPlan | NoShell,
  place: Omit<TierPlace, "image">,
): Promise<WalledPart> {
  return "off" in plan ? toMissing(plan.off) : await findWalls(plan, place);
}

/** The walls of a tier, tried on this machine. Never rejects. */
export async function findWalls(
  plan: WantedTier,
  place: Omit<TierPlace, "image">,
): Promise<WalledPart> {
  try {
    const by = toTierName(plan.tier, Deno.build.os);
    // An engine comes and goes; what the kernel does stays the same.
    const key = by === "bubblewrap" ? toTierKey(place.env) : undefined;
    const { run } = place.folders;
    const known = key === undefined ? undefined : recallTier(run, key);
    const status = known ?? await tryTier(plan, place);
    if (known === undefined && key !== undefined) keepTier(run, key, status);
    return { ...status, ...(status.available && by !== undefined ? { by } : {}) };
  } catch (error) {
    return toMissing(messageOf(error));
  }
}

/**
 * Makes what a start in this tier needs and does not have, an image, which takes minutes: before a guest waits for what it is told. What keeps it
 * from being made is in `logs/sidecar.log`, and that it is missing in what `findShell` finds. Never rejects.
 */
export async function prepareShell(
  plan: ShellPlan | NoShell,
  place: Omit<TierPlace, "image" | "folders"> & { readonly folders: UserFolders },
): Promise<void> {
  if ("off" in plan) return;
  const log = openLogFile(join(place.folders.logs, "sidecar.log"));
  try {
    await (await pickDriver(plan, place, log.write)).prepare?.();
  } catch (error) {
    log.write(`the ${plan.tier} tier: ${toPublicError(error, "").message}`);
  } finally {
    log.close();
  }
}

async function tryTier(plan: WantedTier, place: Omit<TierPlace, "image">): Promise<TierStatus> {
  const driver = await pickDriver(plan, place);
  try {
    return await driver.probe();
  } finally {
    await driver.close?.();
  }
}

/** An engine is looked for when it is asked for: nothing of it is loaded for the process tier. */
async function pickDriver(
  { tier, image }: WantedTier,
  place: Omit<TierPlace, "image">,
  onLog?: (line: string) => void,
): Promise<TierDriver> {
  const [{ pickTier }, { toTierOptions }] = await Promise.all([
    import(new URL("../sandbox/tiers.ts", import.meta.url).href) as Promise<typeof import("#/sandbox/tiers.ts")>,
    import(new URL("./tier_options.ts", import.meta.url).href) as Promise<typeof import("#/runner/tier_options.ts")>,
  ]);
  return await pickTier(tier, await toTierOptions({ ...place, image }, onLog));
}

async function openRules({ plan, program, env, folders }: ShellHostInput): Promise<ShellRules> {
  const { openShellRules, planShellRules }: typeof import("#/sandbox/shell_rules.ts") = await import(
    new URL("../sandbox/shell_rules.ts", import.meta.url).href
  );
  const process = planShellRules({
    ...toParent(program),
    entryUrl: new URL("sandbox/shell_rules_process.ts", program.srcUrl).href,
    moduleFlags: toModuleFlags(program, join(folders.run, "guest.lock")),
    env,
  });
  return openShellRules(plan.rules, process);
}

async function open(input: ShellHostInput): Promise<{ readonly shells: Shells; close(): Promise<void> }> {
  const { plan: { env, limits }, user, folders } = input;
  // What shells did, never what ran in them.
  const log = openLogFile(join(folders.logs, "sidecar.log"));
  const onShellLog = (line: string) => log.write(line);
  const [{ openShells }, driver, net] = await Promise.all([
    import(new URL("../sandbox/shells.ts", import.meta.url).href) as Promise<typeof import("#/sandbox/shells.ts")>,
    pickDriver(input.plan, input, onShellLog),
    openNet(input, onShellLog),
  ]);
  await driver.sweep(user).catch(() => 0);
  const mounts = { shared: folders.shared, tmp: folders.tmp };
  const walls: Pick<TierDriver, "open"> = {
    async open(spec, signal) {
      try {
        return await driver.open(spec, signal);
      } catch (error) {
        if (error instanceof AppError && error.code === "tier_unavailable") forgetTier(folders.run);
        throw error;
      }
    },
  };
  const shells = openShells({ driver: walls, user, mounts, env, limits, ...net, onLog: onShellLog });
  return {
    shells,
    async close() {
      await shells.close();
      await Promise.all([net.tunnels.close(), driver.close?.()]);
      log.close();
    },
  };
}

/** What holds a browser of this user: the walls of the shell's tier, and ways out of its own. Throws AppError `tier_unavailable`. */
export async function openBrowserWalls(
  { wanted, ...input }: Omit<ShellHostInput, "plan"> & { readonly wanted: WantedTier },
): Promise<BrowserWalls> {
  const [tier, net] = await Promise.all([
    pickDriver(wanted, input, input.onLog),
    openNet(input, input.onLog, "bnet"),
  ]);
  return { tier, ...net };
}

/** Ways out for what runs inside, none of them open yet. */
async function openNet(
  { egress, folders, program, onLog }: Omit<ShellHostInput, "plan">,
  onShellLog: (line: string) => void,
  name: "net" | "bnet" = "net",
) {
  const [{ openTunnels }, { FORWARD_SCRIPT, planForwarder, PROXY_ENV }] = await Promise.all([
    import(new URL("../sandbox/tunnel_client.ts", import.meta.url).href) as Promise<
      typeof import("#/sandbox/tunnel_client.ts")
    >,
    import(new URL("../sandbox/tunnel_forward.ts", import.meta.url).href) as Promise<
      typeof import("#/sandbox/tunnel_forward.ts")
    >,
  ]);
  const tunnels = openTunnels({
    ...egress,
    plan: { ...egress.plan, entryUrl: new URL("sandbox/tunnel_egress.ts", program.srcUrl).href },
    dir: prepareNetDir(folders.run, name),
    onException: onLog,
    onLog,
    onEnd: ({ id, host, port, upBytes, downBytes }) =>
      onShellLog(`shell ${id}: ${host}:${port}, ${upBytes} bytes up, ${downBytes} down`),
  });
  const scriptPath = join(folders.run, "forward.js");
  Deno.writeTextFileSync(scriptPath, FORWARD_SCRIPT, { mode: 0o600 });
  const isLinux = Deno.build.os === "linux";
  const maps = isLinux ? { maps: Deno.readTextFileSync("/proc/self/maps") } : {};
  const forwarder: ShellForwarder = {
    ...planForwarder({ denoPath: program.denoPath, scriptPath, ...maps }),
    proxyEnv: PROXY_ENV,
  };
  return { tunnels, forwarder };
}
