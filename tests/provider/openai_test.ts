import assert from "node:assert/strict";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { openOpenAi } from "#/provider/openai.ts";
import { collect, textOf } from "../contract/provider_contract.ts";
import {
  chunk,
  interleave,
  ping,
  raw,
  reasoning,
  type Reply,
  reply,
  text,
  toolCall,
  usage,
} from "../fake/openai_reply.ts";
import { SCRIPTS } from "../fake/openai_scripts.ts";
import { type Script, startFakeOpenAi, withVendor } from "../fake/openai_server.ts";

const KEY = "sk-test-1234567890";

function request(prompt = "Hi", more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "fake-1", messages: [{ role: "user", content: prompt }], tools: [], timeoutMs: 20_000, ...more };
}

function open(vendor: { readonly url: string }, more: Partial<Parameters<typeof openOpenAi>[0]> = {}) {
  return openOpenAi({ name: "acme", baseUrl: vendor.url, apiKey: new Secret(KEY), fetch, ...more });
}

function ask(script: Script | Reply, more: Partial<Parameters<typeof openOpenAi>[0]> = {}): Promise<ModelEvent[]> {
  return withVendor(script, (vendor) => collect(open(vendor, more), request()));
}

Deno.test("openOpenAi() sends the key and the headers of its entry, and nothing about the machine", async () => {
  await withVendor(reply([text("Hi")]), async (vendor) => {
    await collect(open(vendor, { extraHeaders: { "X-Title": "Oxydra" } }), request());
    const { headers, path, body } = vendor.requests[0]!;
    assert.equal(path, "/v1/chat/completions");
    assert.equal(headers["authorization"], `Bearer ${KEY}`);
    assert.equal(headers["x-title"], "Oxydra");
    assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith("x-stainless")), []);
    assert.deepEqual(body.stream_options, { include_usage: true });
    assert.equal(body.tools, undefined);
  });
});

Deno.test("stream() yields text, reasoning, whole tool calls, usage and the finish reason, in any fragmentation", async () => {
  const pieces = [
    reasoning("Thinking… 🧠"),
    reasoning("More.", "reasoning"),
    ping(),
    text("Grüße, 世界 🌊 and more", { deltas: 9 }),
    interleave(
      toolCall("file_read", { path: "/shared/ä.txt" }, { index: 0, fragments: 6, splitName: true }),
      toolCall("file_list", { path: "/tmp" }, { index: 1, fragments: 4, repeatHead: true }),
    ),
    chunk({ choices: [] }),
    chunk({ choices: [{ index: 1, delta: { content: "another choice" } }] }),
  ];
  for (const newline of ["\n", "\r\n"] as const) {
    for (const fragmentBytes of [0, 1, 7, 100]) {
      const events = await ask(reply(pieces, { fragmentBytes, newline, usage: usage(11, 7, 3) }));
      assert.equal(textOf(events), "Grüße, 世界 🌊 and more");
      assert.equal(events.map((event) => event.type === "reasoning" ? event.text : "").join(""), "Thinking… 🧠More.");
      assert.deepEqual(events.slice(-4), [
        { type: "tool_call", call: { id: "call_0", name: "file_read", arguments: '{"path":"/shared/ä.txt"}' } },
        { type: "tool_call", call: { id: "call_1", name: "file_list", arguments: '{"path":"/tmp"}' } },
        { type: "usage", usage: { promptTokens: 11, completionTokens: 7, cachedTokens: 3, totalTokens: 18 } },
        { type: "done", finishReason: "tool_calls" },
      ], `${fragmentBytes} ${JSON.stringify(newline)}`);
    }
  }
});

Deno.test("stream() ends well when the vendor marks the end in its own way", async () => {
  const ends: readonly (readonly [what: string, reply: Reply, finish: string])[] = [
    ["no [DONE]", reply([text("Hi")], { done: false }), "stop"],
    ["no finish reason", reply([text("Hi")], { finish: null }), "stop"],
    ["no finish reason, byte by byte", reply([text("Hi")], { finish: null, fragmentBytes: 1 }), "stop"],
    ["no finish reason, a call", reply([text("Hi"), toolCall("a", {})], { finish: null }), "tool_calls"],
    ["broken after the finish reason", reply([text("Hi")], { done: false, ending: "cut" }), "stop"],
    ["nothing after [DONE] counts", reply([text("Hi"), raw("")], { ending: "cut" }), "stop"],
    ["length", reply([text("Hi")], { finish: "length" }), "length"],
    ["no empty line at the end", reply([text("Hi"), raw("data: [DONE]")], { finish: null, done: false }), "stop"],
  ];
  for (const [what, script, finish] of ends) {
    const events = await ask(script);
    assert.equal(textOf(events), "Hi", what);
    assert.deepEqual(events.at(-1), { type: "done", finishReason: finish }, what);
  }
});

Deno.test("stream() drops 10 MB of arguments while they come, and keeps broken JSON as it is", async () => {
  const huge = await ask(SCRIPTS["huge_args"]!);
  const call = huge.find((event) => event.type === "tool_call")!;
  assert.deepEqual(call, {
    type: "tool_call",
    call: { id: "call_0", name: "file_write", arguments: "", droppedBytes: 10_000_039 },
  });
  const broken = (await ask(SCRIPTS["broken_args"]!)).find((event) => event.type === "tool_call");
  assert.equal(broken?.type === "tool_call" && broken.call.arguments, '{"path": "/shared/a');
});

Deno.test("stream() works in a process that may reach one port and nothing else", async () => {
  const other = await startFakeOpenAi(() => reply([text("out of reach")]));
  await withVendor(reply([text("from the vendor")], { usage: usage(1, 2) }), async (vendor) => {
    const root = new URL("../../", import.meta.url).pathname;
    const env: Record<string, string> = { NO_COLOR: "1", HOME: Deno.env.get("HOME") ?? "" };
    for (const name of ["DENO_DIR", "NPM_CONFIG_REGISTRY"]) if (Deno.env.has(name)) env[name] = Deno.env.get(name)!;
    const flags = ["--no-prompt", "--cached-only", "--no-remote", "--frozen", `--config=${root}deno.json`];
    const run = (permission: string) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", ...flags, permission, `${root}tests/provider/openai_child.ts`, vendor.url, other.url],
        clearEnv: true,
        env,
      }).output();
    const narrow = await run(`--allow-net=127.0.0.1:${vendor.port}`);
    assert.equal(new TextDecoder().decode(narrow.stderr), "");
    assert.deepEqual(JSON.parse(new TextDecoder().decode(narrow.stdout)), {
      said: "from the vendor",
      granted: [],
      elsewhere: `This process may not connect to 127.0.0.1:${other.port}: its --allow-net does not name it.`,
    });
    assert.equal(other.seen.length, 0);
    const wide = await run("-A");
    assert.equal(JSON.parse(new TextDecoder().decode(wide.stdout)).elsewhere, "out of reach");
  });
  await other.close();
});
