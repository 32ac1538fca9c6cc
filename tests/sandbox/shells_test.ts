import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import type { Shells } from "#/sandbox/shell.ts";
import { openShells, type ShellsOptions } from "#/sandbox/shells.ts";
import type { TierDriver } from "#/sandbox/tier.ts";
import type { ConnectTarget, Tunnel } from "#/sandbox/tunnel.ts";
import { isAlive } from "../fixture/system.ts";
import { PlainTier, WIDE } from "../fixture/plain_tier.ts";
import { QUIET } from "./shell_kit.ts";

interface House {
  readonly shells: Shells;
  readonly tier: PlainTier;
  readonly log: string[];
  readonly dir: string;
  run(
    session: string,
    command: string,
    more?: { timeoutMs?: number; connect?: ConnectTarget[]; signal?: AbortSignal },
  ): ReturnType<Shells["exec"]>;
}

async function withShells(check: (house: House) => Promise<void>, options: Partial<ShellsOptions> = {}): Promise<void> {
  const dir = await Deno.makeTempDir();
  const tier = new PlainTier();
  const log: string[] = [];
  const mounts = { shared: dir, tmp: dir };
  const base = { driver: tier, user: "default", mounts, env: { GIVEN: "1" }, limits: WIDE };
  const shells = openShells({ ...base, onLog: (line) => log.push(line), ...options });
  try {
    await check({
      shells,
      tier,
      log,
      dir,
      run: (session, command, { timeoutMs = 20_000, connect = [], signal = QUIET } = {}) =>
        shells.exec({ session, command, timeoutMs, connect }, signal),
    });
  } finally {
    await shells.close();
    assert.deepEqual(tier.opened.map(({ pid }) => pid).filter(isAlive), [], "nothing is left");
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("exec() gives each session a shell of its own, and keeps it", () =>
  withShells(async ({ run, tier, log }) => {
    await run("a", "x=a; echo $GIVEN");
    await run("b", "x=b");
    assert.deepEqual([(await run("a", "echo $x$GIVEN")).text, (await run("b", "echo $x")).text], ["a1\n", "b\n"]);
    assert.equal(tier.opened.length, 2);
    assert.equal(new Set(tier.opened.map(({ spec }) => spec.id)).size, 2);
    for (const { spec } of tier.opened) assert.match(spec.id, /^[a-z0-9-]{1,40}$/);
    assert.match(log.join("\n"), /^shell sh-\S+: opened in \d+ ms\nshell sh-\S+: command 1: exit 0, \d+ ms, 2 bytes\n/);
    assert.ok(!log.join().includes("GIVEN"), "never what ran");
  }));

Deno.test("exec() runs the commands of one session in order, those of others beside them, and refuses beyond its bound", () =>
  withShells(async ({ run, dir }) => {
    const order: string[] = [];
    const first = run("a", `while ! [ -e ${dir}/go ]; do sleep 0.02; done; x=1`).then(() => order.push("first"));
    const second = run("a", "echo $x").then(({ text }) => order.push(`second ${text}`));
    const rest = Array.from({ length: LIMITS.shellWaitingMax - 1 }, () => run("a", "true"));
    await assert.rejects(run("a", "true"), { code: "queue_full" });
    await run("b", `touch ${dir}/go`).then(() => order.push("other"));
    await Promise.all([first, second, ...rest]);
    assert.deepEqual(order, ["other", "first", "second 1\n"]);
  }));

Deno.test("exec() opens a new shell after a lost one, and says so once", () =>
  withShells(async ({ run, tier, log }) => {
    await run("a", "x=1");
    await tier.opened[0]!.process.kill();
    const { text, notes } = await run("a", "echo [$x]");
    assert.equal(text, "[]\n");
    assert.match(notes[0]!, /^This is a new shell, for the last one is gone/);
    assert.deepEqual((await run("a", "echo again")).notes, []);
    assert.match(log.join("\n"), /lost: its processes were ended/);
  }));

Deno.test("exec() lets the shell go that was idle for longest, and refuses when all of them work", () =>
  withShells(async ({ run, tier, dir }) => {
    await run("a", "x=1");
    await run("b", "x=1");
    await run("c", "x=1");
    assert.equal((await run("b", "echo $x")).text, "1\n");
    assert.equal((await run("a", "echo [$x]")).text, "[]\n", "it had to go for c");
    const busy = ["a", "b"].map((session) => run(session, `until [ -e ${dir}/go ]; do sleep 0.02; done`));
    await assert.rejects(run("d", "true"), { code: "queue_full" });
    await Deno.writeTextFile(join(dir, "go"), "");
    await Promise.all(busy);
    assert.ok(tier.opened.length >= 4);
  }, { sessionsMax: 2 }));

Deno.test("exec() ends a shell that nobody uses", () =>
  withShells(async ({ run, tier }) => {
    await run("a", "sleep 1000 &");
    await tier.opened[0]!.process.exited;
    assert.equal((await run("a", "echo on")).text, "on\n");
  }, { idleMs: 50 }));

Deno.test("kill() ends a session's shell in mid-command, and close() all of them", () =>
  withShells(async ({ run, shells }) => {
    await run("a", "true");
    const ended = assert.rejects(run("a", "sleep 1000"), { code: "shell_ended" });
    const waiting = assert.rejects(run("a", "true"), { code: "shell_ended" });
    await shells.kill("a");
    await Promise.all([ended, waiting]);
    await shells.kill("nobody");
    const control = new AbortController();
    const cancelled = assert.rejects(run("b", "sleep 1000", { signal: control.signal }), { code: "cancelled" });
    control.abort();
    await cancelled;
    await shells.close();
    await assert.rejects(run("a", "true"), { code: "shell_ended" });
  }));

Deno.test("kill() ends what a shell left running; the next command of that name gets a new one with nothing of it", () =>
  withShells(async ({ run, shells, tier }) => {
    await run("a", "x=old; cd /tmp; sleep 1000 &");
    await Promise.all([shells.kill("a"), shells.kill("a")]);
    assert.ok(!isAlive(tier.opened[0]!.pid));
    const { text, notes } = await run("a", "echo [$x]; jobs");
    assert.deepEqual([text, notes, tier.opened.length], ["[]\n", [], 2], "not even that there was one");
  }));

Deno.test("kill() ends a shell that is being opened, with its way out, and what comes behind it gets another", async () => {
  const closed: string[] = [];
  const opening = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const tunnels = {
    async open(id: string): Promise<Tunnel> {
      opening.resolve();
      await go.promise;
      const nothing = () => Promise.resolve();
      return { dir: "/nonexistent", arm: nothing, cut: nothing, close: () => Promise.resolve(void closed.push(id)) };
    },
    close: () => Promise.resolve(),
  };
  await withShells(async ({ run, shells, tier }) => {
    const first = assert.rejects(run("a", "echo first"), { code: "shell_ended" });
    await opening.promise;
    const killed = shells.kill("a");
    const second = run("a", "echo second");
    go.resolve();
    await Promise.all([first, killed]);
    assert.equal((await second).text, "second\n");
    assert.equal(tier.opened.length, 1, "only the second");
    assert.deepEqual(
      closed.map((id) => id !== tier.opened[0]!.spec.id),
      [true],
      "and the first one's way out is closed",
    );
  }, { tunnels });
});

Deno.test("exec() opens nothing for a call that was cancelled before, and takes no place", () =>
  withShells(async ({ run, tier }) => {
    await run("a", "x=1");
    await assert.rejects(run("b", "true", { signal: AbortSignal.abort() }), { code: "cancelled" });
    assert.deepEqual([(await run("a", "echo $x")).text, tier.opened.length], ["1\n", 1], "its shell had not to go");
  }, { sessionsMax: 1 }));

Deno.test("exec() counts shells that still end: who has sessions ended gets no more at once", async () => {
  const go = Promise.withResolvers<void>();
  const plain = new PlainTier();
  const slow: Pick<TierDriver, "open"> = {
    async open(spec, signal) {
      const process = await plain.open(spec, signal);
      return { ...process, kill: () => go.promise.then(() => process.kill()) };
    },
  };
  await withShells(async ({ run, shells }) => {
    await run("a", "true");
    const killed = shells.kill("a");
    let isOpen = false;
    const next = run("b", "true").then(() => isOpen = true);
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual([isOpen, plain.opened.length], [false, 1]);
    go.resolve();
    await Promise.all([killed, next]);
    assert.equal(plain.opened.length, 2);
  }, { driver: slow, sessionsMax: 1 });
});

Deno.test("exec() opens the way out for the hosts of a call and as long as it runs", async () => {
  const said: string[] = [];
  let isOpen: (target: ConnectTarget) => boolean = () => true;
  const tunnel: Tunnel = {
    dir: "/nonexistent",
    arm: () => Promise.resolve(void said.push("arm")),
    cut: () => Promise.resolve(void said.push("cut")),
    close: () => Promise.resolve(void said.push("close")),
  };
  const tunnels = {
    open(_id: string, ask: (target: ConnectTarget) => boolean) {
      isOpen = ask;
      return Promise.resolve(tunnel);
    },
    close: () => Promise.resolve(),
  };
  const forwarder = {
    argv: ["sh", "-c", "echo ready; exec sleep 1000"],
    files: {},
    env: {},
    proxyEnv: { HTTPS_PROXY: "http://127.0.0.1:3128" },
  };
  const target = { host: "a.example", port: 443 };
  const other = { host: "a.example", port: 80 };
  await withShells(async ({ run, tier }) => {
    assert.equal((await run("a", "echo [$HTTPS_PROXY]")).text, "[]\n");
    assert.deepEqual([said, isOpen(target)], [[], false], "nothing is armed for a command without hosts");
    assert.equal(tier.opened[0]!.spec.netDir, "/nonexistent");
    const running = run("a", "echo $HTTPS_PROXY; sleep 0.2", { connect: [target] });
    const seen: boolean[][] = [];
    const timer = setInterval(() => seen.push([isOpen(target), isOpen(other)]), 5);
    const { text, notes } = await running;
    clearInterval(timer);
    assert.deepEqual(
      [text, notes],
      ["http://127.0.0.1:3128\n", []],
      "what we started is no background process of the model",
    );
    assert.ok(seen.some(([open]) => open) && seen.every(([, open]) => !open));
    assert.deepEqual([isOpen(target), said], [false, ["arm", "cut"]]);
    await run("a", "true", { connect: [target] });
    assert.equal(said.filter((word) => word === "close").length, 0);
  }, { tunnels, forwarder });
  assert.equal(said.at(-1), "close");
  await withShells(async ({ run }) => {
    await assert.rejects(run("a", "true", { connect: [target] }), { code: "egress_failed" });
    assert.equal((await run("a", "echo on")).text, "on\n");
  });
});

Deno.test("exec() serves 20 sessions at once", () =>
  withShells(async ({ run }) => {
    const texts = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      await run(`s${i}`, `x=${i}`);
      return (await run(`s${i}`, "echo $x")).text;
    }));
    assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `${i}\n`));
  }));
