import assert from "node:assert/strict";
import { join } from "node:path";
import { DAY_MS } from "#/core/cost.ts";
import type { NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { UsageMeter } from "#/gateway/usage_frame.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { openHouse } from "./house.ts";
import { echoSource } from "./scripted_source.ts";

const request: NewEvent = {
  type: "model_request",
  v: 1,
  payload: {
    step: 1,
    provider: "p",
    model: "m",
    parameters: {},
    window: { sha256: "0".repeat(64), fromSeq: 1, toSeq: 1, messages: 1, droppedMessages: 0 },
  },
};
const result = (cost: number | undefined, promptTokens = 10): NewEvent => ({
  type: "model_result",
  v: 1,
  payload: {
    step: 1,
    text: "",
    toolCalls: [],
    finishReason: "stop",
    usage: { promptTokens, completionTokens: 1 },
    ...(cost === undefined ? {} : { cost }),
  },
});

Deno.test("toFrame() sums a turn, its session and the day, from the log; a call without a price makes a sum unknown", async () => {
  const clock = { now: 100 * DAY_MS - 5 };
  const log = await openEventLog({ path: join(await Deno.makeTempDir(), "log.db"), now: () => clock.now });
  try {
    for (const id of ["a", "b"]) {
      await log.ensureSession({ id, user: "ann", agent: "default", channel: "tui", displayName: null, parent: null });
    }
    const meter = new UsageMeter({ log, now: () => clock.now });
    const call = (session: string, turn: string, cost?: number) =>
      log.append(session, turn, [request, result(cost)], { durability: "normal" });
    const said = async (session: string, turn: string) => {
      const ended = {
        request_id: "r",
        session: { user_id: "ann", session_id: session },
        turn: { turn_id: turn, state: "running" },
      } as const;
      const { payload } = await meter.toFrame(ended) as { payload: Record<string, unknown> };
      return [payload["used"], payload["in_session"], payload["today"]];
    };
    const sum = (calls: number, cost?: number) => ({ prompt_tokens: calls * 10, completion_tokens: calls, cost });
    await call("a", "t1", 1);
    await call("b", "x", 4);
    assert.deepEqual(await said("a", "t1"), [sum(1, 1), sum(1, 1), sum(2, 5)]);
    clock.now += DAY_MS;
    await call("a", "t2", 2);
    await call("a", "t2", 3);
    assert.deepEqual(
      await said("a", "t2"),
      [sum(2, 5), sum(3, 6), sum(2, 5)],
      "what was summed before is not read again",
    );
    await call("a", "t3");
    assert.deepEqual(await said("a", "t3"), [sum(1), sum(4), sum(3)]);
    for (let at = 0; at <= LIMITS.meteredSessionsMax; at++) {
      const id = `s${at}`;
      await log.ensureSession({ id, user: "ann", agent: "default", channel: "tui", displayName: null, parent: null });
      await said(id, "t");
    }
    assert.deepEqual((await said("a", "t1"))[1], sum(4), "forgotten, and summed anew");
  } finally {
    await log.close();
  }
});

Deno.test("a client that announced usage is told after each turn, and nobody else", async () => {
  await using house = await openHouse({}, () => Promise.resolve(echoSource()));
  await using asking = await house.client({ capabilities: ["usage"] });
  await using plain = await house.client({ capabilities: ["turn_events"] });
  await plain.next("gateway_info");
  await asking.next("hello_ack");
  asking.turn("t");
  const { payload } = await asking.next("usage");
  assert.deepEqual(payload.used, { prompt_tokens: 0, completion_tokens: 0, cost: 0 });
  assert.equal(payload.turn.turn_id, "t");
  assert.ok((await plain.drain()).every(({ type }) => type !== "usage"));
});
