import type { UserFolders } from "#/config/user.ts";
import { join } from "#/lib/path.ts";
import { type PlanInput, toModuleFlags, toParent } from "#/runner/process_plan.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import type { TierDriver } from "#/sandbox/tier.ts";
import type { Forwarder } from "#/sandbox/tunnel_forward.ts";
import type { Tunnels } from "#/sandbox/tunnel.ts";
import type { BrowserConfig } from "#/tools/config.ts";

/** What holds a browser, and its way out. */
export interface BrowserWalls {
  readonly tier: TierDriver;
  readonly tunnels: Tunnels;
  readonly forwarder: Forwarder;
}

/** What the browsers of one user are opened from. */
export interface BrowserHostInput extends PlanInput {
  readonly user: string;
  readonly folders: Pick<UserFolders, "run">;
  readonly config: BrowserConfig;
  /** Asked for with the first page; not for a browser that the person runs. Throws AppError `tier_unavailable`. */
  readonly walls: () => Promise<BrowserWalls>;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
}

/** A user's browsers, opened when the first page is: nothing of them is loaded before. */
export function openBrowserHost(input: BrowserHostInput): Browsers {
  let opened: Promise<{ readonly browsers: Browsers; close(): Promise<void> }> | undefined;
  let live: Browsers | undefined;
  return {
    async run(call, signal) {
      // One that failed is tried again: the person may have mended what was missing.
      opened ??= open(input).catch((error) => {
        opened = undefined;
        throw error;
      });
      ({ browsers: live } = await opened);
      return await live.run(call, signal);
    },
    async end(session) {
      // One that opens right now starts for whoever asked before this: it ends all the same.
      await opened?.then((one) => one.browsers.end(session), () => {});
    },
    async close() {
      await opened?.then((one) => one.close(), () => {});
    },
    get pids() {
      return live?.pids ?? [];
    },
  };
}

async function open({ config: { cdp_url: cdpUrl }, walls, user, folders, program, env, onLog }: BrowserHostInput) {
  const [{ openBrowsers }, { planDriver }] = await Promise.all([
    import(new URL("../sandbox/browsers.ts", import.meta.url).href) as Promise<typeof import("#/sandbox/browsers.ts")>,
    import(new URL("../sandbox/browser_plan.ts", import.meta.url).href) as Promise<
      typeof import("#/sandbox/browser_plan.ts")
    >,
  ]);
  const entryUrl = new URL("sandbox/browser.ts", program.srcUrl).href;
  const moduleFlags = toModuleFlags(program, join(folders.run, "guest.lock"));
  const driver = planDriver({ ...toParent(program), entryUrl, moduleFlags, env }, cdpUrl);
  if (cdpUrl !== undefined) {
    const browsers = openBrowsers({ user, place: { kind: "external", cdpUrl }, driver, onLog });
    return { browsers, close: () => browsers.close() };
  }
  const held = await walls();
  const place = { kind: "walled" as const, ...held, dir: join(folders.run, "browsers") };
  const browsers = openBrowsers({ user, place, driver, onLog });
  return {
    browsers,
    async close() {
      await browsers.close();
      await held.tunnels.close();
    },
  };
}
