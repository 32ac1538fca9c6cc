import assert from "node:assert/strict";
import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { TuiApp, type TuiAppDeps } from "#/cli/tui_app.ts";
import type { Connection } from "#/cli/connection.ts";
import type { TuiState } from "#/cli/tui_state.ts";
import { waitUntil } from "../fixture/system.ts";
import { makeCard, toText } from "./tui_kit.ts";

interface Opened {
  readonly app: TuiApp;
  readonly draws: TuiState[];
  readonly sent: [string, Record<string, unknown>][];
  readonly answers: GivenAnswer[];
  readonly exits: number[];
  cards: readonly ApprovalCard[];
  cleared: number;
}

function open(cards?: Partial<NonNullable<TuiAppDeps["cards"]>> | "elsewhere"): Opened {
  const draws: TuiState[] = [];
  const sent: [string, Record<string, unknown>][] = [];
  const answers: GivenAnswer[] = [];
  const exits: number[] = [];
  const app = new TuiApp({
    view: { draw: (state) => void draws.push(state), clear: () => void opened.cleared++ },
    size: () => ({ columns: 80, rows: 24 }),
    cards: cards === "elsewhere" ? undefined : {
      read: () => Promise.resolve(opened.cards),
      answer: (given) => Promise.resolve(void answers.push(given)),
      ...cards,
    },
    exit: (code) => void exits.push(code),
    now: Date.now,
    newId: () => crypto.randomUUID(),
  });
  app.connection = { send: (type, payload) => void sent.push([type, payload]) } as Connection;
  const opened: Opened = { app, draws, sent, answers, exits, cards: [], cleared: 0 };
  app.dispatch({ type: "link", link: { kind: "on", session: "s", model: "m", reason: "" } });
  return opened;
}

const delta = (text: string) => ({
  type: "frame" as const,
  frame: {
    type: "turn_event",
    payload: { turn: { turn_id: "t", state: "running" }, event: { type: "text_delta" as const, payload: { text } } },
  },
});

const type = (app: TuiApp, text: string) =>
  app.dispatch({ type: "key", key: { type: "text", text, alone: text.length === 1 } });
const press = (app: TuiApp, name: "enter" | "tab" | "redraw" | "eof") =>
  app.dispatch({ type: "key", key: { type: "key", name } });

Deno.test("TuiApp draws what comes in one moment as one frame, and writes each finished line once", async () => {
  const { app, draws } = open();
  for (let i = 0; i < 200; i++) app.dispatch(delta(`line ${i}\n`));
  await waitUntil(() => draws.flatMap((state) => state.printed).length >= 202, "all lines are drawn");
  const lines = draws.flatMap((state) => toText(state.printed)).filter((line) => line.startsWith("line"));
  assert.deepEqual(lines, Array.from({ length: 200 }, (_, i) => `line ${i}`));
  assert.ok(draws.length <= 2, `${draws.length} frames`);
  app.stop();
});

Deno.test("TuiApp sends, leaves and draws again as the keys say", () => {
  const opened = open();
  const { app, sent, exits } = opened;
  type(app, "hello");
  press(app, "enter");
  assert.deepEqual(sent.map(([frame, { prompt }]) => [frame, prompt]), [["send_turn", "hello"]]);
  app.connection = undefined;
  type(app, "lost");
  press(app, "enter");
  press(app, "redraw");
  press(app, "eof");
  assert.deepEqual([sent.length, opened.cleared, exits], [1, 1, [0]]);
  app.flush();
  app.stop();
});

Deno.test("TuiApp reads cards from the runner, answers there, and reads them again", async () => {
  const opened = open();
  const { app, answers } = opened;
  opened.cards = [makeCard("1", { expiresAt: Date.now() + 60_000 })];
  app.dispatch({ type: "link", link: { kind: "on", session: "s", model: "m", reason: "" } });
  await waitUntil(() => app.state.cards.length === 1, "the card came");
  opened.cards = [];
  press(app, "tab");
  type(app, "n");
  await waitUntil(() => answers.length === 1 && app.state.cards.length === 0, "it was answered");
  assert.deepEqual(answers, [{ id: "1", answer: "no" }]);
  app.stop();
});

Deno.test("TuiApp says why an answer did not count, unless it was answered elsewhere, and lives on when the runner is gone", async () => {
  for (
    const [code, isSaid] of [["usage", true], ["approval_unknown", false], ["gateway_unreachable", false]] as const
  ) {
    const tried: number[] = [];
    const opened = open({
      answer: () => {
        tried.push(1);
        return Promise.reject(new AppError(code, "why not"));
      },
    });
    opened.cards = [makeCard("1", { expiresAt: Date.now() + 60_000 })];
    opened.app.dispatch({ type: "link", link: { kind: "on", session: "s", model: "m", reason: "" } });
    await waitUntil(() => opened.app.state.cards.length === 1, "the card came");
    press(opened.app, "tab");
    type(opened.app, "y");
    await waitUntil(() => tried.length === 1 && opened.app.state.cards.length === 1, "it is still there");
    opened.app.flush();
    const lines = opened.draws.flatMap((state) => toText(state.printed));
    assert.equal(lines.some((line) => line.includes("why not")), isSaid, code);
    opened.app.stop();
  }
});

Deno.test("TuiApp answers a card of a gateway elsewhere through that gateway", () => {
  const { app, sent } = open("elsewhere");
  const card = makeCard("1", { answer: "relayed", expiresAt: Date.now() + 60_000 });
  const event = {
    type: "approval_asked" as const,
    seq: 1,
    session: "s",
    turn: "t",
    v: 1 as const,
    at: 0,
    blobs: [],
    payload: { callId: "c", card },
  };
  const frame = { type: "turn_event", payload: { turn: { turn_id: "t", state: "running" }, event } };
  app.dispatch({ type: "frame", frame });
  press(app, "tab");
  type(app, "u");
  const [type_, { until, ...payload }] = sent.at(-1)!;
  const { request_id: _, ...rest } = payload;
  assert.deepEqual([type_, rest], ["approval_answer", { session_id: "s", approval_id: "1", answer: "until" }]);
  assert.ok(Date.parse(String(until)) > Date.now());
  app.stop();
});
