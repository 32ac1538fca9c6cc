/** Summaries in a log that others write as well, and that is cut off. */
import assert from "node:assert/strict";
import type { EventLog } from "#/core/store.ts";
import { calls, says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { isTurnEnd, type StoredEvent } from "#/core/event.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps, types } from "./session_kit.ts";

const WINDOW = {
  limitTokens: 4_000,
  safetyTokens: 0,
  summary: { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 },
};
const FILLER = "word ".repeat(150);
const [, useSqlite] = LOGS[1]!;

function withSummary(summary: ScriptedCall) {
  const provider = scriptedProvider((request, n) => {
    if (!request.messages[0]!.content.startsWith("You write the notes")) return says(`Good. ${FILLER}`);
    return typeof summary === "function" ? summary(request, n) : summary;
  });
  return { provider, deps: toSendDeps(provider, undefined, { window: WINDOW, tools: [] }) };
}

/** Sends turns until a model was asked for a summary; returns the last turn's events. */
async function fill(log: EventLog, summary: ScriptedCall) {
  const { sessions } = await open(log);
  const { deps } = withSummary(summary);
  for (let n = 0; n < 40; n++) {
    const events = await collect(sessions.send(toMessage(`t${n}`, `Fact ${n}. ${FILLER}`), deps, never));
    if (events.some((event) => event.type === "model_request" && event.payload.purpose !== undefined)) {
      return { events, sessions };
    }
  }
  throw new Error("no summary in 40 turns");
}

Deno.test("Sessions.send() ends a turn whose summary someone else has written meanwhile, and the next one goes on from that", () =>
  useSqlite(async (log) => {
    let elsewhere: Promise<unknown> | undefined;
    const { events, sessions } = await fill(log, () => {
      const payload = { fromSeq: 1, toSeq: 30, text: "from elsewhere", epoch: 1 };
      elsewhere ??= log.append("s", "other", [{ type: "summary", v: 1, payload }], { durability: "normal" });
      return says("Notes.");
    });
    await elsewhere;
    const end = events.at(-1)!;
    assert.ok(end.type === "turn_failed" && end.payload.code === "store_failed", end.type);
    assert.equal((await readAll(log)).filter(({ type }) => type === "summary").length, 1);
    const { provider, deps } = withSummary(says("Notes."));
    const after = await collect(sessions.send(toMessage("after"), deps, never));
    assert.equal(after.at(-1)!.type, "turn_done");
    assert.ok(provider.requests.at(-1)!.messages[1]!.content.includes("from elsewhere"));
  }));

Deno.test("Sessions.send() writes the summary again that a reader, or a crash, cut off behind its call", () =>
  useSqlite(async (log) => {
    const { sessions } = await open(log);
    const { provider, deps } = withSummary(says("Notes."));
    let cut = false;
    for (let n = 0; n < 40 && !cut; n++) {
      for await (const event of sessions.send(toMessage(`t${n}`, `Fact ${n}. ${FILLER}`), deps, never)) {
        cut = event.type === "model_result" && event.payload.purpose === "summary";
        if (cut) break;
      }
    }
    assert.ok(cut && await log.lastSummary("s") === undefined);
    const asked = provider.requests.length;
    const events = await collect(sessions.send(toMessage("after"), deps, never));
    assert.deepEqual(events.map(({ type }) => type).filter((type) => type === "summary" || type === "turn_done"), [
      "summary",
      "turn_done",
    ]);
    assert.equal(provider.requests.length, asked + 2);
    assert.equal((await log.lastSummary("s"))!.payload.epoch, 1);
  }));

/** A model that writes a summary when asked, one file for "Go", and is steered once that file is written. */
function steered(known: readonly StoredEvent[]) {
  const has = (type: string) => known.some((event) => event.type === type);
  const sandbox = new RecordingSandbox({ file_write: () => "written" });
  const provider = scriptedProvider(({ messages }) => {
    if (messages[0]!.content.startsWith("You write the notes")) return says("Notes.");
    const last = messages.findLast(({ role }) => role !== "tool")!;
    if (last.role !== "user") return says("Done");
    if (last.content.includes("Also this")) return says("Done");
    return last.content.startsWith("Go") ? calls(["file_write", { n: 1 }, "w"]) : says(`Good. ${FILLER}`);
  });
  let isSaid = has("steering");
  const steering = {
    take() {
      if (isSaid || !has("tool_result") && sandbox.requests.length === 0) return [];
      isSaid = true;
      return [{ id: "x", text: "Also this" }];
    },
  };
  return { provider, sandbox, deps: { ...toSendDeps(provider, sandbox, { window: WINDOW }), steering } };
}

async function replay(recorded: readonly StoredEvent[]): Promise<EventLog> {
  const log = new MemoryLog();
  await log.ensureSession({ id: "s", user: "default", agent: "a", channel: "x", displayName: null, parent: null });
  for (const { turn, type, v, payload } of recorded) {
    await log.append("s", turn, [{ type, v, payload } as never], { durability: "normal" });
  }
  return log;
}

Deno.test("Sessions.resume() behind every event of a turn with a summary, a call and steering shows the model the same, once", async () => {
  let [before, whole]: (readonly StoredEvent[])[] = [[], []];
  let shown: unknown;
  for (let n = 1; n < 40; n++) {
    const log = await replay(before!);
    const go = steered([]);
    const { sessions } = await open(log);
    await collect(sessions.send(toMessage("go", `Go ${FILLER}`), go.deps, never));
    whole = await readAll(log);
    shown = go.provider.requests.at(-1)!.messages;
    if (whole.some(({ type }) => type === "summary")) break;
    const fact = await replay(before!);
    const more = await open(fact);
    await collect(more.sessions.send(toMessage(`t${n}`, `Fact ${n}. ${FILLER}`), steered([]).deps, never));
    before = await readAll(fact);
  }
  const own = whole!.filter(({ turn }) => turn === "go");
  assert.ok(types(own).includes("summary") && types(own).includes("steering") && types(own).includes("tool_result"));
  for (let length = before!.length + 1; length < whole!.length; length++) {
    const known = whole!.slice(0, length);
    const where = `behind ${known.at(-1)!.type}`;
    const log = await replay(known);
    const go = steered(known);
    const { sessions } = await open(log);
    await collect(sessions.resume({ session: "s", turn: "go" }, undefined, go.deps, never));
    const all = (await readAll(log)).filter(({ turn }) => turn === "go");
    assert.ok(isTurnEnd(all.at(-1)!) && all.at(-1)!.type === "turn_done", where);
    for (const type of ["summary", "steering", "tool_intent", "tool_result"]) {
      assert.equal(all.filter((event) => event.type === type).length, 1, `${type} ${where}`);
    }
    if (go.provider.requests.length > 0) assert.deepEqual(go.provider.requests.at(-1)!.messages, shown, where);
  }
});
