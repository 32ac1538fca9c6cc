/** The demo: what applies to a provider without a vendor. */
import assert from "node:assert/strict";
import { openProvider } from "#/provider/registry.ts";
import { CONVERSATIONS } from "./conversations.ts";
import { toRequest } from "./dialect_kit.ts";
import { collect, testProvider } from "./provider_contract.ts";

/** No network and no key: whoever asks for either fails the test. */
const NOTHING: typeof fetch = () => assert.fail("the demo asked the network");
const TOOLS = [{ name: "file_read", description: "Reads a file.", parameters: { type: "object" } }];

function say(content: string) {
  return toRequest({ model: "demo", messages: [{ role: "user", content }], tools: TOOLS });
}

testProvider("demo", async () => ({
  provider: await openProvider("demo", { name: "demo", fetch: NOTHING }),
  talk: say("hello"),
  act: say("read /shared/a.txt"),
  close: () => Promise.resolve(),
}));

Deno.test("demo: stream() cancelled after each of its events says cancelled and nothing more", async () => {
  const provider = await openProvider("demo", { name: "demo", fetch: NOTHING });
  const all = await collect(provider, say("hello"));
  for (let at = 1; at < all.length - 1; at++) {
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const event of provider.stream(say("hello"), controller.signal)) {
      seen.push(event.type === "failed" ? event.code : event.type);
      if (seen.length === at) controller.abort();
    }
    assert.deepEqual(seen, [...all.slice(0, at).map(({ type }) => type), "cancelled"]);
  }
});

Deno.test("demo: stream() says the same to the same, and takes any conversation", async () => {
  const provider = await openProvider("demo", { name: "demo", fetch: NOTHING });
  assert.deepEqual(await collect(provider, say("hello")), await collect(provider, say("hello")));
  for (const [name, request] of CONVERSATIONS) {
    assert.equal((await collect(provider, { ...request, model: "demo" })).at(-1)?.type, "done", name);
  }
});
