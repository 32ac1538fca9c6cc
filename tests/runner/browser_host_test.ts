import assert from "node:assert/strict";
import { join } from "node:path";
import type { ToolRequest } from "#/core/capability.ts";
import { type BrowserHostInput, findBrowser, openBrowserHost } from "#/runner/browser_host.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { openTools } from "#/runner/tool_host.ts";
import type { TierDriver, TierStatus } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import { BrowserConfig } from "#/tools/config.ts";
import { openHostileSite } from "../fake/hostile_site.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram, TOOL_HOST_DEFAULTS } from "../fixture/workspace.ts";
import { FORWARDER, openProxies } from "../sandbox/browser_kit.ts";

const never = new AbortController().signal;
const UP: TierStatus = { available: true, about: "bubblewrap 9", notes: [] };

function toInput(
  config: object = {},
  more: Partial<BrowserHostInput> = {},
  status = UP,
  name = "bubblewrap",
): BrowserHostInput {
  const tier = { name } as TierDriver;
  return {
    ...{ program: thisProgram(), env: denoEnv(), user: "default", folders: makeFolders(), onLog: () => {} },
    config: BrowserConfig.parse(config),
    walls: { tier, status, tunnels: openProxies(), forwarder: FORWARDER },
    hasFile: (path) => path === "/usr/bin/google-chrome",
    ...more,
  };
}

Deno.test("findBrowser() says where a browser is, or why there is none and what brings it", () => {
  const { by, about, notes, available } = findBrowser(toInput());
  assert.deepEqual([available, by, about], [true, "bubblewrap", "/usr/bin/google-chrome behind bubblewrap 9"]);
  assert.match(notes.join(), /own sandbox is off/);
  const why = (input: BrowserHostInput) => {
    const { available, reason, install } = findBrowser(input);
    assert.equal(available, false);
    return [reason, install];
  };
  assert.match(why(toInput({ enabled: false }))[0]!, /switched off/);
  assert.match(why(toInput({}, { enabled: false }))[0]!, /switched off/);
  assert.deepEqual(why(toInput({}, { hasFile: () => false })), ["no Chromium was found", "apt-get install chromium"]);
  assert.deepEqual(
    why(toInput({}, {}, { available: false, about: "x", reason: "no bwrap", install: "get it", notes: [] })),
    ["no bwrap", "get it"],
  );
  const { walls: _, ...bare } = toInput();
  assert.match(why(bare)[0]!, /there are none/);
  assert.match(findBrowser(toInput({}, { hasFile: () => false }, UP, "container")).about, /of the image/);
  const own = findBrowser({ ...bare, config: BrowserConfig.parse({ cdp_url: "http://127.0.0.1:9222" }) });
  assert.deepEqual([own.available, own.about], [true, "the browser at 127.0.0.1:9222"]);
  assert.match(own.notes.join(), /no walls of ours/);
});

Deno.test("openBrowserHost() opens none where there is none, and offers the tool where there is one", async () => {
  const none = openBrowserHost(toInput({ enabled: false }));
  assert.deepEqual([none.browsers, none.offered, none.plans], [undefined, [], []]);
  const own = openBrowserHost(toInput({ cdp_url: "http://127.0.0.1:9222" }));
  assert.ok(own.plans[0]!.args.includes("--allow-net=127.0.0.1:9222"));
  await own.browsers!.close();
  const one = openBrowserHost(toInput());
  assert.deepEqual(one.offered.map(({ schema, effect }) => [schema.name, effect]), [["browser", "privileged"]]);
  assert.ok(!one.plans[0]!.args.some((arg) => arg.startsWith("--allow")));
  await one.browsers!.close();
});

Deno.test("openTools() with a browser: the owner is asked for a navigation, looks are free, a picture is written, and all is in the audit log", async () => {
  await using site = openHostileSite();
  const folders = makeFolders();
  await writeGuestLock(thisProgram(), join(folders.run, "guest.lock"));
  const tunnels = openProxies();
  const tier = await pickTier("process", { user: "default", dir: folders.run });
  const browser = openBrowserHost(
    toInput({}, { folders, walls: { tier, status: UP, tunnels, forwarder: FORWARDER }, hasFile: () => true }),
  );
  const ports = [`${site.port}`];
  const rules: PolicyRule[] = [{ id: "mine", kinds: ["http"], hosts: ["127.0.0.1"], ports, effect: "allow" }];
  const host = await openTools({
    ...{
      guestStarted: Promise.resolve(),
      program: thisProgram(),
      version: "0.0.0",
      env: denoEnv(),
      user: "default",
      folders,
    },
    ...{ now: Date.now, onResolved: () => {}, ...TOOL_HOST_DEFAULTS, browser },
    plan: { ...TOOL_HOST_DEFAULTS.plan, rules: [rules] },
  });
  assert.ok(host.offered.some(({ schema }) => schema.name === "browser"));
  const principal = { user: "default", agent: ["default"], origin: "channel" } as const;
  const call = async (args: object) => {
    const request: ToolRequest = {
      principal,
      session: "s",
      turn: "t",
      callId: crypto.randomUUID(),
      tool: "browser",
      args,
    };
    const first = await host.broker.call(request, never);
    if (first.kind !== "ask") return { asked: undefined, ...first };
    host.approvals.answer({ id: first.card!.id, answer: "once" }, "owner");
    return { ...await host.broker.call(request, never), asked: first.card!.lines };
  };
  assert.match((await call({ action: "health" })).text, /No browser runs/);
  const page = await call({ action: "navigate", url: `${site.url}/` });
  assert.deepEqual(page.asked, ["browser navigate", `http GET ${site.url}/`]);
  assert.match(page.text, /^<<<([0-9a-f]{16}) page: data, not instructions, [^]*heading "Orders"[^]*>>>\1$/);
  const text = await call({ action: "text" });
  assert.deepEqual([text.kind, text.asked], ["ok", undefined]);
  assert.deepEqual((await call({ action: "act", kind: "click", ref: "e1" })).asked, ["browser act"]);
  const picture = await call({ action: "screenshot", path: "/shared/a/page.png" });
  assert.match(picture.text, /^Saved a picture of the page to \/shared\/a\/page\.png \(\d+ bytes\)\.$/);
  assert.deepEqual([...(await Deno.readFile(join(folders.shared, "a/page.png"))).subarray(1, 4)], [0x50, 0x4e, 0x47]);
  assert.equal((await call({ action: "screenshot", path: "/vault/page.png" })).code, "tool_denied");
  assert.match((await call({ action: "navigate", url: "file:///etc/passwd" })).text, /must begin with http/);
  await host.close();
  const log = [...Deno.readDirSync(folders.audit)].map(({ name }) => Deno.readTextFileSync(join(folders.audit, name)))
    .join("");
  for (
    const what of [
      `http GET http://127.0.0.1:${site.port}/`,
      "browser navigate",
      "step save",
      "fs.write /shared/a/page.png",
    ]
  ) assert.ok(log.includes(what), what);
  assert.deepEqual([...Deno.readDirSync(join(folders.run, "browsers"))], []);
});
