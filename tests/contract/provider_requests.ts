/** What each provider sends for the shared conversations, compared with what was reviewed: `deno test -A … -- --update` writes it anew. */
import assert from "node:assert/strict";
import type { Message } from "#/core/message.ts";
import type { Dialect, Said } from "../fake/dialect.ts";
import { KEY, openAgainst, saying, stream, testDialect } from "./dialect_kit.ts";
import { CONVERSATIONS } from "./conversations.ts";
import { collect } from "./provider_contract.ts";
import { assertSpeakable } from "./provider_faults.ts";
import { withVendor } from "../fake/openai_server.ts";

/** Runs every conversation against its snapshot in `__snapshots__/<type>.json`. */
export function testRequests(dialect: Dialect): void {
  const path = new URL(`__snapshots__/${dialect.type}.json`, import.meta.url);
  testDialect(dialect, `stream() sends ${CONVERSATIONS.size} conversations as their snapshots say`, async () => {
    const sent: Record<string, unknown> = {};
    for (const [name, request] of CONVERSATIONS) {
      sent[name] = await withVendor(stream(saying(dialect, [{ kind: "text", text: "Hi" }])), async (vendor) => {
        const last = (await collect(await openAgainst(dialect, vendor), request)).at(-1);
        if (last?.type !== "failed") {
          assert.equal(vendor.requests.length, 1, name);
          assert.ok(!JSON.stringify(vendor.requests[0]!.body).includes(KEY));
          return vendor.requests[0]!.body;
        }
        assert.equal(vendor.seen.length, 0, `${name}: refused after it was sent`);
        assert.deepEqual([last.code, last.retryable], ["provider_rejected", false], name);
        assertSpeakable(last.message);
        return { refused: last.message };
      });
    }
    sent["what follows its own reply"] = await sendOwnReply(dialect);
    if (Deno.args.includes("--update")) await Deno.writeTextFile(path, `${JSON.stringify(sent, null, 2)}\n`);
    assert.deepEqual(sent, JSON.parse(await Deno.readTextFile(path)));
  });
}

/** A reply that thinks, speaks and calls two tools goes back with their results, and whatever its vendor wants to see again. */
async function sendOwnReply(dialect: Dialect): Promise<unknown> {
  const said: readonly Said[] = [
    { kind: "reasoning", text: "Both files, then." },
    { kind: "text", text: "I read both." },
    { kind: "call", id: "call_a", name: "file_read", args: '{"path":"/shared/a"}' },
    { kind: "call", id: "call_b", name: "file_read", args: '{"path":"/shared/b"}' },
  ];
  return await withVendor(stream(saying(dialect, said, { reason: "tool_calls" })), async (vendor) => {
    const provider = await openAgainst(dialect, vendor);
    const first = CONVERSATIONS.get("tools offered")!;
    const events = await collect(provider, first);
    const toolCalls = events.flatMap((event) => event.type === "tool_call" ? [event.call] : []);
    const replay = events.find((event) => event.type === "replay")?.replay;
    const reply: Message = { role: "assistant", content: "I read both.", toolCalls, ...(replay ? { replay } : {}) };
    const results = toolCalls.map(({ id, name }): Message => ({
      role: "tool",
      toolCallId: id,
      name,
      content: id,
      ok: true,
    }));
    await collect(provider, { ...first, messages: [...first.messages, reply, ...results] });
    return vendor.requests[1]!.body;
  });
}
