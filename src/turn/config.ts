import { z } from "zod";
import { cost, count, line, ratio, seconds } from "#/lib/field.ts";

/** `[runtime]`: budgets of a turn, and when its window is summarised. */
export const RuntimeConfig = z.strictObject({
  /** Seconds of one model call. */
  turn_timeout_secs: seconds().default(60),
  /** Model calls of one turn. */
  max_turns: count(100_000).default(100),
  /** US dollars of one turn. */
  max_cost: cost().optional(),
  /** US dollars of all turns of a user from 00:00 to 24:00 UTC. */
  max_cost_per_day: cost().optional(),
  context_budget: z.strictObject({
    trigger_ratio: ratio().default(0.85),
    safety_buffer_tokens: count().default(1_024),
    fallback_max_context_tokens: count().default(128_000),
  }).prefault({}),
  summarization: z.strictObject({
    target_ratio: ratio().default(0.5),
    min_turns: count(100_000).default(6),
  }).prefault({}),
});

/** `[agents.NAME]` without its selection. `tools` absent means all; `max_turns` and `max_cost` absent mean those of `[runtime]`. */
export const AgentDefinition = z.strictObject({
  system_prompt: z.string().optional(),
  system_prompt_file: line().optional(),
  tools: z.array(line()).optional(),
  max_turns: count(100_000).optional(),
  max_cost: cost().optional(),
});
