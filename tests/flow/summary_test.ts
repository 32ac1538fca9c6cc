/** A conversation that outgrows its window, with a vendor on a real socket: runner, gateway and client are processes of their own. */
import assert from "node:assert/strict";
import type { StoredEvent } from "#/core/event.ts";
import { noAnswer, type Reply, reply, text, toolCall, usage } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { ChatBody, Script } from "../fake/openai_server.ts";
import { connectRaw, type LiveGateway, type RawClient, runOxydra, startGateway } from "../fixture/system.ts";
import { type VendorMachine, withVendorMachine } from "../fixture/vendor_machine.ts";

const FILLER = "and more was said about it in many words, as people do ".repeat(20);
const NOTES = "The person tells where things are.";
/** Turns of about 600 tokens fill this in ten or so. */
const WINDOW = {
  OXYDRA__RUNTIME__CONTEXT_BUDGET__FALLBACK_MAX_CONTEXT_TOKENS: "14000",
  OXYDRA__RUNTIME__SUMMARIZATION__MIN_TURNS: "4",
};
const TURNS_MAX = 40;

function isSummary(body: ChatBody): boolean {
  return String(body.messages[0]?.content).startsWith("You write the notes");
}

/** Answers for an answer with one tool call before it, and asks `summarise` for each summary. */
function toScript(summarise: (body: ChatBody, nth: number) => Reply): Script {
  let nth = 0;
  return (body) => {
    if (isSummary(body)) return summarise(body, nth++);
    if (toolResults(body).length === 0) {
      return reply([toolCall("file_list", { path: "/shared" })], { usage: usage(10, 5) });
    }
    return reply([text(`Noted. ${FILLER.slice(0, 200)}`)], { usage: usage(10, 5) });
  };
}

interface Talk {
  readonly client: RawClient;
  readonly session: string;
  /** Durable events so far. */
  readonly events: StoredEvent[];
  /** Sends one message; resolves with the type of the frame that ended its turn. */
  say(text: string, onEvent?: (event: StoredEvent) => void): Promise<string>;
}

async function openTalk(gateway: LiveGateway): Promise<Talk> {
  const client = await connectRaw(gateway, { create_new_session: true, capabilities: ["turn_events"] });
  const { payload } = await client.next((frame) => frame.type === "hello_ack");
  const session: string = payload.session.session_id;
  const events: StoredEvent[] = [];
  return {
    client,
    session,
    events,
    async say(prompt, onEvent = () => {}) {
      client.send("send_turn", { request_id: "r", session_id: session, turn_id: crypto.randomUUID(), prompt });
      for (;;) {
        const { type, payload } = await client.next();
        if (type === "turn_completed" || type === "turn_cancelled" || type === "error") return type;
        if (type !== "turn_event") continue;
        if (payload.event.seq === undefined) continue;
        events.push(payload.event);
        onEvent(payload.event);
      }
    },
  };
}

function summariesOf({ events }: Talk) {
  return events.filter((event) => event.type === "summary").map(({ payload }) => payload);
}

/** Says facts until there are so many summaries; returns how many facts. */
async function fill(talk: Talk, summaries: number, name: string): Promise<number> {
  for (let n = 0; n < TURNS_MAX; n++) {
    assert.equal(await talk.say(`Key ${name}-${n} is in /shared/${name}/${n}.txt. ${FILLER}`), "turn_completed");
    if (summariesOf(talk).length >= summaries) return n + 1;
  }
  throw new Error(`no ${summaries} summaries in ${TURNS_MAX} turns`);
}

async function withGateway(script: Script, body: (gateway: LiveGateway, machine: VendorMachine) => Promise<void>) {
  await withVendorMachine(script, async (machine) => {
    const setting = { ...machine, env: { ...machine.env, ...WINDOW } };
    const gateway = await startGateway(setting);
    try {
      await body(gateway, setting);
    } finally {
      await gateway.stop();
    }
  });
}

Deno.test("a long conversation is summarised: the event is seen, the next request holds it, no fact is lost, and it is paid", async () => {
  const script = toScript(() => reply([text(NOTES)], { usage: usage(1_000, 50) }));
  await withGateway(script, async (gateway, machine) => {
    const talk = await openTalk(gateway);
    const facts = await fill(talk, 2, "a");
    const [first, second] = summariesOf(talk);
    assert.deepEqual([first!.epoch, second!.epoch, first!.fromSeq, second!.fromSeq], [1, 2, 1, 1]);
    assert.ok(second!.toSeq > first!.toSeq);
    const bodies = machine.vendor.requests.map(({ body }) => body);
    const at = bodies.findLastIndex(isSummary);
    assert.ok(!bodies[at]!.tools, "no tools for a summary");
    const next = bodies[at + 1]!.messages.map(({ role, content }) => `${role}: ${content}`);
    assert.match(next[1]!, /^user: \[notes on earlier parts of this conversation\]/);
    assert.ok(next[1]!.includes(NOTES));
    const shown = next.join("\n");
    for (let n = 0; n < facts; n++) {
      assert.ok(shown.includes(`a-${n} `) && shown.includes(`/shared/a/${n}.txt`), `fact ${n} of ${facts}`);
    }
    assert.equal(next.filter((line) => line.startsWith("user: [notes")).length, 1);
    const { out } = await runOxydra(["usage", "--json", "--session", talk.session], machine);
    const { total } = JSON.parse(out);
    assert.deepEqual([total.calls, total.openCalls], [2 * facts + 2, 0]);
    assert.equal(total.inputTokens, 10 * 2 * facts + 2 * 1_000);
    const done = talk.events.findLast((event) => event.type === "turn_done");
    assert.equal(done?.payload.usage.promptTokens, 1_020, "the turn says what its summary used");
    talk.client.close();
  });
});

Deno.test("a turn cancelled while its summary is written ends cancelled; the next one writes it, and a failing vendor fails no turn", async () => {
  const script = toScript((_body, nth) => {
    if (nth === 0) return noAnswer("hang");
    if (nth === 1) return reply([text("The per")], { finish: null, done: false, ending: "cut" });
    return reply([text(NOTES)]);
  });
  await withGateway(script, async (gateway) => {
    const talk = await openTalk(gateway);
    let ended = "turn_completed";
    const ends: string[] = [];
    for (let n = 0; n < TURNS_MAX && summariesOf(talk).length === 0; n++) {
      ended = await talk.say(`Key b-${n} is in /shared/b/${n}.txt. ${FILLER}`, (event) => {
        if (ends.includes("turn_cancelled") || event.type !== "model_request" || event.payload.purpose === undefined) {
          return;
        }
        talk.client.send("cancel_active_turn", { request_id: "c", session_id: talk.session, turn_id: "" });
      });
      ends.push(ended);
    }
    assert.deepEqual(ends.filter((end) => end !== "turn_completed"), ["turn_cancelled"]);
    const at = ends.indexOf("turn_cancelled");
    assert.deepEqual(ends.slice(at + 1), ["turn_completed", "turn_completed"], "one without a summary, one with");
    const asked = talk.events.filter((event) => event.type === "model_result" && event.payload.purpose === "summary");
    assert.deepEqual(asked.map(({ payload }) => (payload as { finishReason: string }).finishReason), [
      "cancelled",
      "failed",
      "stop",
    ]);
    const [summary] = summariesOf(talk);
    assert.equal(summary!.epoch, 1);
    assert.ok(summary!.text.includes("/shared/b/0.txt"));
    talk.client.close();
  });
});

Deno.test("two conversations at once have each its own summary", async () => {
  await withGateway(toScript(() => reply([text(NOTES)])), async (gateway) => {
    const talks = await Promise.all([openTalk(gateway), openTalk(gateway)]);
    await Promise.all(talks.map((talk, n) => fill(talk, 1, `talk${n}`)));
    for (const [n, talk] of talks.entries()) {
      const [summary] = summariesOf(talk);
      assert.ok(summary!.epoch === 1 && summary!.text.includes(`/shared/talk${n}/0.txt`));
      assert.ok(!summary!.text.includes(`talk${1 - n}`));
      talk.client.close();
    }
  });
});
