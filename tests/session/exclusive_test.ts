/** src/session/session.ts: what keeps turns away, who goes first, and what a message does to the archive. */
import assert from "node:assert/strict";
import type { ModelEvent } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { waitUntil } from "../fixture/system.ts";
import { SAMPLES } from "../contract/event_samples.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps, types } from "./session_kit.ts";

const withLog = (check: (log: EventLog) => Promise<void>) => () => LOGS[1]![1](check);

/** A model that answers when it is let. */
function gated() {
  const gate = Promise.withResolvers<ModelEvent>();
  return {
    provider: scriptedProvider([gate.promise], says("next")),
    open: () => gate.resolve({ type: "text", text: "one" }),
  };
}

Deno.test(
  "Sessions.exclusive() waits for the turn that runs, and holds up those that come",
  withLog(async (log) => {
    const { sessions } = await open(log);
    const { provider, open: letOn } = gated();
    const order: string[] = [];
    const first = collect(sessions.send(toMessage("t1"), toSendDeps(provider), never)).then(() => order.push("t1"));
    await waitUntil(() => provider.requests.length === 1, "the model is asked");
    const gate = Promise.withResolvers<void>();
    const work = sessions.exclusive("default", "s", "deleted", async () => {
      order.push("work");
      await gate.promise;
      return "worked";
    });
    const second = collect(sessions.send(toMessage("t2"), toSendDeps(provider), never)).then(() => order.push("t2"));
    letOn();
    await first;
    gate.resolve();
    assert.equal(await work, "worked");
    await second;
    assert.deepEqual(order.toSorted(), ["t1", "t2", "work"]);
    assert.ok(order.indexOf("work") < order.indexOf("t2"));
    await assert.rejects(sessions.exclusive("default", "s", "x", () => Promise.reject(new Error("no"))), /no/);
    await sessions.exclusive("default", "s", "x", () => Promise.resolve());
  }),
);

Deno.test(
  "Sessions.exclusive() ends a turn that waits for a person",
  withLog(async (log) => {
    await log.ensureSession({
      id: "s",
      user: "default",
      agent: "default",
      channel: "x",
      displayName: null,
      parent: null,
    });
    const asked = { type: "user_message", v: 1, payload: { text: "hi", channel: "x" } } as const;
    const call = { id: "c1", name: "file_write", arguments: "{}" };
    const reply = {
      ...SAMPLES.model_result,
      payload: { ...SAMPLES.model_result.payload, toolCalls: [call] },
    } as typeof SAMPLES.model_result;
    await log.append("s", "t", [asked, SAMPLES.model_request, reply, SAMPLES.tool_intent, SAMPLES.parked], {
      durability: "normal",
    });
    const { sessions } = await open(log);
    assert.deepEqual([...sessions.parked], [["s", "t"]]);
    const seen = await sessions.exclusive(
      "default",
      "s",
      "its session is deleted",
      async () => types(await readAll(log)),
    );
    assert.equal(seen.at(-1), "turn_cancelled");
    assert.equal(sessions.parked.size, 0);
  }),
);

Deno.test(
  "a message takes its session out of the archive, and a turn that goes on does not",
  withLog(async (log) => {
    const { sessions } = await open(log);
    const { provider, open: letOn } = gated();
    const turn = collect(sessions.send(toMessage("t1"), toSendDeps(provider), never));
    await waitUntil(() => provider.requests.length === 1, "the model is asked");
    await (await log.sessions()).update("s", { archived: true });
    letOn();
    await turn;
    assert.equal((await log.session("s"))!.archived, true);
    await collect(sessions.send(toMessage("t2"), toSendDeps(provider), never));
    assert.equal((await log.session("s"))!.archived, false);
  }),
);

Deno.test(
  "Sessions.send() in the background waits for the last free place of a user, and chat has it",
  withLog(async (log) => {
    const { sessions } = await open(log, { runningMax: 2, queuedMax: 9 });
    const { provider, open: letOn } = gated();
    const deps = () => ({ ...toSendDeps(provider), priority: "background" as const });
    const done: string[] = [];
    const send = (session: string, priority?: "background") =>
      collect(sessions.send(toMessage("t", "hi", session), priority ? deps() : toSendDeps(provider), never))
        .then(() => done.push(session));
    const first = send("b1", "background");
    await waitUntil(() => provider.requests.length === 1, "the model is asked");
    const second = send("b2", "background");
    await send("chat");
    assert.deepEqual([done, await readAll(log, "b2")], [["chat"], []]);
    letOn();
    await Promise.all([first, second]);
    assert.equal(done.length, 3);
  }),
);
