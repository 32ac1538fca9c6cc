/** Summaries in a log that others write as well, and that is cut off. */
import assert from "node:assert/strict";
import type { EventLog } from "#/core/store.ts";
import { says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { collect, LOGS, never, open, readAll, toMessage, toSendDeps } from "./session_kit.ts";

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
