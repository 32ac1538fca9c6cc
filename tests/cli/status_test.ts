import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { main } from "#/cli/main.ts";
import { runPlainStatus, runStatus, type Status, toStatusText } from "#/cli/status.ts";
import { openControl } from "#/runner/control.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { askedCall } from "../fixture/asked_call.ts";
import { healthOf, toControlDeps } from "../fixture/health.ts";
import { writeLog } from "../sandbox/audit_kit.ts";
import { enterRealm, type Realm } from "./realm.ts";

interface House {
  readonly cwd: string;
  readonly realm: Realm;
  readonly workspace: string;
  readonly ipc: string;
  readonly run: string;
  /** What `--json` prints, and the exit code. */
  status(): Promise<{ code: number; status: Status }>;
}

async function withHouse(check: (house: House) => Promise<void>): Promise<void> {
  using machine = makeMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno") } });
  const workspace = join(machine.cwd, ".oxydra/workspaces/default");
  await check({
    cwd: machine.cwd,
    realm,
    workspace,
    ipc: join(workspace, "ipc"),
    run: join(workspace, "run"),
    async status() {
      const before = realm.out().length;
      const code = await main(["status", "--json"], "1.2.3");
      return { code, status: JSON.parse(realm.out().slice(before)) };
    },
  });
}

/** A runner as the commands beside it see it: its lock and its control socket, which says what `over` is by then. */
function openRunner({ ipc, run }: House, over: Partial<HealthStatus>): Disposable {
  for (const folder of [ipc, run]) Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = acquireRunnerLock(run, 1_234)!;
  const approvals = openApprovals({
    path: join(run, "approvals.json"),
    now: Date.now,
    record: () => {},
    onResolved: () => {},
  });
  const control = openControl(ipc, toControlDeps(approvals, () => healthOf(over)));
  return {
    [Symbol.dispose]() {
      control.close();
      approvals.close();
      lock.release();
    },
  };
}

Deno.test("runStatus() where nothing ever ran says so with exit 3, and makes nothing", async () => {
  await withHouse(async ({ cwd, workspace, realm, status }) => {
    assert.deepEqual(await status(), {
      code: 3,
      status: {
        user: "default",
        state: "stopped",
        tier: "process",
        shell: null,
        browser: null,
        workspace,
        runner: null,
        guest: null,
        gateway: null,
        clients: null,
        turns: null,
        restarts: null,
        config: null,
        waiting: 0,
        auditHead: null,
        auditAgrees: null,
      },
    });
    assert.deepEqual([...Deno.readDirSync(cwd)], []);
    assert.equal(await runStatus({}), 3);
    assert.match(realm.out(), /^oxydra does not run for default$/m);
  });
});

Deno.test("runStatus() tells what the runner says of itself, and the log's head from the disk", async () => {
  await withHouse(async (house) => {
    const head = writeLog(join(house.workspace, "audit"), 2).at(-1)!;
    using _ = openRunner(house, { audit_head: head });
    const { code, status } = await house.status();
    const { auditHead, ...rest } = status;
    assert.deepEqual([code, auditHead!.seq, auditHead!.sha256], [0, head.seq, head.sha256]);
    assert.deepEqual(rest, {
      user: "default",
      state: "running",
      tier: "process",
      shell: { available: false, about: "none", reason: "no shell", notes: [] },
      browser: { available: false, about: "none", reason: "no shell", notes: [] },
      workspace: house.workspace,
      runner: { pid: Deno.pid, startedAt: 1_234, version: "1.2.3" },
      guest: { pid: 4725, up: true },
      gateway: "127.0.0.1:4000",
      clients: 2,
      turns: 0,
      restarts: 0,
      config: { state: "in_force", at: 1_000, note: "" },
      waiting: 1,
      auditAgrees: true,
    });
  });
});

Deno.test("runStatus() tells what the runner found of shell and browser, and what a runner says that found nothing", async () => {
  const missing = { available: false, about: "none", reason: "bubblewrap is not installed", install: "x", notes: [] };
  const shell = { available: true, about: "bubblewrap 0.8.0", by: "bubblewrap", notes: ["n"] };
  await withHouse(async (house) => {
    const said: Partial<HealthStatus> = { tiers: { shell, browser: missing } };
    using _ = openRunner(house, said);
    const { status } = await house.status();
    assert.deepEqual([status.shell, status.browser], [shell, missing]);
    delete said.tiers;
    said.shell_available = true;
    assert.deepEqual((await house.status()).status.shell, { available: true, about: "there is one", notes: [] });
  });
});

Deno.test("runStatus() exits 1 when the log on disk is not what its runner wrote, and 0 when it only went on", async () => {
  const other = { sha256: "b".repeat(64) };
  const cases: readonly (readonly [seq: number, over: object, code: number])[] = [
    [0, {}, 0],
    [-1, {}, 0],
    [-1, other, 0],
    [0, other, 1],
    [1, {}, 1],
  ];
  await withHouse(async (house) => {
    const head = writeLog(join(house.workspace, "audit"), 2).at(-1)!;
    const said = { audit_head: head };
    using _ = openRunner(house, said);
    for (const [by, over, code] of cases) {
      said.audit_head = { ...head, ...over, seq: head.seq + by };
      const found = await house.status();
      assert.deepEqual([found.code, found.status.auditAgrees], [code, code === 0], `${by} ${JSON.stringify(over)}`);
    }
    Deno.removeSync(join(house.workspace, "audit"), { recursive: true });
    assert.equal((await house.status()).code, 1);
    await runStatus({});
    assert.match(house.realm.out(), /✗ it lacks what the runner wrote last: see `oxydra audit verify`/);
  });
});

Deno.test("runStatus() exits 3 for a runner whose guest has ended", async () => {
  await withHouse(async (house) => {
    const head = writeLog(join(house.workspace, "audit"), 1).at(-1)!;
    using _ = openRunner(house, { healthy: false, audit_head: head });
    const { code, status } = await house.status();
    assert.deepEqual([code, status.state, status.guest], [3, "running", { pid: 4725, up: false }]);
  });
});

Deno.test("runStatus() knows a start, a runner that does not answer, and the socket of one that is gone", async () => {
  await withHouse(async ({ ipc, run, status }) => {
    for (const folder of [ipc, run]) Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const dead = Deno.listen({ transport: "unix", path: controlPath(ipc) });
    dead.close();
    Deno.writeTextFileSync(join(run, "runner.lock"), JSON.stringify({ pid: 1, startedAt: 1 }));
    const gone = await status();
    assert.deepEqual([gone.code, gone.status.state, gone.status.runner], [3, "stopped", null]);
    for (const [ageMs, state] of [[0, "starting"], [LIMITS.guestStartMs + 1, "not_answering"]] as const) {
      const startedAt = Date.now() - ageMs;
      const lock = acquireRunnerLock(run, startedAt)!;
      const found = await status();
      assert.deepEqual([found.code, found.status.state, found.status.runner], [3, state, {
        pid: Deno.pid,
        startedAt,
        version: null,
      }]);
      lock.release();
    }
    const lock = acquireRunnerLock(run, 1)!;
    Deno.writeTextFileSync(join(run, "runner.lock"), "");
    const early = await status();
    assert.deepEqual([early.status.state, early.status.runner], ["starting", null]);
    lock.release();
  });
});

Deno.test("runStatus() without a runner counts what will ask again; a damaged file is no count", async () => {
  await withHouse(async ({ run, status }) => {
    Deno.mkdirSync(run, { recursive: true, mode: 0o700 });
    const path = join(run, "approvals.json");
    const approvals = openApprovals({ path, now: Date.now, record: () => {}, onResolved: () => {} });
    approvals.find(askedCall());
    approvals.close();
    assert.equal((await status()).status.waiting, 1);
    Deno.writeTextFileSync(path, "{");
    assert.equal((await status()).status.waiting, null);
  });
});

Deno.test("runStatus() refuses a folder that a link took elsewhere, and an audit log that is none", async () => {
  await withHouse(async ({ workspace }) => {
    Deno.mkdirSync(workspace, { recursive: true });
    Deno.symlinkSync("/tmp", join(workspace, "ipc"));
    await assert.rejects(runStatus({}), { code: "config_invalid", message: /ipc folder is a link/ });
    Deno.removeSync(join(workspace, "ipc"));
    Deno.writeTextFileSync(join(workspace, "audit"), "a file");
    await assert.rejects(runStatus({}), { code: "audit_failed" });
  });
});

const refused = (note: string) => ({
  state: "refused" as const,
  at: new Date(2030, 0, 2, 3, 6).getTime(),
  note,
});

const RUNNING: Status = {
  user: "alice",
  state: "running",
  tier: "process",
  shell: { available: true, about: "bubblewrap 0.8.0", by: "bubblewrap", notes: ["memory is only polled"] },
  browser: {
    available: false,
    about: "none",
    reason: "no Chromium",
    install: "sudo apt-get install chromium",
    notes: [],
  },
  workspace: "/w/alice",
  runner: { pid: 4711, startedAt: new Date(2030, 0, 2, 3, 4).getTime(), version: "1.2.3" },
  guest: { pid: 4725, up: true },
  gateway: "127.0.0.1:4000",
  clients: 1,
  turns: 0,
  restarts: 0,
  config: { state: "in_force", at: 1_000, note: "" },
  waiting: 2,
  auditHead: { seq: 27, sha256: "a".repeat(64), at: new Date(2030, 0, 2, 3, 5).getTime() },
  auditAgrees: true,
};

Deno.test("toStatusText() says all of it in 80 columns", () => {
  assert.deepEqual(toStatusText(RUNNING).split("\n"), [
    "oxydra runs for alice",
    "runner       process 4711 since 2030-01-02 03:04, version 1.2.3",
    "guest        process 4725, up",
    "gateway      127.0.0.1:4000, 1 client connected",
    "tier         process",
    "shell        bubblewrap 0.8.0",
    "             · memory is only polled",
    "browser      none: no Chromium",
    "             to get it: sudo apt-get install chromium",
    "workspace    /w/alice",
    "waiting      2 calls for your answer, see `oxydra approvals`",
    "audit log    27 entries, the last 2030-01-02 03:05",
    `  head       ${"a".repeat(64)}`,
  ]);
});

Deno.test("toStatusText() has a first line for each state, and leaves out what nobody can say", () => {
  const runner = { ...RUNNING.runner!, version: null };
  const nobody = { guest: null, gateway: null, clients: null, auditAgrees: null };
  const down: Status = { ...RUNNING, ...nobody, runner, waiting: 1 };
  const cases: readonly (readonly [Status, RegExp])[] = [
    [{ ...down, state: "stopped", runner: null }, /^oxydra does not run for alice\ntier /],
    [{ ...down, state: "stopped" }, /^waiting +1 call, to be answered when it runs$/m],
    [
      { ...down, state: "starting" },
      /^oxydra is starting for alice\nrunner +process 4711 since 2030-01-02 03:04\ntier /,
    ],
    [{ ...down, state: "starting", runner: null }, /^oxydra is starting for alice\ntier /],
    [{ ...down, state: "not_answering" }, /^oxydra does not answer for alice: it stops or hangs\nrunner /],
    [
      { ...RUNNING, guest: { pid: 4725, up: false } },
      /^guest +process 4725, no turn can run: it has ended, or restarts$/m,
    ],
    [{ ...RUNNING, turns: 2, restarts: 1 }, /^guest +process 4725, up, 2 turns at work, restarted 1 time$/m],
    [
      { ...RUNNING, config: refused("a.toml:1: bad") },
      /^config +last edit refused \(2030-01-02 03:06\): a.toml:1: bad$/m,
    ],
    [{ ...RUNNING, config: refused("one\ntwo\nthree") }, /^config +last edit .*: one \(and 2 more lines\)$/m],
    [
      { ...RUNNING, config: { state: "in_force", at: 1, note: "workspace_root takes effect at the next start" } },
      /^config +workspace_root takes effect at the next start$/m,
    ],
    [{ ...RUNNING, waiting: 0 }, /^waiting +no call$/m],
    [{ ...RUNNING, waiting: null }, /^waiting +unknown: run\/approvals\.json is damaged$/m],
    [{ ...RUNNING, auditHead: null }, /^audit log +no entry yet$/m],
    [{ ...RUNNING, auditAgrees: false }, /^ +✗ it lacks what the runner wrote last/m],
  ];
  for (const [status, text] of cases) {
    const said = toStatusText(status);
    assert.match(said, text);
    assert.ok(said.split("\n").every((line) => line.length <= 80), said);
  }
});

Deno.test("runPlainStatus() is the same without the parser, and says what is wrong instead of throwing it", async () => {
  await withHouse(async ({ cwd, realm, status }) => {
    const parsed = await status();
    const before = realm.out().length;
    assert.equal(await runPlainStatus({ json: true }), parsed.code);
    assert.deepEqual(JSON.parse(realm.out().slice(before)), parsed.status);
    Deno.mkdirSync(join(cwd, ".oxydra"), { recursive: true });
    Deno.writeTextFileSync(join(cwd, ".oxydra/agent.toml"), "[selection\n");
    assert.equal(await runPlainStatus({}), 2);
    assert.match(realm.err(), /^oxydra: .*agent\.toml/);
  });
});
