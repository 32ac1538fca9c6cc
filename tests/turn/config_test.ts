import assert from "node:assert/strict";
import { AgentDefinition, RuntimeConfig } from "#/turn/config.ts";

Deno.test("RuntimeConfig bounds every budget", () => {
  assert.equal(RuntimeConfig.parse({}).max_turns, 100);
  for (
    const bad of [
      { max_turns: 0 },
      { turn_timeout_secs: 0 },
      { turn_timeout_secs: 2_147_484 },
      { max_cost: 0 },
      { max_cost: Infinity },
      { context_budget: { trigger_ratio: 1.5 } },
      { context_budget: { safety_buffer_tokens: 0 } },
      { summarization: { min_turns: 0 } },
    ]
  ) assert.ok(!RuntimeConfig.safeParse(bad).success, JSON.stringify(bad));
});

Deno.test("AgentDefinition needs nothing and refuses an unknown key", () => {
  assert.deepEqual(AgentDefinition.parse({}), {});
  assert.deepEqual(AgentDefinition.parse({ tools: [] }), { tools: [] });
  assert.ok(!AgentDefinition.safeParse({ tool: [] }).success);
});
