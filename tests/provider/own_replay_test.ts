import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { isMadeBy, withOwnReplay } from "#/provider/own_replay.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";

const REPLAY = { provider: "acme", model: "m", data: { seal: 1 } };
const CALL = { id: "c", name: "n", arguments: "{}" };

/** A provider that remembers what it was asked, and sends what a vendor wants back. */
function vendor(asked: ModelRequest[] = []): WarmProvider {
  return {
    name: "acme",
    warm: () => Promise.resolve(),
    async *stream(request): AsyncGenerator<ModelEvent> {
      asked.push(request);
      yield { type: "tool_call", call: { ...CALL, metadata: { sign: "s" } } };
      yield { type: "tool_call", call: CALL };
      yield { type: "replay", replay: REPLAY };
      yield { type: "done", finishReason: "stop" };
    },
  };
}

async function ask(provider: WarmProvider, messages: readonly Message[]): Promise<ModelEvent[]> {
  const request = { model: "m", messages, tools: [], timeoutMs: 1_000 };
  return await Array.fromAsync(provider.stream(request, new AbortController().signal));
}

Deno.test("withOwnReplay() marks what a vendor wants back with its address, and nothing else", async () => {
  const provider = withOwnReplay(vendor(), "a:443");
  assert.equal(provider.name, "acme");
  await provider.warm();
  assert.deepEqual(await ask(provider, []), [
    { type: "tool_call", call: { ...CALL, metadata: { sign: "s", at: "a:443" } } },
    { type: "tool_call", call: CALL },
    { type: "replay", replay: { ...REPLAY, at: "a:443" } },
    { type: "done", finishReason: "stop" },
  ]);
});

Deno.test("withOwnReplay() sends it to that address only", async () => {
  const said = (at: object): Message => ({
    role: "assistant",
    content: "Hi",
    toolCalls: [{ ...CALL, metadata: { sign: "s", ...at } }],
    replay: { ...REPLAY, ...at },
  });
  const user: Message = { role: "user", content: "hello" };
  const asked: ModelRequest[] = [];
  await ask(withOwnReplay(vendor(asked), "a:443"), [user, said({ at: "a:443" }), said({ at: "b:443" }), said({})]);
  const bare = { role: "assistant", content: "Hi", toolCalls: [CALL] };
  assert.deepEqual(asked[0]!.messages, [user, said({ at: "a:443" }), bare, bare]);
});

Deno.test("isMadeBy() wants the entry and the model", () => {
  const name = { provider: "a", model: "m" };
  assert.ok(isMadeBy(name, name));
  for (const other of [undefined, { provider: "b", model: "m" }, { provider: "a", model: "n" }]) {
    assert.equal(isMadeBy(other, name), false);
  }
});
