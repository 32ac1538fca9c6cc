import assert from "node:assert/strict";
import { Bootstrap } from "#/app/bootstrap.ts";
import { toStartupStatus } from "#/runner/startup_status.ts";

Deno.test("toStartupStatus() is what a guest may be told, and gives a reason for what is missing", () => {
  const status = Bootstrap.shape.startupStatus.parse(toStartupStatus());
  assert.deepEqual([status.shell_available, status.browser_available, status.degraded_reasons?.length], [
    false,
    false,
    1,
  ]);
});
