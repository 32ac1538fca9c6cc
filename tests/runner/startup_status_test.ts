import assert from "node:assert/strict";
import { Bootstrap } from "#/app/bootstrap.ts";
import { NO_TIERS, toMissing, toStartupStatus, toWhy, type WalledPart } from "#/runner/startup_status.ts";

const WALLED: WalledPart = { available: true, about: "bubblewrap 0.8.0", by: "bubblewrap", notes: [] };

function statusOf(facts: Partial<typeof NO_TIERS>) {
  return Bootstrap.shape.startupStatus.parse(toStartupStatus({ ...NO_TIERS, ...facts }));
}

Deno.test("toStartupStatus() without facts is what a guest may be told, and gives one reason for what is missing", () => {
  const status = Bootstrap.shape.startupStatus.parse(toStartupStatus());
  assert.deepEqual([status.shell_available, status.browser_available, status.degraded_reasons?.length], [
    false,
    false,
    1,
  ]);
});

Deno.test("toStartupStatus() says that a part is there when it is, and leaves out an empty list of reasons", () => {
  assert.deepEqual(statusOf({ tier: "container", shell: WALLED, browser: WALLED }), {
    sandbox_tier: "container",
    sidecar_available: true,
    shell_available: true,
    browser_available: true,
  });
});

Deno.test("toStartupStatus() names what is missing with the command that brings it, and a weaker wall as a limit", () => {
  const noted = { ...WALLED, notes: ["memory is only polled"] };
  const browser = toMissing("chromium was not found", "apt install chromium");
  assert.deepEqual(statusOf({ shell: noted, browser }).degraded_reasons, [
    { code: "process_hardening_limited", detail: "memory is only polled" },
    { code: "sidecar_unavailable", detail: "chromium was not found (to get it: apt install chromium)" },
  ]);
  assert.equal(statusOf({ shell: noted, browser: noted }).degraded_reasons?.length, 1, "the same note is said once");
});

Deno.test("toStartupStatus() gives the reason's own code, and sidecar_available with one of the two", () => {
  const lost = { ...toMissing("the engine does not answer"), code: "sidecar_connection_failed" as const };
  const status = statusOf({ shell: lost, browser: WALLED });
  assert.equal(status.degraded_reasons?.[0]?.code, "sidecar_connection_failed");
  assert.deepEqual([status.sidecar_available, status.shell_available], [true, false]);
});

Deno.test("toWhy() has a text for a driver that gave none", () => {
  assert.equal(toWhy({ available: false, about: "none", notes: [] }), "it is not available");
});
