/** The terminal client when the gateway goes and comes back, and when the terminal changes its size. */
import assert from "node:assert/strict";
import type { SessionEvent } from "#/core/event.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import { toEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { type House, openHouse } from "../gateway/house.ts";
import { delta, NEVER_PARKS, stored } from "../gateway/scripted_source.ts";
import { assertScreen, openTui } from "./tui_kit.ts";

/** One port that leads to whichever gateway lives: a gateway that starts anew has another port, and the client may reach one alone. */
class Door implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  to: number | undefined;

  constructor() {
    void this.#serve();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** The gateway is gone, in the middle of whatever it was. */
  cut(): void {
    this.to = undefined;
    for (const connection of this.#open) close(connection);
  }

  async #serve(): Promise<void> {
    for await (const outer of this.#listener) {
      if (this.to === undefined) {
        close(outer);
        continue;
      }
      const inner = await Deno.connect({ hostname: "127.0.0.1", port: this.to });
      for (const connection of [outer, inner]) this.#open.add(connection);
      const both = [
        outer.readable.pipeThrough(toHost(this.port, this.to)).pipeTo(inner.writable),
        inner.readable.pipeTo(outer.writable),
      ];
      for (const pipe of both) pipe.catch(() => {}).finally(() => [outer, inner].forEach(close));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#listener.close();
    return Promise.resolve();
  }
}

/** The gateway wants to be called by its own port, in the request that opens the WebSocket. */
function toHost(from: number, to: number): TransformStream<Uint8Array, Uint8Array> {
  let isFirst = true;
  return new TransformStream({
    transform(chunk, controller) {
      const [wasFirst] = [isFirst, isFirst = false];
      if (!wasFirst) return controller.enqueue(chunk);
      const text = new TextDecoder().decode(chunk).replace(`127.0.0.1:${from}`, `127.0.0.1:${to}`);
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is.
  }
}

/** A turn as the log of a gateway has it; a message that comes again is told all of it, as the session does. */
class Story implements TurnSource {
  readonly resume = NEVER_PARKS.resume;
  readonly endParked = NEVER_PARKS.endParked;
  readonly suspend = NEVER_PARKS.suspend;
  readonly #events: SessionEvent[] = [];
  #news = Promise.withResolvers<void>();
  asked = 0;

  record(event: SessionEvent): void {
    this.#events.push(event);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  async *send(): AsyncGenerator<SessionEvent> {
    this.asked++;
    const past = this.asked === 1 ? 0 : this.#events.length;
    for (let at = 0;; at++) {
      while (at === this.#events.length) await this.#news.promise;
      const event = this.#events[at]!;
      // What was said is not kept, what was recorded is.
      if (at < past && event.type === "text_delta") continue;
      yield event;
      if (event.type === "turn_done") return;
    }
  }
}

const RESULT = { toolCalls: [], finishReason: "stop", usage: { totalTokens: 10 }, cost: 0 };

/** The log of a gateway holds nothing of a story, so that each asks the story itself. */
const openStory = (story: Story): Promise<House> => openHouse({ source: story });

Deno.test("a gateway that goes in the middle of a turn and comes back at another place with another token: nothing is shown twice, nothing is lost", async () => {
  const story = new Story();
  await using door = new Door();
  const first = await openStory(story);
  door.to = first.port;
  const tui = await openTui({ port: door.port, token: first.token });
  await tui.shows("Type a message");
  await tui.type("count\r");
  story.record(stored("user_message", { text: "count", channel: "tui" }, 1));
  story.record(stored("model_request", { step: 1 } as never, 2));
  story.record(delta("step one\n"));
  story.record(stored("model_result", { step: 1, text: "step one\nand a half", ...RESULT } as never, 3));
  story.record(stored("tool_intent", { callId: "a", tool: "file_read", args: { path: "/shared/a" } } as never, 4));
  await tui.shows("and a half");
  await tui.shows("/shared/a");
  await first[Symbol.asyncDispose]();
  door.cut();
  await tui.shows("no gateway");
  await tui.type("typed meanwhile");
  await tui.shows("typed meanwhile");
  // What the client did not see.
  story.record(
    stored(
      "tool_result",
      { callId: "a", tool: "file_read", ok: true, code: "ok", text: "missed", elapsedMs: 1 } as never,
      5,
    ),
  );
  story.record(stored("model_result", { step: 2, text: "step two", ...RESULT } as never, 6));
  await using second = await openStory(story);
  writeEndpoint(tui.ipc, toEndpoint(door.port, second.token));
  door.to = second.port;
  await tui.shows("step two");
  story.record(stored("model_result", { step: 3, text: "step three", ...RESULT } as never, 7));
  story.record(stored("turn_done", { text: "", finishReason: "stop", steps: 3, denied: 0, usage: {} } as never, 8));
  await tui.shows("30 tokens");
  const lines = tui.all().map((line) => line.trimEnd()).filter((line) => line !== "");
  const from = lines.indexOf("› count");
  assert.deepEqual(lines.slice(from, from + 7), [
    "› count",
    "step one",
    "and a half",
    "· file_read /shared/a",
    "  ✓ missed (1 ms)",
    "step two",
    "step three",
  ]);
  assert.equal(lines.at(-1), "› typed meanwhile");
  assert.equal(story.asked, 2);
  await tui.type("\x03\x03");
  assert.equal(await tui.end(), 130);
});

Deno.test("a terminal that changes its size is drawn for the new one: narrower, much narrower, and wider again", async () => {
  await using house = await openHouse();
  const tui = await openTui({ ...house, columns: 100, rows: 24 });
  await tui.shows("Type a message");
  await tui.type("resize me");
  await tui.shows("resize me");
  const turnOf = house.source.next();
  await tui.type("\r");
  const turn = await turnOf;
  await turn.emit(stored("user_message", { text: "resize me", channel: "tui" }, 1));
  await turn.emit(delta("A paragraph of some length that is still being written, so that it is in the live part "));
  await turn.emit(delta("and has to be laid out again when the terminal gets another size."));
  await tui.type("next message");
  await tui.shows("next message");
  for (const columns of [60, 40, 100]) {
    await tui.resize(columns, 24);
    await tui.shows(new RegExp(`^── [^\n]{${columns - 3}}$`, "m"));
    const rows = tui.screen().filter((line) => line.trim() !== "");
    assert.ok(rows.some((line) => /^› next message/.test(line)), rows.join("\n"));
    if (columns !== 100) await assertScreen({ all: tui.screen, cursor: tui.cursor }, "resized", columns);
  }
  await tui.type("\x03\x03");
  assert.equal(await tui.end(), 130);
});
