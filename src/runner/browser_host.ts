import type { UserFolders } from "#/config/user.ts";
import type { OfferedTool } from "#/app/bootstrap.ts";
import { join } from "#/lib/path.ts";
import { type PlanInput, toModuleFlags, toParent } from "#/runner/process_plan.ts";
import { toMissing, type WalledPart } from "#/runner/startup_status.ts";
import { CHROMIUM_INSTALL, CHROMIUM_NAMES, type Forwarder, planDriver } from "#/sandbox/browser_plan.ts";
import { type BrowserPlace, type Browsers, openBrowsers } from "#/sandbox/browsers.ts";
import type { EgressPlan } from "#/sandbox/egress_plan.ts";
import type { TierDriver, TierStatus } from "#/sandbox/tier.ts";
import type { Tunnels } from "#/sandbox/tunnel.ts";
import { browser } from "#/tools/browser.ts";
import type { BrowserConfig } from "#/tools/config.ts";
import { toSchema } from "#/tools/to_schema.ts";

/** What a browser of this user would run on. */
export interface BrowserHostInput extends PlanInput {
  readonly user: string;
  readonly folders: Pick<UserFolders, "run">;
  readonly config: BrowserConfig;
  /** `behavior.browser_enabled` of the user: false switches it off. */
  readonly enabled?: boolean | undefined;
  /** The shell's tier and what it said of itself; its way out. Absent where there is none. */
  readonly walls?: {
    readonly tier: TierDriver;
    readonly status: TierStatus;
    readonly tunnels: Tunnels;
    readonly forwarder: Forwarder;
  };
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
  /** True for a file that is there; looks at this machine by default. */
  readonly hasFile?: (path: string) => boolean;
}

/** A user's browsers, or why there are none. */
export interface BrowserHost {
  readonly facts: WalledPart;
  readonly browsers?: Browsers;
  /** As a model is told of the tool, where there is one. */
  readonly offered: readonly OfferedTool[];
  /** Of the driver, for `doctor`. */
  readonly plans: readonly EgressPlan[];
}

/** Where the walls let a process find its programs (tier.ts). */
const PATHS = ["/usr/local/bin", "/usr/bin", "/bin"];
const NO_SANDBOX =
  "Chromium's own sandbox is off behind these walls, which take its namespaces away: they hold the browser, not one page from another";

/** Decides whether there is a browser, and opens it; no process is started yet. Never throws. */
export function openBrowserHost(input: BrowserHostInput): BrowserHost {
  const facts = findBrowser(input);
  if (!facts.available) return { facts, offered: [], plans: [] };
  const { user, onLog, program, env, folders, config: { cdp_url: cdpUrl }, walls } = input;
  const entryUrl = new URL("sandbox/browser.ts", program.srcUrl).href;
  const moduleFlags = toModuleFlags(program, join(folders.run, "guest.lock"));
  const driver = planDriver({ ...toParent(program), entryUrl, moduleFlags, env }, cdpUrl);
  const place: BrowserPlace = cdpUrl === undefined
    ? { kind: "walled", ...walls!, dir: join(folders.run, "browsers") }
    : { kind: "external", cdpUrl };
  return {
    facts,
    browsers: openBrowsers({ user, place, driver, onLog }),
    offered: [{ schema: toSchema(browser), effect: browser.effect }],
    plans: [driver],
  };
}

/** What is known of a user's browser before one runs. Pure but for `hasFile`. */
export function findBrowser({ config, enabled = true, walls, hasFile = isFile }: BrowserHostInput): WalledPart {
  if (!config.enabled || !enabled) {
    return toMissing("the browser is switched off (tools.browser.enabled, browser_enabled)");
  }
  if (config.cdp_url !== undefined) {
    const { host } = new URL(config.cdp_url);
    const note =
      `the browser at ${host} is the person's own: no walls of ours hold it, and its pages reach what it reaches`;
    return { available: true, about: `the browser at ${host}`, notes: [note] };
  }
  if (walls === undefined) return toMissing("the browser needs the walls of a shell, and there are none");
  const { tier, status } = walls;
  if (!status.available) return toMissing(status.reason ?? "the shell's tier cannot be used", status.install);
  if (tier.name === "container" || tier.name === "micro_vm") {
    // Nothing is started to look into an image: the first navigation says when it has none.
    return {
      available: true,
      by: tier.name,
      about: `a Chromium of the image, behind ${status.about}`,
      notes: [NO_SANDBOX],
    };
  }
  const path = CHROMIUM_NAMES.flatMap((name) => PATHS.map((dir) => `${dir}/${name}`)).find(hasFile);
  if (path === undefined) return toMissing("no Chromium was found", CHROMIUM_INSTALL);
  return { available: true, by: tier.name, about: `${path} behind ${status.about}`, notes: [NO_SANDBOX] };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
