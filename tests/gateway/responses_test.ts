import assert from "node:assert/strict";
import { toResponseRoute, toResponsesRoute } from "#/gateway/responses.ts";
import {
  readResponseId,
  toFailedEvent,
  toResponseId,
  toResponseObject,
  unknownResponse,
  writeResponse,
} from "#/gateway/response_wire.ts";
import type { ModelEvent } from "#/core/provider.ts";
import { asks, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { openDoorHouse, readEvents } from "./door_house.ts";

const RESPONSES = "/v1/responses";

Deno.test("toResponsesRoute() answers, and goes on by previous_response_id, by conversation, or by all that was said", async () => {
  await using doors = await openDoorHouse();
  assert.equal(toResponsesRoute({} as never).path, RESPONSES);
  const first = await doors.post(RESPONSES, { model: "oxydra", input: "one", store: false, metadata: { a: "b" } });
  assert.equal(first.status, 200);
  assert.equal(first.body.output[0].content[0].text, "1: one");
  assert.deepEqual([first.body.status, first.body.store, first.body.metadata], ["completed", true, { a: "b" }]);
  assert.equal(first.headers.get("x-oxydra-ignored"), "store");
  const headers = { "idempotency-key": "k" };
  const next = { model: "oxydra", input: "two", previous_response_id: first.body.id };
  const second = await doors.post(RESPONSES, next, { headers });
  assert.equal(second.body.output[0].content[0].text, "2: two");
  assert.equal(second.body.previous_response_id, first.body.id);
  assert.equal((await doors.post(RESPONSES, next, { headers })).body.id, second.body.id);
  const whole = [
    { type: "message", role: "user", content: "one" },
    { type: "reasoning", summary: [] },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "1: one" }] },
    {
      role: "user",
      content: [{ type: "input_text", text: "three" }, {
        type: "input_image",
        image_url: "data:image/png;base64,AAAA",
      }],
    },
  ];
  const third = await doors.post(RESPONSES, { model: "oxydra", input: whole });
  assert.match(third.body.output[0].content[0].text, /^1: .*\nthree/s);
  const named = { model: "oxydra", input: "a", conversation: { id: "mine" } };
  assert.equal((await doors.post(RESPONSES, named)).headers.get("x-oxydra-session"), "mine");
  assert.equal(
    (await doors.post(RESPONSES, { ...named, conversation: "mine" })).body.output[0].content[0].text,
    "2: a",
  );
});

Deno.test("what a response may not be asked for is refused, with the name of the part", async () => {
  await using doors = await openDoorHouse();
  const cases: readonly (readonly [object, number, string | null])[] = [
    [{ background: true }, 400, "background"],
    [{ previous_response_id: "resp_x", conversation: "c" }, 400, "previous_response_id"],
    [{ previous_response_id: "resp_!" }, 404, "previous_response_id"],
    [{ previous_response_id: toResponseId({ session: "no", turn: "no" }) }, 404, null],
    [{ tool_choice: "required" }, 400, "tool_choice"],
    [{ input: [{ type: "function_call_output", call_id: "c", output: "x" }] }, 400, "input.0.type"],
    [{ input: [] }, 400, "input"],
    [{ model: "gpt-9" }, 404, "model"],
  ];
  for (const [more, status, param] of cases) {
    const { status: got, body } = await doors.post(RESPONSES, { model: "oxydra", input: "x", ...more });
    assert.deepEqual([got, body.error.param], [status, param], JSON.stringify(more));
  }
});

Deno.test("a streamed response ends with `error` when it breaks, and is incomplete when the model was cut off", async () => {
  const failed = { type: "failed", code: "provider_interrupted", message: "gone", retryable: false } as const;
  const provider = scriptedProvider(
    [{ type: "text", text: "half" }, failed],
    [{ type: "text", text: "cut" }, { type: "done", finishReason: "length" }],
    says("whole"),
  );
  await using doors = await openDoorHouse(provider);
  const stream = async () => {
    const body = JSON.stringify({ model: "oxydra", input: "x", stream: true });
    const response = await doors.ask(RESPONSES, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    const events = [];
    for await (const { event, data } of readEvents(response)) events.push({ event, data: JSON.parse(data!) });
    return events.at(-1)!;
  };
  const broken = await stream();
  assert.deepEqual([broken.event, broken.data.code, broken.data.message], ["error", "provider_interrupted", "gone"]);
  const cut = await stream();
  assert.deepEqual([cut.event, cut.data.response.status], ["response.incomplete", "incomplete"]);
  assert.deepEqual(cut.data.response.incomplete_details, { reason: "max_output_tokens" });
  assert.equal((await stream()).event, "response.completed");
});

Deno.test("a session that begins with an earlier conversation is kept as one that may hold something private, before its turn", async () => {
  const noted: (readonly [session: string, from: string | undefined])[] = [];
  const derived = (session: string, from: string | undefined) => Promise.resolve(void noted.push([session, from]));
  await using doors = await openDoorHouse(undefined, { deps: { derived } as never });
  const first = await doors.post(RESPONSES, { model: "oxydra", input: "one" });
  const from = first.body.oxydra.session_id;
  const next = { model: "oxydra", input: "two", previous_response_id: first.body.id };
  await doors.post(RESPONSES, next);
  assert.deepEqual(noted, []);
  const branch = await doors.post(RESPONSES, next);
  const said = [{ role: "user", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: "c" }];
  const told = await doors.post(RESPONSES, { model: "oxydra", input: said });
  await doors.post(RESPONSES, { model: "oxydra", input: said, conversation: "mine" });
  assert.deepEqual(noted, [
    [branch.body.oxydra.session_id, from],
    [told.body.oxydra.session_id, undefined],
    ["mine", undefined],
  ]);
});

Deno.test("toResponseRoute() says how a response stands: under way, waiting, over, broken, or not there for this caller", async () => {
  const gate = Promise.withResolvers<ModelEvent>();
  const failed = { type: "failed", code: "provider_rejected", message: "no", retryable: false } as const;
  const provider = scriptedProvider(
    says("done"),
    [failed],
    calls(["file_read", { path: "/vault/a" }, "c1"]),
    [{ type: "text", text: "half" }, gate.promise],
  );
  await using doors = await openDoorHouse(provider, {
    sandbox: new RecordingSandbox({ file_read: (call) => asks(call) }),
  });
  assert.equal(toResponseRoute({} as never).path, "/v1/responses/:id");
  const get = async (id: string, token = "test") => {
    const response = await doors.ask(`${RESPONSES}/${id}`, { token });
    return { status: response.status, body: await response.json() };
  };
  const create = (session: string, more: object = {}) => {
    const headers = { "idempotency-key": "k", "x-oxydra-session": session };
    return doors.post(RESPONSES, { model: "oxydra", input: "x", ...more }, { headers });
  };
  const idOf = (session: string) => toResponseId({ session, turn: "k" });
  const made = await create("a");
  const same = (await get(made.body.id)).body;
  assert.deepEqual([same.output, same.status, same.id], [made.body.output, "completed", made.body.id]);
  assert.equal((await create("b")).status, 502);
  const broken = (await get(idOf("b"))).body;
  assert.deepEqual([broken.status, broken.error.code], ["failed", "provider_rejected"]);
  await create("c");
  assert.equal((await get(idOf("c"))).body.oxydra.status, "approval_needed");
  const running = create("d");
  while ((await get(idOf("d"))).status === 404) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal((await get(idOf("d"))).body.status, "in_progress");
  gate.resolve({ type: "done", finishReason: "stop" });
  await running;
  for (const [id, token] of [[idOf("none"), "test"], ["resp_x", "test"], [made.body.id, "bot"]] as const) {
    const { status, body } = await get(id, token);
    assert.deepEqual([status, body.error.code], [404, "response_not_found"]);
  }
});

Deno.test("toResponseId() names a turn, whatever its id is made of, and readResponseId() takes nothing else", () => {
  const place = { session: "sitzung-ü", turn: "c.ab.k\n" };
  assert.match(toResponseId(place), /^resp_[\w-]+$/);
  assert.deepEqual(readResponseId(toResponseId(place)), place);
  for (
    const id of [
      "",
      "resp_",
      "resp_%",
      toResponseId({ session: "", turn: "t" }),
      `resp_${btoa('{"a":1}')}`,
      `resp_${btoa("\xff")}`,
    ]
  ) {
    assert.throws(() => readResponseId(id), { code: "session_unknown" }, id);
  }
});

Deno.test("toResponseObject() and the writers make what the client's types say", async () => {
  const turn = { session: "s", turn: "t" } as never;
  const head = { id: "resp_1", created_at: 1, model: "m", previous_response_id: null, instructions: null } as never;
  assert.equal(toResponseObject(head, turn).status, "in_progress");
  const texts: string[] = [];
  for await (const text of writeResponse((async function* () {})(), turn, head)) texts.push(text);
  assert.equal(texts.length, 4);
  assert.equal(unknownResponse().code, "session_unknown");
  assert.match(
    toFailedEvent({ error: { message: "m", type: "t", code: "c", param: null } }),
    /^event: error\ndata: \{/,
  );
});

Deno.test("a response that goes on from an older one is told what was said to its turn while that ran", async () => {
  await using doors = await openDoorHouse();
  const first = await doors.post(RESPONSES, { model: "oxydra", input: "one" });
  const session = first.headers.get("x-oxydra-session")!;
  const turn = decodeURIComponent(first.headers.get("x-oxydra-turn")!);
  const steering = { type: "steering", v: 1, payload: { id: "m", text: "and more" } } as const;
  await doors.house.log.append(session, turn, [steering], { durability: "normal" });
  const from = { model: "oxydra", previous_response_id: first.body.id };
  await doors.post(RESPONSES, { ...from, input: "two" });
  const branch = await doors.post(RESPONSES, { ...from, input: "three" });
  assert.match(branch.body.output[0].content[0].text, /"content":"and more"}\n\[The message:\]\nthree$/);
});
