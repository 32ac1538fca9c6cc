import assert from "node:assert/strict";
import { delay } from "#/lib/delay.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import type { ContainerTier } from "#/sandbox/tier_container.ts";
import { toRunner, WalledContainer } from "#/sandbox/tier_container_process.ts";
import type { WalledProcess } from "#/sandbox/tier.ts";
import { CONTRACT_LIMITS, openIn, runIn } from "../contract/tier_contract.ts";
import { TEST_IMAGE, whyNoEngine } from "../fixture/engine.ts";
import { type ContainerBed, withContainers } from "./container_kit.ts";

const ignore = whyNoEngine() !== undefined;
const signal = new AbortController().signal;

/** A shell that waits, and whose first word was read. */
async function openWaiting(bed: ContainerBed): Promise<WalledProcess> {
  const beat = "(while :; do echo >>/shared/beat; sleep 0.02; done) & until [ -s /shared/beat ]; do sleep 0.01; done; ";
  const walled = await openIn(bed, ["/bin/bash", "-c", `${beat} echo up; wait`]);
  const reader = walled.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return walled;
}

async function leave(walled: WalledProcess): Promise<void> {
  await Promise.all([
    walled.stdin.abort().catch(() => {}),
    walled.stdout.cancel().catch(() => {}),
    walled.stderr.cancel().catch(() => {}),
  ]);
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const late = AbortSignal.timeout(20_000);
  while (!await isTrue()) {
    assert.ok(!late.aborted, what);
    await delay(20, late);
  }
}

Deno.test({
  name: "ContainerTier ends what runs when its engine dies, hangs or is worked around, says so, and opens the next one",
  ignore,
  async fn(t) {
    await withContainers(async (bed) => {
      assert.equal((await bed.driver.probe()).available, true);
      const isStill = async () => {
        const size = () => Deno.statSync(`${bed.shared}/beat`).size;
        const before = size();
        await delay(200, signal);
        return size() === before;
      };
      await t.step("an engine that dies in the middle of a command", async () => {
        const walled = await openWaiting(bed);
        assert.ok(walled instanceof WalledContainer);
        Deno.kill(bed.test.pid, "SIGKILL");
        const end = await walled.exited;
        assert.deepEqual(end, { code: 137, reason: "The container engine was lost: what ran in it was ended" });
        assert.ok(await isStill());
        await leave(walled);
        await assert.rejects(openIn(bed, ["/bin/bash"]), /the container engine at .*s\.sock is (gone|not there)/);
        await bed.test.restart();
        assert.equal((await runIn(bed, "echo back")).stdout, "back\n");
        await until("the lost one is removed", async () => (await bed.held()).length === 0);
      });
      await t.step("an engine that hangs", async () => {
        const walled = await openWaiting(bed);
        Deno.kill(bed.test.pid, "SIGSTOP");
        await walled.kill();
        const end = await walled.exited;
        assert.deepEqual(end, { code: 137, reason: "The container engine hangs: what ran in it was ended" });
        assert.ok(await isStill());
        await leave(walled);
        Deno.kill(bed.test.pid, "SIGCONT");
        assert.equal((await runIn(bed, "echo back")).stdout, "back\n");
        await until("the lost one is removed", async () => (await bed.held()).length === 0);
      });
      await t.step("a container that somebody else kills and removes", async () => {
        const walled = await openWaiting(bed);
        const [id] = await bed.held();
        await bed.test.engine.remove(id!, signal);
        assert.notEqual((await walled.exited).code, 0);
        await leave(walled);
        assert.equal((await runIn(bed, "echo back")).stdout, "back\n");
      });
      await t.step("memory that is used up has its reason, and what happened is in the log", async () => {
        const hog = "exec perl -e '$x = q(a) x (600 * 1048576); sleep 3'";
        const ran = await runIn(bed, hog, { limits: { ...CONTRACT_LIMITS, memoryBytesMax: 2 ** 27 } });
        assert.equal(ran.reason, "It used more than 128 MiB of memory");
        await until("the end is logged", () => bed.log.some((line) => /ended with 137\. It used more/.test(line)));
        assert.match(bed.log[0]!, /^oxydra-alice-w1-trial-\w{8}: started from sha256:/);
      });
    });
  },
});

Deno.test({
  name: "ContainerTier sweeps what a runner that is dead left, and nothing else",
  ignore,
  async fn() {
    await withContainers(async (bed) => {
      const make = async (user: string, workspace: string, runner: string) => {
        const labels = {
          "oxydra.user": user,
          "oxydra.workspace": workspace,
          "oxydra.role": "shell",
          "oxydra.runner": runner,
        };
        return await bed.test.engine.create(`x-${crypto.randomUUID()}`, {
          ...{
            image: TEST_IMAGE,
            argv: ["/bin/bash"],
            env: {},
            user: "1:1",
            cwd: "/",
            hostname: "x",
            labels,
            mounts: [],
          },
          ...{ memoryBytesMax: 2 ** 27, processesMax: 9, ulimits: {}, init: false, network: "none" },
        }, signal);
      };
      const dead = [
        await make("alice", "w1", "4194305.1"),
        await make("alice", "w1", `${Deno.pid}.1`),
        await make("alice", "w1", ""),
      ];
      const kept = [
        await make("alice", "w1", toRunner()),
        await make("alice", "w1", toRunner(1)),
        await make("alice", "w2", "4194305.1"),
        await make("bob", "w1", "4194305.1"),
      ];
      await bed.test.engine.start(dead[0]!, signal);
      assert.equal(await bed.driver.sweep("alice"), 3);
      const left = await bed.test.engine.list({ "oxydra.role": "shell" }, signal);
      assert.deepEqual(left.map(({ id }) => id).toSorted(), kept.toSorted());
      const nowhere = bed.make({ place: { dockerHost: "unix:///nowhere/docker.sock", uid: 0 } });
      assert.equal(await nowhere.sweep("alice"), 0);
    });
  },
});

Deno.test({
  name: "ContainerTier says in one sentence why it cannot be used, and what to do",
  ignore,
  async fn() {
    await withContainers(async (bed) => {
      const tell = async (tier: ContainerTier) => {
        const { available, reason, install } = await tier.probe();
        return [available, reason, install];
      };
      assert.deepEqual(await tell(bed.make({ image: "mine:1" })), [
        ...[false, "the image mine:1 is missing, and none is pulled unasked", "docker pull mine:1"],
      ]);
      assert.deepEqual(await tell(bed.make({ image: "shell-vm:latest", isOwnImage: true })), [
        ...[false, "the image debian:12-slim is missing, and none is pulled unasked", "docker pull debian:12-slim"],
      ]);
      const { engine } = bed.test;
      const context = toTar({ Dockerfile: new TextEncoder().encode(`FROM ${TEST_IMAGE}\nENV A=b\n`) });
      await engine.build("debian:12-slim", context, { onLog: () => {} }, signal);
      const own = bed.make({ image: "shell-vm:latest", isOwnImage: true });
      assert.deepEqual((await tell(own)).slice(0, 2), [false, "the image shell-vm:latest is not made yet"]);
      await assert.rejects(openIn({ ...bed, driver: own }, ["/bin/bash"]), /is not made yet/);
      assert.ok(!bed.log.some((line) => line.startsWith("building")), "who only looks makes nothing");
      await assert.rejects(own.prepare(), /refused: The command .*apt-get update.* returned a non-zero code/);
      const bare = toTar({ Dockerfile: new TextEncoder().encode("FROM scratch\nCOPY x /x\n"), x: new Uint8Array(1) });
      await engine.build("bare:1", bare, { onLog: () => {} }, signal);
      assert.deepEqual(await tell(bed.make({ image: "bare:1" })), [
        ...[false, "the image bare:1 has no /bin/bash, which a shell needs", undefined],
      ]);
      assert.deepEqual(await tell(bed.make({ place: { dockerHost: "tcp://1.2.3.4:2375", uid: 0 } })), [
        false,
        "DOCKER_HOST must be unix:///… here: an engine on a TCP port is root for everyone who reaches the port",
        undefined,
      ]);
      assert.ok(bed.log.some((line) => line === "building shell-vm:latest from debian:12-slim"));
      await until("every trial is removed", async () => (await bed.held()).length === 0);
    });
  },
});
