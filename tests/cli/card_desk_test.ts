import assert from "node:assert/strict";
import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { toAnswer, toCardLines, toCardText } from "#/cli/approval_prompt.ts";
import { CardDesk } from "#/cli/card_desk.ts";
import { LineReader } from "#/cli/lines.ts";
import { askedCall } from "../fixture/asked_call.ts";

const card = (id: string, over: Partial<ApprovalCard> = {}): ApprovalCard => ({
  ...askedCall({
    tool: { name: "file_read", package: "files", version: "1", sha256: "0123456789abcdef" },
    argsSha256: "fedcba9876543210",
    lines: [`fs.read /vault/${id}`],
    reason: "the vault is private",
  }),
  id,
  askedAt: 0,
  expiresAt: 900_000,
  ...over,
});

interface Room {
  readonly desk: CardDesk;
  readonly said: () => string;
  readonly given: GivenAnswer[];
  type(line: string | undefined): void;
  answered(): Promise<void>;
}

function openRoom(cards: readonly ApprovalCard[], options: { person?: boolean; fail?: AppError } = {}): Room {
  const said: string[] = [];
  const given: GivenAnswer[] = [];
  const lines: PromiseWithResolvers<string | undefined>[] = [];
  let reads = 0;
  const at = (index: number) => lines[index] ??= Promise.withResolvers();
  let typed = 0;
  let wake = Promise.withResolvers<void>();
  const desk = new CardDesk({
    read: () => Promise.resolve(cards),
    answer(answer) {
      given.push(answer);
      wake.resolve();
      wake = Promise.withResolvers();
      return options.fail ? Promise.reject(options.fail) : Promise.resolve();
    },
    nextLine: options.person === false ? undefined : () => at(reads++).promise,
    say: (text) => said.push(text),
    now: () => 0,
  });
  return {
    desk,
    said: () => said.join(""),
    given,
    type: (line) => at(typed++).resolve(line),
    answered: () => wake.promise,
  };
}

Deno.test("toCardText() says which tool, what it would reach, why, and what silence means; nothing in it can paint or break the screen", () => {
  const text = toCardText(card("a\x1b[2J", { reason: "line\nbreak" }), 0);
  assert.match(text, /file_read asks for\n {4}fs\.read \/vault\/a/);
  assert.match(text, /without an answer in 15 min it is a no/);
  assert.ok(!text.includes("\x1b") && text.split("\n").length === 5, text);
});

Deno.test("toCardLines() are the card without its question: one line each, whatever is in it", () => {
  const lines = toCardLines(card("a", { lines: ["one\ntwo", "three"], reason: "r" }), 0);
  assert.deepEqual(lines.slice(0, 4), ["file_read asks for", "    one two", "    three", "  because r"]);
  assert.equal(lines.length, 5);
});

Deno.test("toAnswer() takes what is clear, in any case, and nothing else for a yes", () => {
  const table: [string, GivenAnswer | undefined][] = [
    ["y", { id: "a", answer: "once" }],
    [" YES \r", { id: "a", answer: "once" }],
    ["s", { id: "a", answer: "session" }],
    ["h", { id: "a", answer: "until", until: 3_600_005 }],
    ["n", { id: "a", answer: "no" }],
    ["never", { id: "a", answer: "never" }],
    ["", undefined],
    ["yy", undefined],
    ["constructor", undefined],
    ["why?", undefined],
  ];
  for (const [text, expected] of table) assert.deepEqual(toAnswer(text, "a", 5), expected, JSON.stringify(text));
});

Deno.test("CardDesk asks until the answer is clear, and gives it to the runner", async () => {
  const room = openRoom([card("a")]);
  room.desk.open("a");
  room.type("what?");
  room.type("y");
  await room.answered();
  assert.deepEqual(room.given, [{ id: "a", answer: "once" }]);
  assert.match(room.said(), /y, s, h, n or never/);
});

Deno.test("CardDesk shows nothing that the runner does not hold", async () => {
  const room = openRoom([card("real")]);
  room.desk.open("forged");
  room.desk.open("real");
  room.type("n");
  await room.answered();
  assert.deepEqual(room.given, [{ id: "real", answer: "no" }]);
  assert.ok(!room.said().includes("forged"));
});

Deno.test("CardDesk answers no where nobody can be asked, and when the person has left", async () => {
  const room = openRoom([card("a")], { person: false });
  room.desk.open("a");
  await room.answered();
  assert.deepEqual(room.given, [{ id: "a", answer: "no" }]);
  assert.match(room.said(), /nobody can be asked here/);
  const left = openRoom([card("a")]);
  left.desk.open("a");
  left.type(undefined);
  await left.answered();
  assert.deepEqual(left.given, [{ id: "a", answer: "no" }]);
});

Deno.test("CardDesk lets a card go that was answered elsewhere, and the line typed then is the next one's", async () => {
  const room = openRoom([card("a"), card("b")]);
  room.desk.open("a");
  await Promise.resolve();
  room.desk.open("b");
  room.desk.close("a");
  room.type("ignored by a, taken by nobody");
  room.type("y");
  await room.answered();
  assert.deepEqual(room.given.map(({ id }) => id), ["b"]);
  const over = openRoom([card("a")]);
  over.desk.open("a");
  over.desk.closeAll();
  over.type("y");
  await Promise.resolve();
  assert.deepEqual(over.given, []);
});

Deno.test("CardDesk says what the runner refuses, but for a card that was answered in the same moment", async () => {
  for (const [code, expected] of [["approval_unknown", /^(?![^]*gone)/], ["usage", /oxydra: gone/]] as const) {
    const room = openRoom([card("a")], { fail: new AppError(code, "gone") });
    room.desk.open("a");
    room.type("y");
    await room.answered();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.match(room.said(), expected);
  }
});

Deno.test("LineReader gives one line to whoever asks while it is awaited, and the next one after it", async () => {
  const first = Promise.withResolvers<string>();
  const lines = new LineReader((async function* () {
    yield await first.promise;
    yield "two";
  })());
  const [a, b] = [lines.next(), lines.next()];
  first.resolve("one");
  assert.deepEqual([await a, await b, await lines.next(), await lines.next()], ["one", "one", "two", undefined]);
});
