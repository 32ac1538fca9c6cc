import assert from "node:assert/strict";
import { isDurable, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openResponses } from "#/provider/responses.ts";
import { toHistory } from "#/turn/history.ts";
import { collect, textOf } from "../contract/provider_contract.ts";
import type { Said } from "../fake/dialect.ts";
import { answer, pause, raw, type Reply, vendorError, waitFor } from "../fake/openai_reply.ts";
import { type ChatBody, type FakeOpenAi, type Script, withVendor } from "../fake/openai_server.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { responds } from "../fake/responses_dialect.ts";
import { run, toDeps, toInput } from "../turn/turn_kit.ts";

const KEY = "sk-test-1234567890";
const NOT_FOUND = answer(400, {
  error: {
    message: "Previous response with id 'resp_1' not found.",
    type: "invalid_request_error",
    param: "previous_response_id",
    code: "previous_response_not_found",
  },
});

const says = (text: string): Said => ({ kind: "text", text });
const calls = (path: string, id = "c1"): Said => ({
  kind: "call",
  id,
  name: "file_read",
  args: JSON.stringify({ path }),
});

function request(prompt = "Hi", more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "fake-1", messages: [{ role: "user", content: prompt }], tools: [], timeoutMs: 20_000, ...more };
}

function open(vendor: { readonly url: string }) {
  return openResponses({ name: "acme", baseUrl: vendor.url, apiKey: new Secret(KEY), apiKeySource: "ACME_KEY", fetch });
}

/** A vendor that keeps responses: the n-th is `resp_n`, and it says so when it goes on from one. */
function keeper(...replies: readonly (readonly Said[])[]): Script {
  return (body, n) =>
    responds(replies[Math.min(n, replies.length - 1)]!, {
      response: { id: `resp_${n}`, previous_response_id: previousOf(body) ?? null },
    });
}

function previousOf(body: ChatBody): string | undefined {
  return body["previous_response_id"] as string | undefined;
}

/** A conversation, one call a turn: what was sent each time, and what came. */
async function talk(vendor: FakeOpenAi, prompts: readonly string[], more: Partial<ModelRequest> = {}) {
  const provider = open(vendor);
  const messages: Message[] = [];
  const turns: ModelEvent[][] = [];
  for (const prompt of prompts) {
    messages.push({ role: "user", content: prompt });
    const events = await collect(provider, request("", { messages: [...messages], session: "s", ...more }));
    const replay = events.find((event) => event.type === "replay")?.replay;
    messages.push({ role: "assistant", content: textOf(events), toolCalls: [], ...(replay ? { replay } : {}) });
    turns.push(events);
  }
  return turns;
}

const sent = (vendor: FakeOpenAi) =>
  vendor.requests.map(({ body }) => [previousOf(body), (body["input"] as readonly unknown[]).length, body["store"]]);

Deno.test("openResponses() sends the key, and nothing about the machine, to its own endpoint", async () => {
  await withVendor(responds([says("Hi")]), async (vendor) => {
    for (const url of [vendor.url, vendor.url.slice(0, -3), `${vendor.url}/responses`]) {
      assert.equal(textOf(await collect(open({ url }), request())), "Hi");
    }
    assert.deepEqual([...new Set(vendor.seen.map(({ path }) => path))], ["/v1/responses"]);
    const { headers, body } = vendor.requests[0]!;
    assert.equal(headers["authorization"], `Bearer ${KEY}`);
    assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-stainless")), []);
    assert.deepEqual(body, {
      model: "fake-1",
      input: [{ role: "user", content: "Hi" }],
      store: false,
      stream: true,
    } as unknown as ChatBody);
  });
});

Deno.test("openResponses() goes on from the vendor's reply, turn by turn, with what is new", async () => {
  await withVendor(keeper([says("One.")], [says("Two.")], [says("Three.")]), async (vendor) => {
    const turns = await talk(vendor, ["a", "b", "c"]);
    assert.deepEqual(turns.map(textOf), ["One.", "Two.", "Three."]);
    assert.deepEqual(sent(vendor), [[undefined, 1, true], ["resp_0", 1, true], ["resp_1", 1, true]]);
  });
});

Deno.test("openResponses() without a session lets the vendor keep nothing", async () => {
  await withVendor(keeper([says("One.")]), async (vendor) => {
    const events = await collect(open(vendor), request("a"));
    assert.deepEqual(events.map((event) => event.type), ["text", "done"]);
    assert.deepEqual(sent(vendor), [[undefined, 1, false]]);
  });
});

Deno.test("openResponses() sends everything when the vendor refuses to go on, once, and shows nothing twice", async () => {
  const refusals: Readonly<Record<string, Reply>> = {
    "not found": NOT_FOUND,
    expired: vendorError(404, "Response resp_0 has expired"),
    "unknown parameter": vendorError(400, "Unsupported parameter: previous_response_id"),
    "an error event": {
      ...responds([]),
      steps: raw('data: {"type":"error","code":"previous_response_not_found"}\n\n'),
    },
    "takes the id and forgets it": responds([says("What do you mean?")], { response: { previous_response_id: null } }),
  };
  for (const [what, refusal] of Object.entries(refusals)) {
    const script: Script = (body, n) => previousOf(body) ? refusal : responds([says(`Said ${n}.`)]);
    await withVendor(script, async (vendor) => {
      const [, second] = await talk(vendor, ["a", "b"]);
      assert.deepEqual(second!.map((event) => event.type), ["retry", "text", "replay", "done"], what);
      const retry = second![0]!;
      assert.ok(retry.type === "retry" && retry.waitMs === 0 && /whole conversation/.test(retry.message), what);
      assert.equal(textOf(second!), "Said 2.", what);
      assert.deepEqual(sent(vendor), [[undefined, 1, true], ["resp_1", 1, true], [undefined, 3, true]], what);
    });
  }
});

Deno.test("openResponses() gives up on a vendor that refuses chainRefusalsMax times in a row, and then keeps nothing there", async () => {
  const script: Script = (body) => previousOf(body) ? NOT_FOUND : responds([says("Yes.")]);
  await withVendor(script, async (vendor) => {
    await talk(vendor, Array.from({ length: LIMITS.chainRefusalsMax + 3 }, (_, at) => `${at}`));
    const chained = sent(vendor).filter(([previous]) => previous !== undefined);
    assert.equal(chained.length, LIMITS.chainRefusalsMax);
    assert.deepEqual(sent(vendor).at(-1), [undefined, 9, false]);
  });
});

Deno.test("openResponses() forgives a refusal when the next chain holds", async () => {
  const script: Script = (body, n) =>
    [1, 5].includes(n) ? NOT_FOUND : responds([says("Yes.")], {
      response: { id: `resp_${n}`, previous_response_id: previousOf(body) ?? null },
    });
  await withVendor(script, async (vendor) => {
    await talk(vendor, ["a", "b", "c", "d", "e", "f"]);
    assert.equal(previousOf(vendor.requests.at(-1)!.body), "resp_6");
  });
});

Deno.test("openResponses() keeps a failure that has nothing to do with the chain", async () => {
  const broken: readonly (readonly [Reply, string])[] = [
    [vendorError(401, "no"), "provider_auth"],
    [vendorError(429, "slow"), "provider_rate_limited"],
    [vendorError(503, "down"), "provider_unavailable"],
  ];
  for (const [failure, code] of broken) {
    const script: Script = (body) => previousOf(body) ? failure : responds([says("Yes.")]);
    await withVendor(script, async (vendor) => {
      const [, second] = await talk(vendor, ["a", "b"]);
      assert.deepEqual(second!.map((event) => event.type === "failed" ? event.code : event.type), [code]);
      assert.equal(vendor.requests.length, 2);
    });
  }
});

Deno.test("openResponses() does not begin again after it has shown something", async () => {
  const script: Script = (body) => {
    if (!previousOf(body)) return responds([says("Yes.")]);
    const half = responds([says("Half")], { reason: "unfinished", response: { previous_response_id: "resp_1" } });
    return {
      ...half,
      steps: [...half.steps, ...raw('data: {"type":"error","code":"invalid_prompt","message":"no"}\n\n')],
    };
  };
  await withVendor(script, async (vendor) => {
    const [, second] = await talk(vendor, ["a", "b"]);
    assert.deepEqual(second!.map((event) => event.type === "failed" ? event.code : event.type), [
      "text",
      "provider_rejected",
    ]);
    assert.equal(vendor.requests.length, 2);
  });
});

Deno.test("openResponses() sends sealed thoughts back in a turn that cannot go on from a reply", async () => {
  const reasoning: Said = { kind: "reasoning", text: "Hm." };
  const script: Script = (body, n) =>
    previousOf(body) ? NOT_FOUND : n === 0 ? responds([reasoning, calls("/shared/a")]) : responds([says("Done.")]);
  await withVendor(script, async (vendor) => {
    const provider = open(vendor);
    const sandbox = new RecordingSandbox({ file_read: () => "text" });
    await run(toInput({ model: "fake-1", reasoning: "low" }), toDeps(provider, sandbox));
    const whole = vendor.requests.at(-1)!.body;
    assert.deepEqual((whole["input"] as readonly { type?: string }[]).map((each) => each.type ?? "message"), [
      "message",
      "reasoning",
      "function_call",
      "function_call_output",
    ]);
    assert.deepEqual((whole["input"] as readonly unknown[])[1], {
      type: "reasoning",
      id: "item_0",
      summary: [{ type: "summary_text", text: "Hm." }],
      encrypted_content: "sealed:0",
    });
  });
});

Deno.test("openResponses() carries a tool loop of two steps, and the next turn from the log goes on from it", async () => {
  const script = keeper([says("I look. "), calls("/shared/a")], [calls("/shared/b", "c2")], [says("Both read.")], [
    says("Yes."),
  ]);
  await withVendor(script, async (vendor) => {
    const sandbox = new RecordingSandbox({ file_read: ({ args }) => `content of ${(args as { path: string }).path}` });
    const deps = toDeps(open(vendor), sandbox);
    const events = await run(toInput({ model: "fake-1" }), deps);
    assert.equal(events.at(-1)?.type, "turn_done");
    assert.deepEqual(sandbox.requests.map(({ args }) => args), [{ path: "/shared/a" }, { path: "/shared/b" }]);
    assert.deepEqual(sent(vendor), [[undefined, 1, true], ["resp_0", 1, true], ["resp_1", 1, true]]);
    assert.deepEqual(vendor.requests[2]!.body["input"], [
      { type: "function_call_output", call_id: "c2", output: "content of /shared/b" },
    ]);
    assert.equal(vendor.requests[2]!.body["instructions"], "be good");

    // As the log gives it back: through JSON, in a new process.
    const asked = { type: "user_message", v: 1, payload: { text: "hello", channel: "test" } };
    const again = { ...asked, payload: { text: "Sure?", channel: "test" } };
    const stored = [asked, ...events.filter(isDurable), again].map((event, at) => ({
      ...event,
      seq: at + 1,
      turn: "t",
    }));
    const last = stored.at(-1)!;
    last.turn = "t2";
    const history = toHistory(JSON.parse(JSON.stringify(stored)) as StoredEvent[]);
    const more = await run(toInput({ model: "fake-1", turn: "t2", history, lastSeq: last.seq }), deps);
    assert.equal(more.at(-1)?.type, "turn_done");
    assert.deepEqual(sent(vendor).at(-1), ["resp_2", 1, true]);
  });
});

Deno.test("stream() makes each failure a stated event", async () => {
  const failed = (error: unknown) =>
    raw(`data: ${JSON.stringify({ type: "response.failed", response: { error } })}\n\n`);
  const table: readonly (readonly [what: string, reply: Reply, code: string, says: RegExp])[] = [
    ["401", vendorError(401, `Incorrect API key provided: ${KEY}`), "provider_auth", /ACME_KEY/],
    ["404", answer(404, "<html>"), "provider_rejected", /has no responses.*base_url/],
    ["JSON", answer(200, { id: "resp_1" }), "provider_protocol", /application\/json/],
    [
      "another stream",
      { ...responds([]), steps: raw('data: {"choices":[]}\n\n') },
      "provider_protocol",
      /not a response/,
    ],
    [
      "failed",
      { ...responds([]), steps: failed({ code: "server_error", message: "sorry" }) },
      "provider_unavailable",
      /sorry/,
    ],
    [
      "rate",
      { ...responds([]), steps: failed({ code: "rate_limit_exceeded", message: "slow" }) },
      "provider_rate_limited",
      /slow/,
    ],
    [
      "prompt",
      { ...responds([]), steps: failed({ code: "invalid_prompt", message: "no" }) },
      "provider_rejected",
      /no/,
    ],
    [
      "picture",
      { ...responds([]), steps: failed({ code: "empty_image_file", message: "empty" }) },
      "provider_rejected",
      /empty/,
    ],
    ["no end", responds([says("half")], { reason: "unfinished" }), "provider_interrupted", /stopped/],
    ["cut", { ...responds([says("half")], { reason: "unfinished" }), ending: "reset" }, "provider_interrupted", /./],
  ];
  for (const [what, script, code, words] of table) {
    const events = await withVendor(script, (vendor) => collect(open(vendor), request()));
    const last = events.at(-1);
    assert.ok(last?.type === "failed" && last.code === code, `${what}: ${JSON.stringify(last)}`);
    assert.match(last.message, words, what);
    assert.ok(!last.message.includes(KEY), what);
  }
});

Deno.test("stream() gives the second request what is left of the time", async () => {
  const script: Script = (body) => {
    if (previousOf(body)) return { ...NOT_FOUND, steps: [...pause(300), ...NOT_FOUND.steps] };
    return JSON.stringify(body["input"]).includes('"b"')
      ? responds([says("late")], { steps: waitFor(new Promise(() => {})) })
      : responds([says("Yes.")]);
  };
  await withVendor(script, async (vendor) => {
    const startedAt = performance.now();
    const [, second] = await talk(vendor, ["a", "b"], { timeoutMs: 600 });
    const last = second!.at(-1);
    assert.ok(last?.type === "failed" && last.code === "provider_timeout", JSON.stringify(last));
    assert.ok(performance.now() - startedAt < 1_400);
  });
});
