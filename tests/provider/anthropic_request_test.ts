import assert from "node:assert/strict";
import type { Message, Replay } from "#/core/message.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { type Block, toBody, type WireMessage } from "#/provider/anthropic_request.ts";

const CACHED = { cache_control: { type: "ephemeral" } };
const SEES: ModelDescriptor = {
  id: "claude-x",
  name: "X",
  contextTokens: 200_000,
  outputTokens: 32_000,
  input: ["text", "image", "pdf"],
  output: ["text"],
  toolCall: true,
  reasoning: true,
  structuredOutput: true,
  source: "test",
};
const READ = { name: "file_read", description: "Reads", parameters: { type: "object" } };
const LIST = { name: "file_list", description: "Lists", parameters: { type: "object" } };

function body(
  messages: readonly Message[],
  more: Partial<ModelRequest> = {},
  isSent: (replay: Replay) => boolean = () => true,
) {
  return toBody({ model: "claude-x", messages, tools: [], timeoutMs: 1_000, ...more }, isSent);
}

function contentsOf(messages: readonly Message[], more?: Partial<ModelRequest>): Block[][] {
  return (body(messages, more)["messages"] as WireMessage[]).map(({ content }) => content.map(bare));
}

function bare(block: Block): Block {
  const { cache_control: _, ...rest } = block;
  return rest as Block;
}

const user = (content: string): Message => ({ role: "user", content });
const said = (content: string, calls: readonly string[] = [], replay?: Replay): Message => ({
  role: "assistant",
  content,
  toolCalls: calls.map((id) => ({ id, name: "file_read", arguments: `{"path":"/shared/${id}"}` })),
  ...(replay ? { replay } : {}),
});
const result = (id: string, content: string, ok = true): Message => ({
  role: "tool",
  toolCallId: id,
  name: "file_read",
  content,
  ok,
});
const use = (id: string) => ({ type: "tool_use", id, name: "file_read", input: { path: `/shared/${id}` } });
const text = (content: string) => ({ type: "text", text: content });

Deno.test("toBody() writes a whole conversation in the wire form", () => {
  const replay = {
    provider: "anthropic",
    model: "claude-x",
    data: [
      { type: "thinking", thinking: "two files", signature: "s1" },
      { type: "text", chars: 5 },
      { type: "tool_use" },
      { type: "tool_use" },
    ],
  };
  assert.deepEqual(
    body(
      [
        { role: "system", content: "Be good." },
        { role: "system", content: "Today is Monday." },
        user("Read both"),
        said("Yes: ", ["a", "b"], replay),
        result("a", "text of a"),
        result("b", "no such file", false),
        said("Done."),
        {
          role: "user",
          content: "And this?",
          attachments: [
            { mimeType: "image/png", data: "AAAA" },
            { mimeType: "application/pdf", data: "BBBB" },
            { mimeType: "text/plain; charset=utf-8", data: btoa("hello") },
          ],
        },
      ],
      {
        tools: [READ, LIST],
        reasoning: "high",
        descriptor: SEES,
        outputSchema: { name: "o", schema: { type: "object" } },
      },
    ),
    {
      model: "claude-x",
      max_tokens: 32_000,
      stream: true,
      tools: [
        { name: "file_read", description: "Reads", input_schema: { type: "object" } },
        { name: "file_list", description: "Lists", input_schema: { type: "object" }, ...CACHED },
      ],
      system: [{ type: "text", text: "Be good.\n\nToday is Monday.", ...CACHED }],
      messages: [
        { role: "user", content: [text("Read both")] },
        {
          role: "assistant",
          content: [{ type: "thinking", thinking: "two files", signature: "s1" }, text("Yes: "), use("a"), use("b")],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "a", content: [text("text of a")] },
            { type: "tool_result", tool_use_id: "b", content: [text("no such file")], is_error: true, ...CACHED },
          ],
        },
        { role: "assistant", content: [text("Done.")] },
        {
          role: "user",
          content: [
            { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
            { type: "document", source: { type: "base64", media_type: "application/pdf", data: "BBBB" } },
            { type: "document", source: { type: "text", media_type: "text/plain", data: "hello" } },
            { ...text("And this?"), ...CACHED },
          ],
        },
      ],
      thinking: { type: "enabled", budget_tokens: 24_000 },
      output_config: { format: { type: "json_schema", schema: { type: "object" } } },
    },
  );
});

Deno.test("toBody() is as small as it can be", () => {
  assert.deepEqual(body([user("Hi")]), {
    model: "claude-x",
    max_tokens: 8_192,
    stream: true,
    messages: [{ role: "user", content: [{ ...text("Hi"), ...CACHED }] }],
  });
  assert.equal(body([user("Hi")], { maxOutputTokens: 9, descriptor: SEES })["max_tokens"], 9);
});

Deno.test("toBody() sets at most four cache markers, the last at the end and where the step before ended", () => {
  const steps = Array.from({ length: 6 }, (_, at) => [said("", [`c${at}`]), result(`c${at}`, "r")]).flat();
  const sent = body([{ role: "system", content: "S" }, user("U"), ...steps], { tools: [READ] });
  assert.equal(JSON.stringify(sent).split('"cache_control"').length - 1, 4);
  const marked = (sent["messages"] as WireMessage[]).flatMap(({ content }, at) =>
    content.some((block) => "cache_control" in block) ? [at] : []
  );
  assert.deepEqual(marked, [10, 12]);
});

Deno.test("toBody() joins neighbours of one role, leaves out what is blank, and begins with the user", () => {
  assert.deepEqual(contentsOf([user("a"), user(" \n"), user("b"), said("  "), user("c")]), [
    [text("a"), text("b"), text("c")],
  ]);
  assert.deepEqual(contentsOf([user("a"), said("b"), said("c"), user("d")]), [[text("a")], [text("b"), text("c")], [
    text("d"),
  ]]);
  assert.deepEqual(contentsOf([said("b"), user("c")]), [[text("[earlier messages are left out]")], [text("b")], [
    text("c"),
  ]]);
  assert.deepEqual(contentsOf([user("a"), said("", ["x"]), result("x", ""), user("next")]).at(-1), [
    { type: "tool_result", tool_use_id: "x" },
    text("next"),
  ]);
  assert.equal("system" in body([{ role: "system", content: " " }, user("a")]), false);
});

Deno.test("toBody() makes an object of any arguments, and names that the API takes", () => {
  const call = (args: string, more: object = {}) =>
    contentsOf([user("a"), {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "functions.read:0", name: "file read", arguments: args, ...more }],
    }, result("functions.read:0", "r")]);
  const [, called, answered] = call('{"a":1}');
  assert.deepEqual(called, [{ type: "tool_use", id: "functions_read_0", name: "file_read", input: { a: 1 } }]);
  assert.equal(answered![0]!["tool_use_id"], "functions_read_0");
  assert.deepEqual(call('{"a":')[1]![0]!["input"], { invalid_json: '{"a":' });
  assert.deepEqual(call("[1]")[1]![0]!["input"], { not_an_object: "[1]" });
  assert.deepEqual(call("", { droppedBytes: 9 })[1]![0]!["input"], { dropped_bytes: 9 });
  const nameless = contentsOf([user("a"), {
    role: "assistant",
    content: "",
    toolCalls: [{ id: "c", name: "", arguments: "{}" }],
  }]);
  assert.equal(nameless[1]![0]!["name"], "_");
});

Deno.test("toBody() sends thoughts back in their places, and only those that it may", () => {
  const thought = (at: number) => ({ type: "thinking", thinking: `t${at}`, signature: `s${at}` });
  const redacted = { type: "redacted_thinking", data: "xyz" };
  const replay: Replay = {
    provider: "p",
    model: "m",
    data: [
      thought(1),
      { type: "text", chars: 2 },
      redacted,
      { type: "tool_use" },
      thought(2),
      { type: "tool_use" },
    ],
  };
  const conversation = [user("a"), said("okay", ["x", "y", "z"], replay), result("x", "r")];
  const assistantOf = (isSent: boolean) =>
    (body(conversation, {}, () => isSent)["messages"] as WireMessage[])[1]!.content;
  assert.deepEqual(assistantOf(true), [
    thought(1),
    text("ok"),
    redacted,
    use("x"),
    thought(2),
    use("y"),
    text("ay"),
    use("z"),
  ]);
  assert.deepEqual(assistantOf(false), [text("okay"), use("x"), use("y"), use("z")]);
  const broken = { ...replay, data: [{ type: "thinking", thinking: 5 }] };
  assert.deepEqual(contentsOf([user("a"), said("okay", ["x"], broken)])[1], [text("okay"), use("x")]);
  const tooMany = {
    ...replay,
    data: [thought(1), { type: "text", chars: 99 }, { type: "tool_use" }, { type: "tool_use" }],
  };
  assert.deepEqual(contentsOf([user("a"), said("okay", ["x"], tooMany)])[1], [thought(1), text("okay"), use("x")]);
});

Deno.test("toBody() asks for no thought by budget in the middle of a turn that has none", () => {
  const thought = { type: "redacted_thinking", data: "d" };
  const replay = { provider: "p", model: "m", data: [thought, { type: "tool_use" }] };
  const thinks = (messages: readonly Message[]) => "thinking" in body(messages, { reasoning: "low" });
  assert.equal(thinks([user("a"), said("", ["x"]), result("x", "r")]), false);
  assert.equal(thinks([user("a"), said("", ["x"], replay), result("x", "r")]), true);
  assert.equal(thinks([user("a"), said("b"), user("c")]), true);
});

Deno.test("toBody() says how much to think and in which form, in one place", () => {
  const sent = body([user("a")], {
    model: "claude-opus-5-5",
    reasoning: "low",
    outputSchema: { name: "o", schema: {} },
  });
  assert.deepEqual(sent["output_config"], { effort: "low", format: { type: "json_schema", schema: {} } });
  assert.deepEqual(sent["thinking"], { type: "adaptive", display: "summarized" });
});

Deno.test("toBody() refuses a text file that is no UTF-8", () => {
  const attachments = [{ mimeType: "text/csv", data: btoa("\xff\xfe") }];
  assert.throws(
    () => body([{ role: "user", content: "see", attachments }]),
    { code: "provider_rejected", message: /text\/csv is not UTF-8/ },
  );
});

Deno.test("toBody() sends text of any kind as text, an empty file as a sentence", () => {
  for (
    const mimeType of ["text/markdown", "application/json", "application/xml", "image/svg+xml", "application/yaml"]
  ) {
    const [content] = contentsOf([{ role: "user", content: "", attachments: [{ mimeType, data: btoa("a: 1") }] }]);
    assert.deepEqual(content, [{ type: "document", source: { type: "text", media_type: "text/plain", data: "a: 1" } }]);
  }
  const [empty] = contentsOf([{ role: "user", content: "", attachments: [{ mimeType: "text/plain", data: "" }] }]);
  assert.deepEqual(empty![0]!["source"], { type: "text", media_type: "text/plain", data: "[the file is empty]" });
});
