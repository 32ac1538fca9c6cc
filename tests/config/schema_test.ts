import assert from "node:assert/strict";
import { AgentFile, Config, ConfigVersion, ObservabilityConfig, RunnerFile, UserFile } from "#/config/schema.ts";

Deno.test("Config has the reference's defaults, and memory on", () => {
  const config = Config.parse({});
  assert.deepEqual(config.runtime, {
    turn_timeout_secs: 60,
    max_turns: 100,
    context_budget: { trigger_ratio: 0.85, safety_buffer_tokens: 1024, fallback_max_context_tokens: 128_000 },
    summarization: { target_ratio: 0.5, min_turns: 6 },
  });
  const { cooldown_secs, ...reference } = config.reliability;
  assert.deepEqual(reference, { max_attempts: 3, backoff_base_ms: 250, backoff_max_ms: 2000, jitter: false });
  assert.equal(cooldown_secs, 60);
  assert.equal(config.memory.enabled, true);
  assert.equal(config.scheduler.enabled, false);
  assert.equal(ObservabilityConfig.parse({}).exporter, "otlp");
});

Deno.test("AgentFile, RunnerFile and UserFile hold their own keys only", () => {
  assert.ok(!AgentFile.safeParse({ runner: {} }).success);
  assert.ok(!RunnerFile.safeParse({ selection: {} }).success);
  assert.ok(!UserFile.safeParse({ web: {} }).success);
});

Deno.test("ConfigVersion takes major version 1 only", () => {
  for (const good of ["1", "1.0", "1.0.1", "1.99.3"]) assert.ok(ConfigVersion.safeParse(good).success, good);
  for (const bad of ["", "2.0.0", "0.9", "1.x", "10", "1.", " 1", "v1", "1.0.0.0.0", "1\n"]) {
    assert.ok(!ConfigVersion.safeParse(bad).success, bad);
  }
});
