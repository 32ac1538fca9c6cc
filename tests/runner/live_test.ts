/** The living parts of a runner, with a real guest and real tools: other settings while it lives. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { UserFolders } from "#/config/user.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { Live, type LiveInput } from "#/runner/live.ts";
import { openLogFile } from "#/runner/log_file.ts";
import type { RunnerSettings } from "#/runner/settings.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { denoEnv, isAlive } from "../fixture/system.ts";
import { demoBootstrap, makeFolders, thisProgram } from "../fixture/workspace.ts";

interface Open extends AsyncDisposable {
  readonly live: Live;
  readonly settings: RunnerSettings;
  readonly folders: UserFolders;
  readonly told: string[];
  readonly log: () => string;
}

async function open(input: Partial<LiveInput> = {}): Promise<Open> {
  const folders = makeFolders();
  const lockPath = join(folders.run, "guest.lock");
  await writeGuestLock(thisProgram(), lockPath);
  const { version, timezone, model, settings: limits, startupStatus } = demoBootstrap("");
  const settings = {
    told: { version, timezone, model, settings: limits, startupStatus },
    hosts: [],
    tools: NO_TOOLS_PLAN,
    folders,
  };
  const told: string[] = [];
  const path = join(folders.logs, "runtime.log");
  const log = openLogFile(path);
  const live = new Live({ ...settings, told: Promise.resolve(settings.told) }, {
    input: { program: thisProgram(), version, user: "default", port: 0, drainMs: 5_000, ...input },
    env: denoEnv(),
    lockPath,
    log,
    onUp: (port) => told.push(`up ${port}`),
    onDown: () => told.push("down"),
  });
  await live.open();
  return {
    live,
    settings,
    folders,
    told,
    log: () => Deno.readTextFileSync(path),
    async [Symbol.asyncDispose]() {
      await live.close();
      log.close();
    },
  };
}

const ALL = { guest: true, tools: true, what: [] };

Deno.test("Live puts other settings in force: new flags for the guest, other roots for the tools, the same port", async () => {
  await using house = await open();
  const { live, settings, folders, told } = house;
  const { port, guest } = live.supervisor;
  const before = live.host;
  const shared = Deno.realPathSync(Deno.makeTempDirSync());
  const next = { ...settings, hosts: ["127.0.0.1:9"], folders: { ...folders, shared } };
  await live.apply(ALL, next);
  assert.deepEqual(told, [`up ${port}`, "down", `up ${port}`]);
  assert.ok(!isAlive(guest.pid) && live.host !== before);
  const flags = Deno.readTextFileSync(`/proc/${live.supervisor.guest.pid}/cmdline`).split("\0");
  assert.ok(flags.includes(`--allow-net=127.0.0.1:${port},127.0.0.1:9`), flags.join(" "));
  assert.equal(live.settings.folders.shared, shared);
  assert.equal(live.startupStatus.sandbox_tier, "process");
  const outcome = await live.gate.call({
    principal: { user: "default", agent: ["default"], origin: "channel" },
    session: "s",
    turn: "t",
    callId: "c",
    tool: "file_write",
    args: { path: "/shared/a.txt", content: "there" },
  }, new AbortController().signal);
  assert.equal(outcome.kind, "ok", outcome.text);
  assert.equal(Deno.readTextFileSync(join(shared, "a.txt")), "there");
});

Deno.test("Live goes on as before when no guest starts with the new settings, or no tools open", async () => {
  await using house = await open();
  const { live, settings, folders } = house;
  const bad = { ...settings, told: { ...settings.told, model: { ...settings.told.model, provider: "" } } };
  await assert.rejects(live.apply(ALL, bad), { code: "guest_failed" });
  assert.ok(live.supervisor.isUp && live.settings.folders === folders);
  const nowhere = { ...settings, folders: { ...folders, shared: "/nowhere/shared" } };
  for (const guest of [true, false]) {
    await assert.rejects(live.apply({ ...ALL, guest }, nowhere));
    assert.ok(live.supervisor.isUp && live.settings.folders === folders);
    assert.equal(await live.gate.host(), live.host);
  }
  assert.match(house.log(), /runner: the guest is restarted/);
  await live.close();
  await assert.rejects(live.apply(ALL, settings), { code: "cancelled" });
});

Deno.test("Live changes the tools alone without a word to the guest", async () => {
  await using house = await open();
  const { live, settings, told } = house;
  const { pid } = live.supervisor.guest;
  await live.apply({ ...ALL, guest: false }, { ...settings, tools: { ...NO_TOOLS_PLAN } });
  assert.deepEqual([told.length, live.supervisor.guest.pid, live.supervisor.restarts], [1, pid, 0]);
});

Deno.test("Live that is closed in the middle of a change leaves no process", async () => {
  const house = await open();
  const { live, settings } = house;
  const changing = live.apply(ALL, settings);
  changing.catch(() => {});
  await house[Symbol.asyncDispose]();
  await changing.catch(() => {});
  assert.ok(!isAlive(live.supervisor.guest.pid));
  assert.deepEqual(live.host.childPids.filter(isAlive), []);
});
