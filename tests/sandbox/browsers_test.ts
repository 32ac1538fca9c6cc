import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import type { BrowserCall } from "#/sandbox/browsers.ts";
import { openHostileSite } from "../fake/hostile_site.ts";
import type { Tunnels } from "#/sandbox/tunnel.ts";
import { waitUntil } from "../fixture/system.ts";
import { FORWARDER, openKit, openProxies } from "./browser_kit.ts";

const at = (url: string) => ({ action: "navigate", url }) as const;

Deno.test("browsers: a page is seen, used and pictured; refs hold until the page is another one", async () => {
  await using site = openHostileSite();
  await using kit = await openKit();
  assert.match(await kit.browse({ action: "health" }), /^No browser runs/);
  assert.equal(await kit.browse({ action: "text" }), "tool_failed: No page is open: navigate first");
  assert.equal(kit.walled.length, 0, "nothing was started for that");
  const page = await kit.browse(at(`${site.url}/`));
  assert.match(
    page,
    /- heading "Orders"\n[^]*- link "Go on" \[e1\][^]*- textbox "Name" \[e2\][^]*- checkbox "Gift" \[e3\]/,
  );
  assert.match(
    await kit.browse({ action: "act", kind: "fill", ref: "e2", text: "Ann" }),
    /\+ textbox "Name" \[e2\] \(value "Ann"\)/,
  );
  assert.match(await kit.browse({ action: "act", kind: "click", ref: "e3" }), /\+ checkbox "Gift" \[e3\] \(checked\)/);
  assert.match(
    await kit.browse({ action: "act", kind: "select", selector: "select", value: "large" }),
    /value "large"/,
  );
  const sent = await kit.browse({ action: "act", kind: "click", selector: "button", waitNav: true });
  assert.match(sent, /\/sent\?q=Ann&gift=on&size=large[^]*\+ heading "Next page"/);
  assert.equal(
    await kit.browse({ action: "act", kind: "click", ref: "e1" }),
    "tool_failed: e1 is of no element of this page as it is now: take a snapshot",
  );
  assert.match(await kit.browse({ action: "screenshot" }), /\d{4,} bytes$/);
  assert.match(await kit.browse({ action: "tabs" }), /^t1: http/);
  assert.match(await kit.browse({ action: "health" }), /^\S*Chrome\S* runs with 1 of 20 tabs\./);
});

Deno.test("browsers: each conversation has one of its own; the idle one makes room, and what it wrote is gone with it", async () => {
  await using site = openHostileSite();
  await using kit = await openKit();
  await kit.browse(at(`${site.url}/cookie`), "a");
  assert.match(await kit.browse(at(`${site.url}/cookie`), "a"), /seen=yes/);
  assert.match(await kit.browse(at(`${site.url}/cookie`), "b"), /no cookie/);
  assert.equal(new Set(kit.specs.map(({ mounts }) => mounts.tmp)).size, 2);
  assert.equal(kit.browsers.pids.length, 2);
  await kit.browse(at(`${site.url}/`), "c");
  await kit.browse({ action: "text" }, "a");
  await kit.browse(at(`${site.url}/`), "d");
  assert.equal(kit.browsers.pids.length, LIMITS.browsersMax);
  assert.match(await kit.browse({ action: "text" }, "b"), /navigate first/, "the one that was idle for longest");
  assert.match(await kit.browse({ action: "text" }, "a"), /seen=yes/);
  await assert.rejects(Deno.stat(kit.specs[1]!.mounts.tmp), Deno.errors.NotFound);
  await kit.browsers.end("a");
  await kit.browsers.end("nobody");
  assert.match(await kit.browse({ action: "tabs" }, "a"), /navigate first/);
  await kit.browsers.close();
  assert.deepEqual([...Deno.readDirSync(`${kit.dir}/browsers`)], []);
  assert.deepEqual([...kit.browsers.pids], []);
  assert.match(await kit.browse(at(site.url)), /^tool_interrupted: /);
});

Deno.test("browsers: end() ends one that starts, and those that still end count: no more of them at once", async () => {
  await using site = openHostileSite();
  const go = Promise.withResolvers<void>();
  const proxies = openProxies();
  let opened = 0;
  const tunnels: Tunnels = {
    async open(...asked) {
      opened++;
      const tunnel = await proxies.open(...asked);
      return { ...tunnel, close: () => go.promise.then(() => tunnel.close()) };
    },
    close: () => proxies.close(),
  };
  await using kit = await openKit({ real: { tunnels, forwarder: FORWARDER } });
  const starting = Array.from({ length: LIMITS.browsersMax }, (_, n) => kit.browse(at(`${site.url}/cookie`), `s${n}`));
  const ends = Array.from({ length: LIMITS.browsersMax }, (_, n) => kit.browsers.end(`s${n}`));
  const next = kit.browse(at(`${site.url}/cookie`), "s0");
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  const atOnce = opened;
  go.resolve();
  for (const said of await Promise.all(starting)) assert.match(said, /^(cancelled|tool_crashed|tier_unavailable): /);
  await Promise.all(ends);
  assert.match(await next, /no cookie/);
  assert.deepEqual([atOnce, opened, kit.browsers.pids.length], [LIMITS.browsersMax, LIMITS.browsersMax + 1, 1]);
  assert.equal([...Deno.readDirSync(`${kit.dir}/browsers`)].length, 1);
});

Deno.test("browsers: end() does not wait for a browser that never answers", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using kit = await openKit({ place: { kind: "external", cdpUrl: `http://127.0.0.1:${silent.addr.port}` } });
  const starting = kit.browse(at("http://a.example/"));
  using _asked = await silent.accept();
  let isEnded = false;
  const ended = kit.browsers.end("s").then(() => isEnded = true);
  await waitUntil(() => isEnded, "it ends while it starts", LIMITS.browserStartMs / 2);
  await ended;
  assert.match(await starting, /^(cancelled|tier_unavailable): /);
});

Deno.test("browsers: a call that was cancelled before opens nothing", async () => {
  await using kit = await openKit();
  const call = { session: "s", ask: at("http://a.example/") } as unknown as BrowserCall;
  await assert.rejects(kit.browsers.run(call, AbortSignal.abort()), { code: "cancelled" });
  assert.equal(kit.specs.length, 0);
});

Deno.test("browsers: an idle one ends by itself", async () => {
  await using site = openHostileSite();
  await using kit = await openKit({ idleMs: 1 });
  await kit.browse(at(`${site.url}/`));
  await kit.walled[0]!.exited;
  await kit.browsers.end("s");
  assert.match(await kit.browse({ action: "tabs" }), /navigate first/);
});

Deno.test("browsers: one that is killed is a clear error, and the next navigation starts another", async () => {
  await using site = openHostileSite();
  await using kit = await openKit();
  await kit.browse(at(`${site.url}/`));
  const running = kit.browse(at(`${site.url}/silent`));
  await site.until("GET /silent");
  await kit.walled[0]!.kill();
  assert.equal(await running, "tool_crashed: The browser has ended; the next navigate starts a new one");
  assert.match(await kit.browse({ action: "text" }), /navigate first/);
  assert.match(await kit.browse(at(`${site.url}/next`)), /Next page/);
  Deno.kill(kit.browsers.pids[0]!, "SIGKILL");
  await kit.walled[1]!.exited;
  assert.match(await kit.browse(at(`${site.url}/next`)), /tool_crashed|Next page/, "its driver, too");
  assert.match(await kit.browse(at(`${site.url}/next`)), /Next page/);
});

Deno.test("browsers: pages reach what policy gives, each host is written down once, and what is refused is said", async () => {
  await using other = openHostileSite();
  await using site = openHostileSite({ other: other.url });
  await using kit = await openKit({ decide: ({ port }) => port === site.port ? "granted" : "denied" });
  const page = await kit.browse(at(`${site.url}/beacons`));
  assert.match(page, /- heading "A page"/);
  await kit.tunnels.until((asked) => asked.some((line) => line.endsWith("/fetch")));
  assert.match(
    await kit.browse({ action: "text" }) + page,
    new RegExp(`Not reached, since policy does not give it: 127.0.0.1:${other.port}`),
  );
  assert.deepEqual(other.seen, []);
  assert.deepEqual(kit.recorded.toSorted(), ["denied", "granted"]);
});

Deno.test("browsers: a host that a person said yes to is open for this reason alone, and cut when policy gives it no more", async () => {
  await using site = openHostileSite();
  let word: "granted" | "ask" | "denied" = "ask";
  await using kit = await openKit({ decide: () => word });
  assert.match(await kit.browse(at(`${site.url}/`)), /Orders/);
  assert.match(await kit.browse({ action: "text" }), /Two are open/);
  assert.ok(!kit.tunnels.asked.includes("cut"));
  word = "denied";
  const left = await kit.browse({ action: "act", kind: "click", ref: "e1", waitNav: true });
  assert.match(left, /refused by the way out[^]*Not reached/);
  assert.ok(kit.tunnels.asked.includes("cut"), "before it was clicked");
  assert.deepEqual(site.seen.filter(({ line }) => line === "GET /next"), []);
  word = "ask";
  assert.match(await kit.browse(at(`${site.url}/next`)), /Next page/);
});

Deno.test("browsers: what cannot be started says so, and leaves nothing", async () => {
  await using kit = await openKit();
  await using nowhere = await openKit({ place: { kind: "external", cdpUrl: "http://127.0.0.1:1" } });
  assert.equal(
    await nowhere.browse(at("http://example.com/")),
    "tier_unavailable: No browser answers at tools.browser.cdp_url",
  );
  await kit.browsers.close();
  await kit.browsers.close();
});
