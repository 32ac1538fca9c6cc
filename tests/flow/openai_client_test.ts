/** OpenAI's own client, and the bodies of chat front ends, against a gateway in real processes with a vendor on a real socket behind it. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { pause, reply, text, usage, vendorError } from "../fake/openai_reply.ts";
import { SCRIPTS } from "../fake/openai_scripts.ts";
import type { ChatBody, Script } from "../fake/openai_server.ts";
import { connectRaw, type LiveGateway, startGateway } from "../fixture/system.ts";
import { type VendorMachine, withVendorMachine } from "../fixture/vendor_machine.ts";

/** Says what it was told, last message first, so that an answer shows what the model saw. */
const echo: Script = (body) => {
  const said = body.messages.filter(({ role }) => role === "user").map(({ content }) => String(content));
  return reply([text(`${said.length}: ${said.at(-1)!.slice(0, 200)}`)], { usage: usage(10, 5) });
};

interface Setting extends VendorMachine {
  readonly gateway: LiveGateway;
  readonly base: string;
  readonly client: OpenAI;
}

/** A gateway and OpenAI's client of it, for as long as `body` runs. */
function withClient(script: Script, body: (setting: Setting) => Promise<void>): Promise<void> {
  return withVendorMachine(script, async (machine) => {
    const gateway = await startGateway(machine);
    const base = `http://127.0.0.1:${gateway.port}`;
    try {
      await body({ ...machine, gateway, base, client: toClient(base, gateway.token) });
    } finally {
      await gateway.stop();
    }
  });
}

function toClient(base: string, apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
}

const system = (body: ChatBody) => String(body.messages.find(({ role }) => role === "system")?.content);

Deno.test("OpenAI's client: chat completions, streamed and not, go on in the session that has their messages", async () => {
  await withClient(echo, async ({ client, vendor }) => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "system", content: "Talk like a pirate." },
      { role: "user", content: "first" },
    ];
    const { data: first, response } = await client.chat.completions.create({ model: "oxydra", messages })
      .withResponse();
    assert.equal(first.choices[0]!.message.content, "1: first");
    assert.equal(first.choices[0]!.finish_reason, "stop");
    assert.equal(first.usage!.total_tokens, 15);
    assert.match(first.id, /^chatcmpl-/);
    assert.match(system(vendor.requests[0]!.body), /^You are Oxydra[^]*Talk like a pirate\./);
    messages.push(first.choices[0]!.message as never, { role: "user", content: "second" });
    const stream = await client.chat.completions.create({
      model: "oxydra",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "2: second");
    assert.deepEqual(chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []), ["stop"]);
    assert.equal(chunks.at(-1)!.usage!.total_tokens, 15);
    const own = chunks.at(-2) as unknown as { oxydra: { session_id: string; status: string } };
    assert.deepEqual([own.oxydra.session_id, own.oxydra.status], [
      response.headers.get("x-oxydra-session"),
      "completed",
    ]);
    // The model was shown both messages as its own history, not as data in one.
    const last = vendor.requests[1]!.body.messages.filter(({ role }) => role !== "system").map(({ content }) =>
      content
    );
    assert.deepEqual(last, ["first", "1: first", "second"]);
  });
});

Deno.test("OpenAI's client: responses, streamed and not, go on by previous_response_id", async () => {
  await withClient(echo, async ({ client, vendor }) => {
    const first = await client.responses.create({ model: "oxydra", input: "one", instructions: "Be brief." });
    assert.equal(first.output_text, "1: one");
    assert.equal(first.status, "completed");
    assert.match(system(vendor.requests[0]!.body), /Be brief\./);
    const stream = await client.responses.create({
      model: "oxydra",
      input: [{ role: "user", content: [{ type: "input_text", text: "two" }] }],
      previous_response_id: first.id,
      stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    assert.deepEqual([...new Set(events.map(({ type }) => type))], [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, at) => at));
    const done = events.at(-1) as OpenAI.Responses.ResponseCompletedEvent;
    assert.equal(done.response.output_text ?? "", "");
    assert.equal((done.response.output[0] as OpenAI.Responses.ResponseOutputMessage).content[0]!.type, "output_text");
    assert.equal(done.response.usage!.total_tokens, 15);
    // From the first one again: its session has gone on, so another one is told what was said.
    const branch = await client.responses.create({ model: "oxydra", input: "else", previous_response_id: first.id });
    assert.match(branch.output_text, /^1: \[Before this message/);
    const said = vendor.requests[2]!.body.messages.map(({ content }) => String(content)).join("\n");
    assert.ok(said.includes("1: one") && !said.includes("two"));
    const streamed = await client.responses.stream({ model: "oxydra", input: "three" }).finalResponse();
    assert.equal(streamed.output_text, "1: three");
  });
});

Deno.test("OpenAI's client: models and errors have its own classes", async () => {
  await withClient(echo, async ({ client, base }) => {
    const models = await client.models.list();
    assert.deepEqual(models.data.map(({ id }) => id), ["oxydra", "fake/fake-1", "fake-1"]);
    assert.equal((await client.models.retrieve("fake/fake-1")).id, "fake/fake-1");
    await assert.rejects(client.models.retrieve("gpt-9"), OpenAI.NotFoundError);
    const ask = (more: object, by = client) =>
      by.chat.completions.create({ model: "oxydra", messages: [{ role: "user", content: "hi" }], ...more });
    await assert.rejects(ask({}, toClient(base, "no-such-token")), OpenAI.AuthenticationError);
    await assert.rejects(ask({ model: "gpt-9" }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.deepEqual([error.code, error.param, error.type], ["model_not_found", "model", "invalid_request_error"]);
      return true;
    });
    await assert.rejects(ask({ n: 2 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "n");
    await assert.rejects(ask({ tool_choice: "required" }), OpenAI.BadRequestError);
    const picture = [{ type: "image_url", image_url: { url: "http://127.0.0.1:1/a.png" } }];
    await assert.rejects(ask({ messages: [{ role: "user", content: picture }] }), OpenAI.BadRequestError);
    const large = "x".repeat(59_000_000);
    await assert.rejects(ask({ messages: [{ role: "user", content: large }] }), (error) => {
      return error instanceof OpenAI.APIError && error.status === 413;
    });
  });
});

Deno.test("OpenAI's client: an abort in mid-stream cancels the turn; 20 at once are all answered", async () => {
  const slow: Script = (body, n, request) => {
    const said = String(body.messages.at(-1)!.content);
    if (said !== "wait") return echo(body, n, request);
    return reply([text("one "), pause(60_000), text("two")]);
  };
  await withClient(slow, async ({ client, gateway, vendor }) => {
    const watcher = await connectRaw(gateway, {
      session_id: "watched",
      capabilities: ["named_sessions", "turn_events"],
    });
    await watcher.next((frame) => frame.type === "hello_ack");
    await using _closing = { [Symbol.asyncDispose]: () => Promise.resolve(watcher.close()) };
    const left = new AbortController();
    const stream = await client.chat.completions.create(
      { model: "oxydra", messages: [{ role: "user", content: "wait" }], stream: true },
      { signal: left.signal, headers: { "x-oxydra-session": "watched" } },
    );
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === "one ") break;
    left.abort();
    const end = await watcher.next((frame) => frame.payload.event?.type === "turn_cancelled");
    assert.equal(end.payload.event.payload.reason, "the client left");
    await vendor.requests[0]!.left;
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, at) => {
      const messages = [{ role: "user" as const, content: `number ${at}` }];
      return (await client.chat.completions.create({ model: "oxydra", messages })).choices[0]!.message.content;
    }));
    assert.deepEqual(answers, answers.map((_, at) => `1: number ${at}`));
  });
});

Deno.test("OpenAI's client: a turn with tools of ours is one answer, the same streamed and not", async () => {
  await withClient(SCRIPTS["haiku"]!, async ({ client }) => {
    const messages = [{ role: "user" as const, content: "write a haiku" }];
    const whole = await client.chat.completions.create({ model: "oxydra", messages });
    const stream = client.chat.completions.stream({ model: "oxydra", messages });
    const streamed = await stream.finalContent();
    assert.match(whole.choices[0]!.message.content!, /^I write it\. \n\nIt says:\nRivers/);
    assert.equal(streamed, whole.choices[0]!.message.content);
  });
});

/** What these programs send, as far as it is not OpenAI's client: from their sources and documentation. */
const FRONT_ENDS: readonly (readonly [name: string, body: Record<string, unknown>, ignored: string])[] = [
  ["Open WebUI", {
    stream: true,
    model: "oxydra",
    messages: [{ role: "system", content: "You help." }, { role: "user", content: [{ type: "text", text: "hi" }] }],
    stream_options: { include_usage: true },
    temperature: 0.8,
    frequency_penalty: 0,
    tools: [],
  }, "temperature, frequency_penalty, tools"],
  ["LibreChat", {
    model: "oxydra",
    temperature: 1,
    top_p: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    user: "65f0c7",
    stream: true,
    messages: [{ role: "system", name: "instructions", content: "You help." }, { role: "user", content: "hi" }],
  }, "temperature, top_p, presence_penalty, frequency_penalty, user"],
  ["Continue", {
    messages: [{ role: "user", content: "hi" }],
    model: "oxydra",
    max_tokens: 4096,
    stop: ["\n\n\n"],
    stream: true,
    tools: [{ type: "function", function: { name: "read_file", parameters: { type: "object", properties: {} } } }],
    tool_choice: "auto",
    parallel_tool_calls: false,
  }, "stop, tools, parallel_tool_calls"],
  ["curl", { model: "oxydra", messages: [{ role: "user", content: "hi" }] }, ""],
];

Deno.test("chat front ends are answered as they ask, and told what of it was not used", async () => {
  await withClient(echo, async ({ base, gateway, vendor }) => {
    for (const [name, body, ignored] of FRONT_ENDS) {
      const response = await fetch(`${base}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200, name);
      assert.equal(response.headers.get("x-oxydra-ignored") ?? "", ignored, name);
      assert.equal(response.headers.get("access-control-allow-origin"), null);
      const answer = await response.text();
      if (body["stream"] !== true) {
        assert.equal(JSON.parse(answer).choices[0].message.content, "1: hi");
        continue;
      }
      assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
      assert.equal(response.headers.get("x-accel-buffering"), "no");
      assert.ok(answer.endsWith("data: [DONE]\n\n"), name);
    }
    assert.equal(vendor.requests[2]!.body["max_tokens"] ?? vendor.requests[2]!.body["max_completion_tokens"], 4096);
  });
});

Deno.test("what fails before anything was said has a status; a failed turn is not repeated by OpenAI's client", async () => {
  const refusing: Script = () => vendorError(401, "no such key");
  await withClient(refusing, async ({ base, gateway, vendor }) => {
    const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: gateway.token, maxRetries: 2 });
    for (const stream of [false, true]) {
      const asking = client.chat.completions.create({
        model: "oxydra",
        messages: [{ role: "user", content: "hi" }],
        stream,
      });
      await assert.rejects(asking, (error) => {
        assert.ok(error instanceof OpenAI.InternalServerError);
        assert.deepEqual([error.status, error.code], [502, "provider_auth"]);
        return true;
      });
    }
    assert.equal(vendor.requests.length, 2);
  });
});
