import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { SessionEvent, StoredEvent } from "#/core/event.ts";
import { streamAnswer, toHeaders, toOwnField } from "#/gateway/api_answer.ts";
import {
  checkModel,
  checkToolChoice,
  Content,
  ignoredIn,
  Metadata,
  modelNames,
  OutputFormat,
  refuse,
  toAsked,
  toSaid,
} from "#/gateway/api_body.ts";
import { toPieces, toReply } from "#/gateway/api_reply.ts";
import { toTokenChannel } from "#/gateway/directory.ts";
import { keyOf, openApiTurn, unknownSession, visibleTo } from "#/gateway/api_turn.ts";
import { ReplyText, toReplyText } from "#/gateway/reply_text.ts";
import { delta, stored, turnDone } from "./scripted_source.ts";

const result = (text: string) => stored("model_result", { text } as never);

function textOf(events: readonly SessionEvent[]): string {
  const reply = new ReplyText();
  return events.map((event) => reply.take(event)).join("");
}

Deno.test("ReplyText says nothing of a summary", () => {
  const payload = {
    step: 1,
    text: "notes",
    toolCalls: [],
    finishReason: "stop",
    usage: {},
    purpose: "summary" as const,
  };
  assert.equal(new ReplyText().take(stored("model_result", payload)), "");
});

Deno.test("ReplyText is whole whatever was lost on the way, and the same from the log alone", () => {
  const recorded = [result("one two"), result(""), result("three")];
  const cases: readonly (readonly SessionEvent[])[] = [
    recorded,
    [delta("one "), delta("two"), ...recorded],
    [delta("one "), recorded[0]!, recorded[1]!, delta("three"), recorded[2]!],
  ];
  for (const events of cases) assert.equal(textOf(events), "one two\n\nthree");
  assert.equal(toReplyText(recorded as StoredEvent[]), "one two\n\nthree");
});

Deno.test("ReplyText shows no half of a pair, and none that is left over is lost in silence", () => {
  assert.equal(textOf([delta("a\ud83d"), delta("\ude00b"), result("a😀b")]), "a😀b");
  assert.equal(textOf([delta("a\ud83d"), result("a\ud83d")]), "a\ufffd");
});

async function* from(...events: SessionEvent[]) {
  yield* await Promise.resolve(events);
}

Deno.test("toPieces() ends with what the turn ended with; what failed is thrown, and not to be repeated", async () => {
  const end = await toReply(toPieces(from(delta("hi"), result("hi"), turnDone("hi"))));
  assert.deepEqual([end.text, end.finish, end.usage.totalTokens, end.approvals], ["hi", "stop", 5, []]);
  const failed = stored("turn_failed", { code: "budget_cost", message: "too dear", steps: 1 });
  const cancelled = stored("turn_cancelled", { reason: "why", steps: 1 });
  for (const [event, code] of [[failed, "budget_cost"], [cancelled, "cancelled"], [delta("x"), "cancelled"]] as const) {
    await assert.rejects(toReply(toPieces(from(event))), { code, params: { retry: false } });
  }
  await assert.rejects(toReply((async function* () {})()), TypeError);
  // One that stops to go on in the next process has begun; one that was refused has not.
  const suspended = new AppError("turn_suspended", "later");
  const broken = (...before: SessionEvent[]) =>
    (async function* () {
      yield* before;
      await Promise.reject(suspended);
    })();
  await assert.rejects(toReply(toPieces(broken(delta("x")))), { code: "turn_suspended", params: { retry: false } });
  await assert.rejects(toReply(toPieces(broken())), (error) => error === suspended);
});

Deno.test("checkModel() knows the agent by its own name and its model's; others are model_not_found", () => {
  const info = { provider: "p", model: "m" };
  assert.deepEqual(modelNames(info), ["oxydra", "p/m", "m"]);
  for (const name of modelNames(info)) checkModel(name, info);
  assert.throws(() => checkModel("Oxydra", info), { params: { code: "model_not_found", param: "model" } });
});

Deno.test("checkToolChoice() lets a client offer its tools and not force them; refuse() names the part", () => {
  for (const choice of [undefined, null, "auto", "none"]) checkToolChoice(choice);
  for (const choice of ["required", {}, { type: "function" }, 1]) {
    assert.throws(() => checkToolChoice(choice), { code: "usage" });
  }
  assert.throws(() => refuse("a", "b"), { message: "a: b", params: { param: "a" } });
});

Deno.test("ignoredIn() lists names that are names, and no more than it says", () => {
  const body = JSON.parse('{"a":1,"known":2,"b":null,"x-y":1,"__proto__":{"c":1},"evil\\r\\nset-cookie: a":1}');
  assert.deepEqual(ignoredIn(body, new Set(["known"])), ["a", "__proto__"]);
  const many = Object.fromEntries(
    Array.from({ length: 99 }, (_, at) => [`a${"_".repeat(at % 30)}${"b".repeat(at % 9)}`, 1]),
  );
  assert.ok(ignoredIn(many, new Set()).length <= 32);
});

Deno.test("toSaid() takes text and media apart; a role that it does not know is a tool's, never the user's", () => {
  const content = Content.parse([{ type: "text", text: "a" }, { type: "refusal", refusal: "b" }, {
    type: "image_url",
    image_url: "data:x",
  }, { type: "input_file", file_data: "data:y" }]);
  assert.deepEqual(toSaid("user", content), { role: "user", text: "a\nb", media: ["data:x", "data:y"] });
  for (const role of ["tool", "constructor", "__proto__"]) assert.equal(toSaid(role, "x").role, "tool");
  assert.equal(toSaid("developer", null, "more").text, "more");
  const spoken = { type: "input_audio", input_audio: { data: "data:z", format: "wav" } } as const;
  assert.deepEqual(toSaid("user", [spoken]).media, ["data:z"]);
  assert.ok(Metadata.parse(null) === null && OutputFormat.parse({ type: "text" }).type === "text");
  assert.deepEqual(toAsked({ instructions: "", format: undefined, maxOutputTokens: null }), { origin: "api" });
});

Deno.test("visibleTo() shows a person's sessions to the person's tokens, and to a channel its own", () => {
  const row = { id: "s", user: "ann", channel: "api:bot" } as never;
  const caller = (scope: "owner" | "read" | "channel", id = "bot") => ({ id, scope });
  assert.ok(
    visibleTo(caller("owner"), row, "ann") && visibleTo(caller("read"), row, "ann") &&
      visibleTo(caller("channel"), row, "ann"),
  );
  assert.equal(visibleTo(caller("channel", "other"), row, "ann"), undefined);
  assert.equal(visibleTo(caller("owner"), row, "bob"), undefined);
  assert.equal(visibleTo(caller("owner"), undefined, "ann"), undefined);
  assert.equal(toTokenChannel(caller("read")), "api:bot");
  assert.equal(unknownSession("x".repeat(999)).message.length < 200, true);
});

Deno.test("keyOf() takes a client's key as it is, and makes one for who has none", () => {
  assert.equal(keyOf(new Headers({ "idempotency-key": "a-b.c" }), 0), "a-b.c");
  assert.match(keyOf(new Headers(), 0), /^[0-9a-f-]{36}$/);
  for (const key of ["", "a b", "x".repeat(129)]) {
    assert.throws(() => keyOf(new Headers({ "idempotency-key": key }), 0), { code: "usage" });
  }
});

Deno.test("streamAnswer() sends its head with the first piece, or after sseHeartbeatMs, and tells a defect by its id alone", async () => {
  const timers: (() => void)[] = [];
  const reports: unknown[] = [];
  const deps = {
    after: (_: number, run: () => void) => (timers.push(run), () => {}),
    report: (error: unknown) => reports.push(error),
  };
  const wire = {
    headers: {},
    write: async function* (pieces: AsyncIterable<unknown>) {
      for await (const _ of pieces) yield "data: piece\n\n";
    },
    toFailed: () => "data: failed\n\n",
  };
  const gate = Promise.withResolvers<void>();
  const pieces = async function* () {
    await gate.promise;
    yield { text: "x" };
    throw new TypeError("defect");
  };
  const turn = { session: "ü", turn: "t", pieces: pieces(), left: () => {} };
  const answering = streamAnswer(turn, deps, wire);
  timers[0]!();
  const response = await answering;
  gate.resolve();
  assert.equal(await response.text(), "data: piece\n\ndata: failed\n\n");
  assert.equal(reports.length, 1);
  assert.deepEqual(toHeaders(turn, ["a", "b"]), {
    "x-oxydra-session": "%C3%BC",
    "x-oxydra-turn": "t",
    "x-oxydra-ignored": "a, b",
  });
  assert.equal(toOwnField(turn, { approvals: [{} as never] }).status, "approval_needed");
  const refusing = {
    ...turn,
    pieces: toPieces({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new RangeError("no")) }) }),
  };
  await assert.rejects(streamAnswer(refusing, deps, wire), RangeError);
  await assert.rejects(
    openApiTurn({ now: () => 0 } as never, { headers: new Headers({ "idempotency-key": "" }) } as never, {} as never),
    {
      code: "usage",
    },
  );
});
