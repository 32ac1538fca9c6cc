/** Real Chromiums behind the real walls, driven by real drivers; and sites on this machine for them. */
import { join } from "node:path";
import type { Decision } from "#/core/capability.ts";
import type { HttpCapability } from "#/core/http_need.ts";
import { toMessages } from "#/sandbox/browser_cdp.ts";
import { BROWSER_LIMITS, planChromium, planDriver, withForwarder } from "#/sandbox/browser_plan.ts";
import { type Forwarder, TUNNEL_PROXY } from "#/sandbox/tunnel_forward.ts";
import { BrowserAnswer, type BrowserAsk } from "#/sandbox/browser_frames.ts";
import { Pages } from "#/sandbox/browser_pages.ts";
import type { PageWaits } from "#/sandbox/browser_tab.ts";
import { type BrowserPlace, type Browsers, openBrowsers } from "#/sandbox/browsers.ts";
import type { TierDriver, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";
import type { ConnectTarget, Tunnels } from "#/sandbox/tunnel.ts";

const ROOT = new URL("../../", import.meta.url);
const LOCK = ["--cached-only", "--frozen", "--no-remote", `--lock=${new URL("deno.lock", ROOT).pathname}`];

/** The driver's plan, as the runner makes it from a checkout. */
export function driverPlan(cdpUrl?: string) {
  return planDriver({
    denoPath: Deno.execPath(),
    entryUrl: new URL("src/sandbox/browser.ts", ROOT).href,
    moduleFlags: [...LOCK, "--config", new URL("deno.json", ROOT).pathname],
    env: Deno.env.toObject(),
  }, cdpUrl);
}

/** Forwards 127.0.0.1:3128 of a network of its own to the socket of the way out, a process for each connection. */
const FORWARD = `use strict; use IO::Socket::INET; use IO::Socket::UNIX; $SIG{CHLD} = "IGNORE";
my $in = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 3128, Listen => 64, ReuseAddr => 1) or die;
$| = 1; print "ready\\n";
while (my $c = $in->accept) {
  next if fork;
  my $s = IO::Socket::UNIX->new(Peer => "/run/oxydra-net/proxy.sock") or exit;
  my ($from, $to) = fork ? ($c, $s) : ($s, $c);
  while (sysread $from, my $b, 65536) { syswrite $to, $b or last }
  shutdown $to, 1; exit;
}`;

/** A forwarder by perl, so that these tests need nothing but the seam. */
export const FORWARDER: Forwarder = { argv: ["perl", "-e", FORWARD], files: {}, env: {} };

/** A proxy for http behind a socket; what is not open is answered as the real one does. `asked` is in order. */
export function openProxies(): Tunnels & {
  readonly asked: string[];
  until(isTrue: (asked: readonly string[]) => boolean): Promise<void>;
} {
  const asked: string[] = [];
  const waiting = new Set<() => void>();
  const open = new Set<Deno.HttpServer>();
  return {
    asked,
    async until(isTrue) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => isTrue(asked) && resolve();
      waiting.add(look);
      look();
      await promise;
      waiting.delete(look);
    },
    async open(_id, isOpen: (target: ConnectTarget) => boolean) {
      const dir = await Deno.makeTempDir({ prefix: "ox-net-" });
      const server = Deno.serve({ path: join(dir, "proxy.sock"), onListen() {} }, async (request) => {
        // Of a socket that is no address, the URL's host is in the header alone.
        const url = new URL(
          new URL(request.url).pathname + new URL(request.url).search,
          `http://${request.headers.get("host")}`,
        );
        asked.push(`${request.method} ${url.host}${url.pathname}`);
        for (const look of waiting) look();
        if (request.method === "CONNECT" || !isOpen({ host: url.hostname, port: Number(url.port || 80) })) {
          return new Response("refused by the way out", { status: 403 });
        }
        const { method, headers, body, signal } = request;
        return await fetch(url, { method, headers, body, signal, redirect: "manual" }).catch(() =>
          new Response("", { status: 502 })
        );
      });
      open.add(server);
      return {
        dir,
        arm: () => Promise.resolve(),
        // Here each request is asked about, so nothing is held open.
        cut: () => Promise.resolve(void asked.push("cut")),
        async close() {
          open.delete(server);
          await server.shutdown();
          await Deno.remove(dir, { recursive: true });
        },
      };
    },
    async close() {
      await Promise.all([...open].map((server) => server.shutdown()));
    },
  };
}

/** What a kit is made with: policy's word to a need, the place where it is not the walls of this machine. */
export interface KitOptions {
  readonly decide?: (need: HttpCapability) => Decision["kind"];
  readonly place?: BrowserPlace;
  readonly idleMs?: number;
  /** Real ways out, and what finds them behind the walls. */
  readonly real?: { readonly tunnels: Tunnels; readonly forwarder: Forwarder };
}

/** Browsers of a user, with what was started and written down on the way. */
export interface Kit extends AsyncDisposable {
  readonly browsers: Browsers;
  readonly tunnels: ReturnType<typeof openProxies>;
  readonly walled: WalledProcess[];
  readonly specs: WalledSpec[];
  readonly recorded: string[];
  readonly dir: string;
  /** The text of an action, of the conversation `s` by default; or `code: message` of what it threw. */
  browse(ask: BrowserAsk, session?: string): Promise<string>;
}

/** Opens it. Throws where this machine has no walls: these tests need them. */
export async function openKit({ decide = () => "granted", place, idleMs, real: way }: KitOptions = {}): Promise<Kit> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "ox-browser-" }));
  const tunnels = openProxies();
  const [walled, specs, recorded]: [WalledProcess[], WalledSpec[], string[]] = [[], [], []];
  const real = await pickTier("process", { user: "u", dir });
  const tier: TierDriver = {
    name: real.name,
    probe: () => real.probe(),
    sweep: (user) => real.sweep(user),
    async open(spec, signal) {
      const one = await real.open(spec, signal);
      specs.push(spec);
      walled.push(one);
      return one;
    },
  };
  const browsers = openBrowsers({
    user: "u",
    place: place ?? { kind: "walled", tier, ...(way ?? { tunnels, forwarder: FORWARDER }), dir: join(dir, "browsers") },
    driver: driverPlan(place?.kind === "external" ? place.cdpUrl : undefined),
    onLog: (line) => console.error(line),
    ...(idleMs === undefined ? {} : { idleMs }),
  });
  const toDecision = (need: HttpCapability) => ({ kind: decide(need), source: "rule" }) as Decision;
  return {
    ...{ browsers, tunnels, walled, specs, recorded, dir },
    async browse(ask, session = "s") {
      try {
        const { text, picture } = await browsers.run({
          ...{ session, ask, source: "default:browser, rule, once by owner" },
          decide: (need) => toDecision(need as HttpCapability),
          record: (decision) => recorded.push(decision.kind),
        }, new AbortController().signal);
        return picture.length === 0 ? text : `${text}\n${picture.length} bytes`;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        return `${code}: ${message}`;
      }
    },
    async [Symbol.asyncDispose]() {
      await browsers.close();
      await tunnels.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** A browser behind the walls that this process itself drives. */
export interface DrivenPages extends AsyncDisposable {
  readonly pages: Pages;
  readonly walled: WalledProcess;
  readonly tunnels: ReturnType<typeof openProxies>;
  /** The text of an action, or `code: message` of what it threw. */
  run(ask: BrowserAsk): Promise<string>;
}

/** Opens it. */
export async function openPages(waits?: PageWaits): Promise<DrivenPages> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "ox-pages-" }));
  const mounts = { shared: join(dir, "shared"), tmp: join(dir, "tmp") };
  for (const path of Object.values(mounts)) await Deno.mkdir(path);
  const tunnels = openProxies();
  const tunnel = await tunnels.open("pages", () => true);
  const tier = await pickTier("process", { user: "u", dir });
  const way = withForwarder(planChromium(), FORWARDER);
  const spec = { id: "pages", user: "u", mounts, limits: BROWSER_LIMITS, netDir: tunnel.dir, ...way };
  const walled = await tier.open(spec, new AbortController().signal);
  const drained = walled.stderr.pipeTo(new WritableStream()).catch(() => {});
  const writer = walled.stdin.getWriter();
  const pages = new Pages({
    send: (message) => void writer.write(new TextEncoder().encode(`${message}\0`)).catch(() => {}),
    receive: () => toMessages(walled.stdout),
  }, waits);
  await pages.open(TUNNEL_PROXY);
  return {
    ...{ pages, walled, tunnels },
    async run(ask) {
      try {
        const { body, content } = await pages.run(ask);
        const { text } = BrowserAnswer.parse(body);
        return content.length === 0 ? text : `${text}\n${content.length} bytes`;
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        return `${code}: ${message}`;
      }
    },
    async [Symbol.asyncDispose]() {
      await walled.kill();
      await Promise.all([pages.closed, drained]);
      await tunnel.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}
