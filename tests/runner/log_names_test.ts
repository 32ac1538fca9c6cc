import assert from "node:assert/strict";
import { LOG_FILES } from "#/runner/log_names.ts";
import { DAEMON_LOGS } from "#/runner/plan_daemon.ts";

Deno.test("LOG_FILES names each file once, those of the daemon with their stream", () => {
  assert.equal(new Set(LOG_FILES.map(({ name }) => name)).size, LOG_FILES.length);
  for (const [stream, name] of Object.entries(DAEMON_LOGS)) {
    assert.deepEqual(LOG_FILES.find((file) => file.name === name), { role: "runtime", stream, name });
  }
});
