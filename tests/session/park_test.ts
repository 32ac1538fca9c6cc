import assert from "node:assert/strict";
import type { ApprovalResolution } from "#/core/capability.ts";
import { toHistory } from "#/turn/history.ts";
import { asks, denied, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertValidHistory } from "../turn/turn_kit.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps, types } from "./session_kit.ts";

const place = { session: "s", turn: "t1" };
const resolution = (
  answer: ApprovalResolution["answer"],
  by: ApprovalResolution["by"] = "owner",
): ApprovalResolution => ({
  id: "card-b",
  ...place,
  callId: "b",
  answer,
  by,
});

/** A vendor and a runner of one file that asks until somebody answered. */
function makeWorld() {
  const world = { answer: "ask" as "ask" | "ok" | "denied" };
  const sandbox = new RecordingSandbox({
    file_read: (request) =>
      world.answer === "ask" ? asks(request) : world.answer === "ok" ? "secret" : denied("file_read", "no"),
  });
  const provider = scriptedProvider(calls(["file_read", { path: "/vault/b" }, "b"]), says("done"), says("another"));
  return { world, deps: toSendDeps(provider, sandbox), provider, sandbox };
}

for (const [name, use] of LOGS) {
  Deno.test(`Sessions (${name}): a parked turn goes on after its answer, recorded first, in its lane`, async () => {
    await use(async (log) => {
      const { world, deps } = makeWorld();
      const { sessions } = await open(log);
      const first = await collect(sessions.send(toMessage("t1"), deps, never));
      assert.deepEqual(types(first).slice(-3), ["tool_decision", "approval_asked", "parked"]);
      assert.deepEqual([...sessions.parked], [["s", "t1"]]);
      world.answer = "ok";
      const rest = await collect(sessions.resume(place, resolution("once"), deps, never));
      assert.deepEqual(types(rest).filter((type) => !/progress|delta/.test(type)), [
        "approval_answered",
        "tool_decision",
        "tool_result",
        "model_request",
        "model_result",
        "turn_done",
      ]);
      assert.equal(sessions.parked.size, 0);
      assert.deepEqual(await collect(sessions.resume(place, resolution("once"), deps, never)), [], "only once");
      const all = await readAll(log);
      assert.deepEqual(all.map((event) => event.seq), all.map((_, index) => index + 1));
      assertValidHistory(toHistory(all).map((entry) => entry.message));
    });
  });

  Deno.test(`Sessions (${name}): a parked turn survives a restart, waits on, and goes on`, async () => {
    await use(async (log) => {
      const { world, deps, sandbox } = makeWorld();
      await collect((await open(log)).sessions.send(toMessage("t1"), deps, never));
      const { sessions } = await open(log);
      assert.deepEqual([...sessions.parked], [["s", "t1"]]);
      const before = await readAll(log);
      assert.deepEqual(
        types(await collect(sessions.resume(place, undefined, deps, never))),
        ["progress", "parked"],
        "still open",
      );
      assert.deepEqual(await readAll(log), before, "asking again leaves no trace");
      const { sessions: third } = await open(log);
      world.answer = "denied";
      const rest = await collect(third.resume(place, resolution("no", "silence"), deps, never));
      assert.deepEqual(types(rest).slice(-1), ["turn_done"]);
      assert.deepEqual(sandbox.requests.map((request) => request.callId), ["b", "b", "b"]);
      assert.equal((await open(log)).sessions.parked.size, 0);
    });
  });

  Deno.test(`Sessions (${name}): a new message ends the parked turn, and its call is told as not run`, async () => {
    await use(async (log) => {
      const { deps } = makeWorld();
      const { sessions } = await open(log);
      await collect(sessions.send(toMessage("t1"), deps, never));
      const second = await collect(sessions.send(toMessage("t2"), deps, never));
      assert.deepEqual(types(second).slice(-1), ["turn_done"]);
      const all = await readAll(log);
      const t1 = all.filter((event) => event.turn === "t1");
      const [result, end] = t1.slice(-2);
      assert.match(result?.type === "tool_result" ? result.payload.text : "", /Not run: .*a new message came/);
      assert.equal(end?.type, "turn_cancelled");
      assertValidHistory(toHistory(all).map((entry) => entry.message));
      assert.deepEqual(await sessions.endParked("s", "t1", "again"), []);
    });
  });
}

Deno.test("Sessions: the same message again while its turn waits is told what was recorded, and closes nothing", async () => {
  await LOGS[0]![1](async (log) => {
    const { deps } = makeWorld();
    const { sessions } = await open(log);
    const first = await collect(sessions.send(toMessage("t1"), deps, never));
    const again = await collect(sessions.send(toMessage("t1"), deps, never));
    assert.deepEqual(types(again), types(first).filter((type) => !/progress|delta/.test(type)));
    assert.deepEqual([...sessions.parked], [["s", "t1"]]);
  });
});

Deno.test("Sessions: a cancel while a parked turn goes on ends it cancelled; endParked() ends it while it waits", async () => {
  await LOGS[0]![1](async (log) => {
    const { deps } = makeWorld();
    const { sessions } = await open(log);
    await collect(sessions.send(toMessage("t1"), deps, never));
    assert.deepEqual(await collect(sessions.resume(place, undefined, deps, AbortSignal.abort("no"))).then(types), [
      "turn_cancelled",
    ]);
    assert.deepEqual([...sessions.parked], [["s", "t1"]], "a cancel in the queue leaves it waiting");
    assert.deepEqual(types(await sessions.endParked("s", "t1", "cancelled by a client")), [
      "tool_result",
      "turn_cancelled",
    ]);
    assert.equal(sessions.parked.size, 0);
  });
});
