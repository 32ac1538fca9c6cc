/** One turn of two tool steps against each wire format: the same work, the same events, whatever the vendor speaks. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DIALECTS } from "../contract/dialects.ts";
import { saying, stream } from "../contract/dialect_kit.ts";
import type { Dialect, Said } from "../fake/dialect.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { checkSeqs, eventsOf, readEvents, shownText } from "../fixture/events.ts";
import { makeMachine, runOxydra, vendorEnv } from "../fixture/system.ts";

const CONTENT = "erste Zeile\nzweite: “ü” 🌊\n";

/** How each vendor is told to think little. */
const EFFORT: Readonly<Record<Dialect["type"], RegExp>> = {
  openai: /"reasoning_effort":"low"/,
  openai_responses: /"reasoning":\{"effort":"low"/,
  anthropic: /"thinking":\{"type":"enabled","budget_tokens":\d+/,
  gemini: /"thinkingConfig":\{[^}]*"thinking(Budget|Level)"/,
};

/** A write, then a read and a list at once, then an answer: what comes next is read from the request, in which a chain may leave out the rest. */
function say(dialect: Dialect, request: string): string[] {
  const n = request.includes("call_c") ? 2 : request.includes("call_a") ? 1 : 0;
  const call = (id: string, name: string, args: unknown): Said => {
    return { kind: "call", id, name, args: JSON.stringify(args), fragments: 9 };
  };
  const usage = { promptTokens: 100, completionTokens: 20, cachedTokens: 40, totalTokens: 120 };
  const steps: readonly (readonly Said[])[] = [
    [{ kind: "text", text: "I write. " }, call("call_a", "file_write", { path: "/shared/ü.txt", content: CONTENT })],
    [call("call_b", "file_read", { path: "/shared/ü.txt" }), call("call_c", "file_list", { path: "/shared" })],
    [{ kind: "text", text: "All done." }],
  ];
  return saying(dialect, steps[n]!, { reason: n < 2 ? "tool_calls" : "stop", usage });
}

for (const dialect of DIALECTS) {
  Deno.test(`oxydra run does a job of two tool steps in the wire format of ${dialect.type}`, async () => {
    const vendor = await startFakeOpenAi((body) => stream(say(dialect, JSON.stringify(body))));
    const { cwd, env } = await makeMachine();
    const type = {
      OXYDRA__PROVIDERS__REGISTRY__FAKE__PROVIDER_TYPE: dialect.type,
      OXYDRA__PROVIDERS__REGISTRY__FAKE__REASONING: "true",
      OXYDRA__SELECTION__REASONING_EFFORT: "low",
    };
    const options = { cwd, env: { ...env, ...vendorEnv(vendor.url.replace(/\/v1$/, "")), ...type } };
    try {
      const { code, out, err } = await runOxydra(["run", "--json", "Do it."], options);
      assert.equal(code, 0, err);
      const events = readEvents(out);
      checkSeqs(events);
      assert.equal(shownText(events), "I write. All done.");
      assert.equal(await Deno.readTextFile(join(cwd, ".oxydra/workspaces/default/shared/ü.txt")), CONTENT);
      const results = eventsOf(events, "tool_result").map(({ payload }) => [payload.tool, payload.ok]);
      assert.deepEqual(results, [["file_write", true], ["file_read", true], ["file_list", true]]);
      const [done] = eventsOf(events, "turn_done");
      const { promptTokens, completionTokens, cachedTokens } = done!.payload.usage;
      assert.deepEqual({ promptTokens, completionTokens, cachedTokens }, {
        promptTokens: 300,
        completionTokens: 60,
        cachedTokens: 120,
      });
      assert.match(JSON.stringify(vendor.requests[0]!.body), EFFORT[dialect.type]);
      // What the tools said is in the next request, as the vendor wants it.
      assert.ok(JSON.stringify(vendor.requests.at(-1)!.body).includes("zweite: “ü” 🌊"));
    } finally {
      await vendor.close();
      await Deno.remove(join(cwd, ".."), { recursive: true });
    }
  });
}
