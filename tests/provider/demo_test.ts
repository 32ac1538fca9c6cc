import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { ModelRequest, ToolSchema } from "#/core/provider.ts";
import { DEMO_HELP, openDemo, planReply } from "#/provider/demo.ts";
import { collect, textOf } from "../contract/provider_contract.ts";

const TOOLS: readonly ToolSchema[] = ["read", "list", "search", "write", "edit", "delete"].map((name) => ({
  name: `file_${name}`,
  description: "",
  parameters: {},
}));

function request(messages: readonly Message[], tools = TOOLS): ModelRequest {
  return { model: "demo", messages, tools, timeoutMs: 1_000 };
}

/** A tool as a Map of files; denies what lies outside the roots. */
function runTool(
  files: Map<string, string>,
  name: string,
  args: Record<string, string>,
): { ok: boolean; text: string } {
  const path = args["path"]!;
  const text = files.get(path);
  if (!/^\/(shared|tmp)\//.test(`${path}/`)) {
    return { ok: false, text: `${path} lies outside /shared, /tmp and /vault` };
  }
  switch (name) {
    case "file_write":
      files.set(path, args["content"]!);
      return { ok: true, text: `created ${path}` };
    case "file_list":
      return { ok: true, text: [...files.keys()].filter((file) => file.startsWith(path)).join("\n") };
    case "file_search":
      return {
        ok: true,
        text: [...files].filter(([, content]) => content.includes(args["pattern"]!)).map(([file]) => file).join(),
      };
  }
  if (text === undefined) return { ok: false, text: `${path} does not exist` };
  if (name === "file_read") return { ok: true, text };
  if (name === "file_delete") files.delete(path);
  if (name === "file_edit") {
    if (text.split(args["old_text"]!).length !== 2) return { ok: false, text: "old_text must match once" };
    files.set(path, text.replaceAll(args["old_text"]!, args["new_text"]!));
  }
  return { ok: true, text: "done" };
}

/** Drives the demo as a turn does; returns the conversation after it. */
async function converse(prompt: string, files: Map<string, string>, before: readonly Message[] = []) {
  const messages: Message[] = [...before, { role: "user", content: prompt }];
  const tools: string[] = [];
  for (let step = 0; step < 20; step++) {
    const events = await collect(openDemo(), request(messages));
    const toolCalls = events.flatMap((event) => event.type === "tool_call" ? [event.call] : []);
    messages.push({ role: "assistant", content: textOf(events), toolCalls });
    if (toolCalls.length === 0) return { messages, tools, text: textOf(events), events };
    for (const call of toolCalls) {
      tools.push(call.name);
      const result = runTool(files, call.name, JSON.parse(call.arguments));
      messages.push({ role: "tool", toolCallId: call.id, name: call.name, content: result.text, ok: result.ok });
    }
  }
  assert.fail("the demo did not come to an end");
}

Deno.test("openDemo() writes a haiku and reads it back, in several model steps", async () => {
  const files = new Map<string, string>();
  const { text, tools } = await converse("write a haiku about rivers to /shared/haiku.txt, then read it back", files);
  assert.deepEqual(tools, ["file_write", "file_read"]);
  const written = files.get("/shared/haiku.txt")!;
  assert.ok(written.includes("rivers"));
  assert.ok(text.includes(written.trimEnd()), text);
  assert.match(text, /demo model/);
});

Deno.test("openDemo() does a job of any topic, file and folder, with an edit and a search", async () => {
  const [topic, folder, file] = ["volcanoes", "/shared/n-7f3a", "f-91c2.md"];
  const files = new Map<string, string>();
  const { text, tools } = await converse(
    `write a haiku about ${topic} to ${folder}/${file}, then replace "${topic}" with "glaciers" in it, ` +
      `search for "glaciers" in ${folder}, and then read it back`,
    files,
  );
  assert.deepEqual(tools, ["file_write", "file_edit", "file_search", "file_read"]);
  const content = files.get(`${folder}/${file}`)!;
  assert.ok(content.includes("glaciers") && !content.includes(topic));
  assert.ok(text.includes(content.trimEnd()) && text.includes(`found:`));
});

Deno.test("openDemo() knows what it is about in the next turn", async () => {
  const files = new Map<string, string>();
  const first = await converse('write "one line" to /tmp/a.txt', files);
  assert.equal(files.get("/tmp/a.txt"), "one line");
  const second = await converse("read it back", files, first.messages);
  assert.ok(second.text.includes("one line"));
  const third = await converse("delete it", files, second.messages);
  assert.deepEqual([third.tools, files.size], [["file_delete"], 0]);
});

Deno.test("openDemo() reports a refusal plainly and stops there", async () => {
  const files = new Map<string, string>();
  const denied = await converse("read /etc/passwd, then delete /etc/passwd", files);
  assert.deepEqual(denied.tools, ["file_read"]);
  assert.match(
    denied.text,
    /did not work \(read \/etc\/passwd\): \/etc\/passwd lies outside.*I did not go on with the rest/,
  );
  const missing = await converse("read /shared/none.txt", files);
  assert.match(missing.text, /none\.txt does not exist/);
});

Deno.test("openDemo() says what it is when it does not understand, and how to set a key", async () => {
  const { text, tools } = await converse("what is the meaning of life?", new Map());
  assert.deepEqual(tools, []);
  assert.ok(text.startsWith('I do not understand "what is the meaning of life"') && text.endsWith(DEMO_HELP));
  assert.match(text, /oxydra setup, or export OPENAI_API_KEY/);
  assert.ok((await converse("x".repeat(400_000), new Map())).text.length < 2_000);
});

Deno.test("openDemo() says when a tool is not offered", async () => {
  const events = await collect(openDemo(), request([{ role: "user", content: "read /shared/a.txt" }], []));
  assert.match(textOf(events), /would need the tool file_read/);
  assert.equal(events.at(-1)?.type, "done");
});

Deno.test("openDemo() quotes a text with fences as one block, and cuts a long one", async () => {
  const files = new Map([["/shared/a.md", "```js\nx\n```\n"], ["/shared/b.txt", "y".repeat(100_000)]]);
  assert.ok((await converse("read /shared/a.md", files)).text.includes("````\n```js\nx\n```\n````"));
  const { text } = await converse("read /shared/b.txt", files);
  assert.ok(text.length < 5_000 && text.includes("[cut]"));
});

Deno.test("planReply() copes with a conversation of any shape", () => {
  const shapes: readonly (readonly Message[])[] = [
    [],
    [{ role: "system", content: "S" }],
    [{ role: "assistant", content: "A", toolCalls: [{ id: "1", name: "x", arguments: "{broken" }] }],
    [{ role: "user", content: "" }],
    [{ role: "tool", toolCallId: "1", name: "x", content: "", ok: true }, { role: "user", content: "read it back" }],
  ];
  for (const messages of shapes) {
    assert.equal(planReply(request(messages), () => "id").at(-1)?.type, "done", JSON.stringify(messages));
  }
});
