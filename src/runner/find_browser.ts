import { attempt } from "#/core/error.ts";
import { toMissing, type WalledPart } from "#/runner/startup_status.ts";
import { CHROMIUM_INSTALL, CHROMIUM_NAMES } from "#/sandbox/browser_names.ts";
import type { BrowserConfig } from "#/tools/config.ts";

/** Where the walls let a process find its programs (tier.ts). */
const PATHS = ["/usr/local/bin", "/usr/bin", "/bin"];
const NO_SANDBOX =
  "Chromium's own sandbox is off behind these walls, which take its namespaces away: they hold the browser, not one page from another";

/** What a browser of this user would run on. */
export interface BrowserNeeds {
  readonly config: BrowserConfig;
  /** `behavior.browser_enabled` of the user: false switches it off. */
  readonly enabled?: boolean | undefined;
  /** What is known of the walls of the user's tier. */
  readonly walls: WalledPart;
  /** True for a file that is there; looks at this machine by default. */
  readonly hasFile?: (path: string) => boolean;
}

/** What is known of a user's browser before one runs. Pure but for `hasFile`. */
export function findBrowser({ config, enabled = true, walls, hasFile = isFile }: BrowserNeeds): WalledPart {
  if (!config.enabled || !enabled) {
    return toMissing("the browser is switched off (tools.browser.enabled, browser_enabled)");
  }
  if (config.cdp_url !== undefined) {
    const { host } = new URL(config.cdp_url);
    const note =
      `the browser at ${host} is the person's own: no walls of ours hold it, and its pages reach what it reaches`;
    return { available: true, about: `the browser at ${host}`, notes: [note] };
  }
  const { by } = walls;
  if (!walls.available || by === undefined) {
    return toMissing(walls.reason ?? "the walls that would hold it cannot be used", walls.install);
  }
  if (by === "container" || by === "micro_vm") {
    // Nothing is started to look into an image: the first navigation says when it has none.
    return { available: true, by, about: `a Chromium of the image, behind ${walls.about}`, notes: [NO_SANDBOX] };
  }
  const path = CHROMIUM_NAMES.flatMap((name) => PATHS.map((dir) => `${dir}/${name}`)).find(hasFile);
  if (path === undefined) return toMissing("no Chromium was found", CHROMIUM_INSTALL);
  return { available: true, by, about: `${path} behind ${walls.about}`, notes: [NO_SANDBOX] };
}

function isFile(path: string): boolean {
  return attempt(() => Deno.statSync(path).isFile) ?? false;
}
