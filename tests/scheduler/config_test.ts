import assert from "node:assert/strict";
import { SchedulerConfig } from "#/scheduler/config.ts";

Deno.test("SchedulerConfig is off by default, with the reference's limits", () => {
  const scheduler = SchedulerConfig.parse({});
  assert.equal(scheduler.enabled, false);
  assert.equal(scheduler.min_interval_secs, 60);
  assert.equal(scheduler.default_timezone, "Asia/Kolkata");
  assert.equal(scheduler.notify_after_failures, 3);
});

Deno.test("SchedulerConfig takes 0 for notify_after_failures only, and a real zone", () => {
  assert.ok(SchedulerConfig.safeParse({ notify_after_failures: 0 }).success);
  assert.ok(!SchedulerConfig.safeParse({ max_turns: 0 }).success);
  assert.ok(!SchedulerConfig.safeParse({ default_timezone: "Moon/Base" }).success);
});
