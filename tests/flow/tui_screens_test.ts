/** What the terminal client shows, as text captures at 60 and 100 columns, with colours and without: tests/flow/snapshots. */
import assert from "node:assert/strict";
import type { EventPayloads, EventType, LiveEvent } from "#/core/event.ts";
import { openHouse } from "../gateway/house.ts";
import { delta, type ScriptedTurn, stored } from "../gateway/scripted_source.ts";
import { assertScreen, isColoured, openTui, type Tui } from "./tui_kit.ts";

const REPLY = `## Rivers of the north

The **three longest** are, in *this* order:

| river | length | ends in |
|-------|-------:|---------|
| Daugava | 1,020 km | Gulf of Riga |
| Neman | 937 km | Curonian Lagoon |
| Göta älv | 93 km | 海 (the sea) |

1. \`curl\` the list,
2. sort it, see [the notes](https://example.org/notes).

> Water finds its own level.

\`\`\`ts
const rivers = await load("/shared/rivers.json");
console.log(rivers.toSorted((a, b) => b.km - a.km));
\`\`\`

- [x] done 👋
`;

const usage = { promptTokens: 900, completionTokens: 334, totalTokens: 1_234 };

/** A turn whose events have their positions. */
class Told {
  #seq = 0;
  constructor(readonly turn: ScriptedTurn) {}

  emit<T extends EventType>(type: T, payload: Partial<EventPayloads[T]>): Promise<void> {
    return this.turn.emit(stored(type, payload as EventPayloads[T], ++this.#seq));
  }

  live(event: LiveEvent): Promise<void> {
    return this.turn.emit(event);
  }

  async finish(): Promise<void> {
    await this.turn.finish(
      stored(
        "turn_done",
        { text: "", finishReason: "stop", steps: 2, denied: 0, usage } as unknown as EventPayloads["turn_done"],
        ++this.#seq,
      ),
    );
  }
}

async function play(
  columns: number,
  env: Record<string, string>,
  check: (tui: Tui, name: string) => Promise<void>,
): Promise<void> {
  await using house = await openHouse();
  const tui = await openTui({ ...house, columns, rows: 30, env });
  try {
    await tui.shows("Type a message");
    await check(tui, "welcome");
    await tui.type("Which rivers are long?\x1b\rAnd where do they end?\r");
    const told = new Told(await house.source.next());
    await told.emit("user_message", { text: told.turn.message.text, channel: "tui" });
    await told.emit("model_request", { step: 1 });
    await told.live({
      type: "progress",
      payload: {
        progress: { kind: "provider_retry", attempt: 1, waitMs: 500, code: "provider_rejected" },
        message: "[1/8] the provider is busy; trying again in 1 s",
        step: 1,
        stepsMax: 8,
      },
    });
    await told.live(delta("I look into two files first."));
    await told.emit("model_result", {
      step: 1,
      text: "I look into two files first.",
      toolCalls: [],
      usage,
      cost: 0.002,
    });
    await told.emit("tool_intent", { callId: "1", tool: "file_read", args: { path: "/shared/rivers.json" } });
    await told.emit("tool_intent", {
      callId: "2",
      tool: "web_fetch",
      args: { url: "https://example.org/notes/of/rivers/that/have/a/long/name" },
    });
    await tui.shows("/shared/rivers.json");
    await tui.type("and the shortest?");
    await tui.shows("and the shortest?");
    await check(tui, "tools");
    await told.emit("tool_result", {
      callId: "1",
      tool: "file_read",
      ok: true,
      code: "ok",
      text: '[{"name":"Daugava","km":1020},',
      elapsedMs: 12,
    });
    await told.emit("tool_result", {
      callId: "2",
      tool: "web_fetch",
      ok: false,
      code: "tool_failed",
      text: "no such host",
      elapsedMs: 200,
    });
    await told.emit("model_request", { step: 2 });
    const half = REPLY.indexOf("console") + 12;
    for (let at = 0; at < half; at += 9) await told.live(delta(REPLY.slice(at, Math.min(half, at + 9))));
    await tui.shows("console.log(");
    await check(tui, "streaming");
    await told.emit("model_result", { step: 2, text: REPLY, toolCalls: [], usage, cost: 0.0042 });
    await told.finish();
    await tui.shows("$0.0062");
    await check(tui, "reply");
    await tui.type("\r");
    const second = await house.source.next();
    await second.fail(new Error("secret of the inside"));
    await tui.shows("internal error");
    // What was refused is where it was typed.
    await tui.shows("› and the shortest?");
    await tui.type("\x1b");
    await tui.shows(/^› ?$/m);
    await tui.type("/help");
    await tui.shows("show this");
    await check(tui, "completion");
    await tui.type("\r");
    await tui.shows("Ctrl-L");
    await tui.type("/nonsense\r");
    await tui.shows("no such command");
    await check(tui, "error");
    await tui.type("\x1b");
    await tui.shows(/^› ?$/m);
    await house.listener.close();
    await tui.shows("no gateway");
    await tui.type("this stays");
    await tui.shows("this stays");
    await tui.type("\r");
    await tui.shows("the message stays here");
    await check(tui, "disconnected");
    await tui.type("\x03\x03");
    assert.equal(await tui.end(), 130);
  } finally {
    if ((await Promise.race([tui.process.status, Promise.resolve(null)])) === null) tui.process.kill("SIGKILL");
  }
}

for (const columns of [60, 100]) {
  Deno.test(`the terminal client's screens at ${columns} columns are as captured, and read the same without colour`, async () => {
    await play(columns, {}, async (tui, name) => {
      await assertScreen(tui, name, columns);
      if (name === "reply") assert.ok(isColoured(tui.bytes()), "painted");
    });
    await play(columns, { NO_COLOR: "1" }, async (tui, name) => {
      await assertScreen(tui, name, columns);
      assert.ok(!isColoured(tui.bytes()), `${name}: not painted`);
    });
  });
}
