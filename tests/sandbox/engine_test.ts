import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { type Engine, isRefused } from "#/sandbox/engine.ts";
import type { ContainerPlan } from "#/sandbox/engine_body.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import { startEngine, TEST_IMAGE, whyNoEngine } from "../fixture/engine.ts";

const ignore = whyNoEngine() !== undefined;
const signal = new AbortController().signal;

function toPlan(script: string, more: Partial<ContainerPlan> = {}): ContainerPlan {
  return {
    image: TEST_IMAGE,
    argv: ["bash", "-c", script],
    env: {},
    user: "1001:1001",
    cwd: "/",
    hostname: "box",
    labels: { "oxydra.test": "1" },
    mounts: [],
    memoryBytesMax: 134_217_728,
    processesMax: 64,
    ulimits: {},
    init: false,
    network: "none",
    ...more,
  };
}

async function runIn(engine: Engine, name: string, plan: ContainerPlan, input = ""): Promise<string[]> {
  const id = await engine.create(name, plan, signal);
  try {
    const stdio = await engine.attach(id, signal);
    await engine.start(id, signal);
    const writer = stdio.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const said = await Promise.all([new Response(stdio.stdout).text(), new Response(stdio.stderr).text()]);
    return [...said, `${await engine.wait(id, signal)}`];
  } finally {
    await engine.remove(id, signal);
  }
}

Deno.test({
  name: "Engine runs a container from its image to its end, builds and imports images, and finds its own by label",
  ignore,
  async fn() {
    const test = await startEngine();
    const { engine } = test;
    try {
      const info = await engine.info(signal);
      assert.match(info.about, /^Docker \d/);
      assert.equal(engine.socketPath, test.socketPath);
      assert.ok(info.runtimes.includes("runc") && info.hasSeccomp && !info.rootless && !info.remapsUsers);
      assert.equal(info.kernel, Deno.osRelease());

      const said = await runIn(engine, "one", toPlan("read x; echo got $x; echo bad >&2; exit 7"), "hello\n");
      assert.deepEqual(said, ["got hello\n", "bad\n", "7"]);

      const dockerfile = `FROM ${TEST_IMAGE}\nENV MADE=yes\nCOPY a.sh /a.sh\n`;
      const context = toTar({ "Dockerfile": bytes(dockerfile), "a.sh": bytes("#!/bin/bash\necho $MADE\n") });
      let log = "";
      await engine.build("made:1", context, { onLog: (text) => log += text }, signal);
      assert.match(log, /Successfully built/);
      assert.deepEqual((await engine.image("made:1", signal))!.envNames.toSorted(), ["MADE", "PATH"]);
      assert.equal(await engine.image("nothing-like-it:1", signal), undefined);
      assert.deepEqual(await runIn(engine, "two", toPlan("/a.sh", { image: "made:1" })), ["yes\n", "", "0"]);
      const broken = toTar({ "Dockerfile": bytes("FROM scratch\nRUN nothing\n") });
      await assert.rejects(
        engine.build("made:2", broken, { onLog: () => {} }, signal),
        /refused: .*runc create failed/s,
      );

      const id = await engine.create("three", toPlan("exec sleep 1000", { labels: { "oxydra.a": "b" } }), signal);
      assert.deepEqual((await engine.list({ "oxydra.a": "b" }, signal)).map((one) => one.id), [id]);
      assert.deepEqual(await engine.list({ "oxydra.a": "c" }, signal), []);
      await assert.rejects(engine.create("three", toPlan("true"), signal), (error) => isRefused(error, 409));
      await engine.start(id, signal);
      assert.ok((await engine.inspect(id, signal))!.pid > 1);
      await engine.kill(id, "SIGKILL", signal);
      assert.equal(await engine.wait(id, signal), 137);
      assert.equal((await engine.inspect(id, signal))!.exitCode, 137);
      await engine.remove(id, signal);
      await engine.remove(id, signal);
      assert.equal(await engine.inspect(id, signal), undefined);
    } finally {
      await test.close();
    }
  },
});

Deno.test("isRefused() knows a refusal by its status", () => {
  const refused = new AppError("tier_unavailable", "no", { params: { status: 404 } });
  assert.deepEqual([isRefused(refused, 404), isRefused(refused, 409), isRefused(new Error("no"), 404)], [
    true,
    false,
    false,
  ]);
});

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
