import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { findChain, fingerprint, toReplay } from "#/provider/responses_chain.ts";

const SYSTEM: Message = { role: "system", content: "S" };
const QUESTION: Message = { role: "user", content: "U", attachments: [{ mimeType: "image/png", data: "AAAA" }] };
const NEXT: Message = { role: "user", content: "And now?" };

async function replied(before: readonly Message[], more: { provider?: string; model?: string; data?: unknown } = {}) {
  const data = { kept: { id: "resp_1", covers: await fingerprint(before) } };
  const replay = { provider: "acme", model: "m", data, ...more };
  return { role: "assistant", content: "A", toolCalls: [], replay } as const;
}

function find(messages: readonly Message[]) {
  const request: ModelRequest = { model: "m", messages, tools: [], timeoutMs: 1_000 };
  return findChain(request, "acme");
}

Deno.test("findChain() goes on from the last reply when all before it is what that answered", async () => {
  const messages = [SYSTEM, QUESTION, await replied([SYSTEM, QUESTION]), NEXT];
  assert.deepEqual(await find(messages), { id: "resp_1", from: 3 });
  const [, ...rest] = messages;
  assert.deepEqual(await find([{ role: "system", content: "another prompt" }, ...rest]), { id: "resp_1", from: 3 });
});

Deno.test("findChain() goes on from nothing that the window does not show as it was", async () => {
  const answer = await replied([SYSTEM, QUESTION]);
  const windows: Readonly<Record<string, readonly Message[]>> = {
    dropped: [SYSTEM, answer, NEXT],
    summarised: [SYSTEM, { role: "user", content: "[summary]" }, answer, NEXT],
    "without its picture": [SYSTEM, { role: "user", content: "U" }, answer, NEXT],
    "more than then": [SYSTEM, NEXT, { role: "assistant", content: "X", toolCalls: [] }, QUESTION, answer, NEXT],
    "another reply since": [SYSTEM, QUESTION, answer, NEXT, { role: "assistant", content: "B", toolCalls: [] }, NEXT],
    "nothing new": [SYSTEM, QUESTION, answer],
    "no reply yet": [SYSTEM, QUESTION],
  };
  for (const [what, window] of Object.entries(windows)) assert.equal(await find(window), undefined, what);
});

Deno.test("findChain() uses nothing that another entry, another model or somebody else left there", async () => {
  const foreign = [
    { provider: "other" },
    { model: "m-2" },
    { data: null },
    { data: { kept: { id: "", covers: "" } } },
    { data: { kept: "resp_1" } },
    { data: {} },
  ];
  for (const more of foreign) {
    assert.equal(await find([QUESTION, await replied([QUESTION], more), NEXT]), undefined, JSON.stringify(more));
  }
});

Deno.test("fingerprint() tells what the vendor is shown, however the message came to be", async () => {
  const call = { id: "c", name: "t", arguments: "{}" };
  const made: Message = { role: "assistant", content: "A", toolCalls: [call] };
  const read: Message = JSON.parse(
    '{"toolCalls":[{"arguments":"{}","name":"t","id":"c"}],"content":"A","role":"assistant"}',
  );
  assert.equal(await fingerprint([SYSTEM, made]), await fingerprint([read]));
  assert.notEqual(await fingerprint([made]), await fingerprint([{ ...made, content: "B" }]));
  assert.match(await fingerprint([]), /^[0-9a-f]{64}$/);
});

Deno.test("toReplay() gives back what this entry kept, loosely", () => {
  const thoughts = {
    type: "reasoning",
    id: "rs_1",
    summary: [{ type: "summary_text", text: "T" }],
    encrypted_content: "x",
  };
  const message = (data: unknown): Message => {
    return { role: "assistant", content: "A", toolCalls: [], replay: { provider: "acme", model: "m", data } };
  };
  assert.deepEqual(toReplay(message({ thoughts: { ...thoughts, status: "completed" }, more: 1 }), "acme", "m"), {
    thoughts,
  });
  assert.equal(toReplay(message({ thoughts: { ...thoughts, encrypted_content: "" } }), "acme", "m"), undefined);
  assert.equal(toReplay(NEXT, "acme", "m"), undefined);
  assert.equal(toReplay(undefined, "acme", "m"), undefined);
});
