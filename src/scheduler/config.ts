import { z } from "zod";
import { cost, count, seconds, timezone } from "#/lib/field.ts";

/** `[scheduler]`. Defaults are the reference's; `notify_after_failures = 0` says nothing about failures. */
export const SchedulerConfig = z.strictObject({
  enabled: z.boolean().default(false),
  poll_interval_secs: seconds().default(15),
  max_concurrent: count(1_000).default(2),
  max_schedules_per_user: count(100_000).default(50),
  max_turns: count(100_000).default(10),
  max_cost: cost().default(0.5),
  max_run_history: count(100_000).default(20),
  min_interval_secs: count().default(60),
  default_timezone: timezone().default("Asia/Kolkata"),
  auto_disable_after_failures: count(100_000).default(5),
  notify_after_failures: z.int().min(0).max(100_000).default(3),
});
export type SchedulerConfig = z.infer<typeof SchedulerConfig>;
