import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { findWalled, tryWalled, type WalledTrial } from "#/sandbox/self_test_walled.ts";
import type { TierDriver, WalledSpec } from "#/sandbox/tier.ts";
import { pickTier } from "#/sandbox/tiers.ts";
import { never } from "./egress_kit.ts";

/** No walls at all: what is tried runs as it is, but for what would be done to the machine itself. */
const OPEN: TierDriver = {
  name: "bubblewrap",
  probe: () => Promise.resolve({ available: true, about: "none", notes: [] }),
  open: ({ argv: [command = "", ...all] }: WalledSpec) => {
    const args = all.map((arg) => arg.replaceAll(/^say '(mount|write into)[^\n]*$/gm, ""));
    const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
    return Promise.resolve({
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited: child.status.then(({ code }) => ({ code })),
      kill: async () => void await child.status,
    });
  },
  sweep: () => Promise.resolve(0),
};

function openTrial(): WalledTrial & Disposable {
  const dir = Deno.realPathSync(Deno.makeTempDirSync());
  return { user: "ann", dir, [Symbol.dispose]: () => Deno.removeSync(dir, { recursive: true }) };
}

const driver = await pickTier("process", { user: "ann", dir: Deno.makeTempDirSync() });
const { available } = await driver.probe();

Deno.test({
  name: "tryWalled() finds that each wall of a real tier holds, and leaves nothing behind",
  ignore: !available,
  async fn() {
    using trial = openTrial();
    const found = await tryWalled(driver, trial, never);
    assert.equal(found.length, 8);
    assert.deepEqual(found.filter(({ held }) => !held), []);
    assert.deepEqual([...Deno.readDirSync(trial.dir)], []);
  },
});

Deno.test("tryWalled() says what comes through where there are no walls", async () => {
  using trial = openTrial();
  const through = (await tryWalled(OPEN, trial, never)).filter(({ held }) => !held);
  const tried = through.map(({ tried }) => tried);
  for (const one of ["read a file", "see a process", "signal a process", "take the rights", "connect to"]) {
    assert.ok(tried.some((text) => text.startsWith(one)), `${one}: ${tried.join()}`);
  }
  assert.match(through[0]!.detail, /^secret-/);
});

Deno.test("tryWalled() calls a process that ends early untried, and one that says too much is cut off", async () => {
  using trial = openTrial();
  const withArgv = (argv: string[]): TierDriver => ({
    ...OPEN,
    open: (spec, signal) => OPEN.open({ ...spec, argv }, signal),
  });
  await assert.rejects(tryWalled(withArgv(["sh", "-c", "echo"]), trial, never), { code: "self_test_failed" });
  const flood = `head -c ${LIMITS.selfCheckBytesMax + 1} /dev/zero`;
  await assert.rejects(tryWalled(withArgv(["sh", "-c", flood]), trial, never), { code: "self_test_failed" });
  assert.deepEqual([...Deno.readDirSync(trial.dir)], []);
});

Deno.test("findWalled() gives the first program that is there, or none", async () => {
  using trial = openTrial();
  assert.match(await findWalled(OPEN, trial, ["no-such-program", "sh", "ls"], never) ?? "", /\/sh$/);
  assert.equal(await findWalled(OPEN, trial, ["no-such-program"], never), undefined);
});
