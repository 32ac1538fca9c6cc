import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { BoxedBody } from "#/runner/boxed_body.ts";
import { startEngine, TEST_IMAGE, whyNoEngine } from "../fixture/engine.ts";

const signal = new AbortController().signal;

Deno.test({
  name:
    "BoxedBody is there before its container: what keeps that from running is the reason of its end, and its streams end",
  ignore: whyNoEngine() !== undefined,
  async fn() {
    const test = await startEngine();
    try {
      const cases = [
        [() => Promise.reject(new AppError("config_invalid", "no relay")), /^no relay$/],
        [() => Promise.reject(new Error("at /secret/path")), /^internal error/],
        [() => Promise.resolve(toPlan({ image: "none:1" })), /none:1/],
        [() => Promise.resolve(toPlan({ network: "none-such" })), /none-such/],
      ] as const;
      for (const [plan, reason] of cases) {
        const body = new BoxedBody(test.engine, "box", plan());
        const written = body.stdin.getWriter().write(new Uint8Array([1]));
        const said = await Promise.all([new Response(body.stdout).text(), new Response(body.stderr).text()]);
        const end = await body.status;
        await written;
        assert.deepEqual(said, ["", ""]);
        assert.equal(end.code, 125);
        assert.match(end.reason!, reason);
        assert.deepEqual([body.pid, await body.owns(1)], [0, false]);
      }
    } finally {
      await test.close();
    }
  },
});

Deno.test({
  name: "BoxedBody carries what it is told and what it says, binary and in order, and 20 MB that nobody reads at once",
  ignore: whyNoEngine() !== undefined,
  async fn() {
    const test = await startEngine();
    try {
      const script = "echo ready >&2; exec cat";
      const body = new BoxedBody(test.engine, "box", Promise.resolve(toPlan({ argv: ["bash", "-c", script] })));
      const bytes = crypto.getRandomValues(new Uint8Array(65_536));
      const writer = body.stdin.getWriter();
      const written = (async () => {
        for (let i = 0; i < 320; i++) await writer.write(bytes.slice());
        await writer.close();
      })();
      const got = new Uint8Array(await new Response(body.stdout).arrayBuffer());
      await written;
      assert.equal(got.length, 320 * 65_536);
      for (const at of [0, 100, 319]) assert.deepEqual(got.subarray(at * 65_536, (at + 1) * 65_536), bytes);
      assert.equal(await new Response(body.stderr).text(), "ready\n");
      assert.deepEqual(await body.status, { code: 0 });
      assert.deepEqual(await test.engine.list({ "oxydra.test": "1" }, signal), []);
    } finally {
      await test.close();
    }
  },
});

function toPlan(more: { image?: string; network?: string; argv?: string[] }) {
  return {
    image: TEST_IMAGE,
    argv: ["true"],
    env: {},
    user: "0:0",
    cwd: "/",
    hostname: "box",
    labels: { "oxydra.test": "1" },
    mounts: [],
    memoryBytesMax: 0,
    processesMax: 64,
    ulimits: {},
    init: false,
    network: "none",
    ...more,
  };
}
