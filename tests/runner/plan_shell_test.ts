import assert from "node:assert/strict";
import { Config } from "#/config/schema.ts";
import { LIMITS } from "#/core/limits.ts";
import { planShell, toShellSecrets, toWantedTier } from "#/runner/plan_shell.ts";

Deno.test("planShell() joins the settings of tools, behavior and resources", () => {
  const config = Config.parse({
    tools: { shell: { env_keys: ["TOKEN", "MISSING"], command_timeout_secs: 7, deny: ["rm"] } },
    user: {
      behavior: { sandbox_tier: "container", timezone: "Europe/Berlin" },
      resources: { max_memory_mib: 10, max_processes: 5, max_vcpus: 1 },
    },
  });
  const plan = planShell(config, { TOKEN: "tok-12345678", OTHER: "x" }, { SHELL_A: "b" });
  assert.ok(!("off" in plan));
  assert.deepEqual(plan.env, { TZ: "Europe/Berlin", TOKEN: "tok-12345678", A: "b" });
  assert.deepEqual([plan.tier, plan.timeoutSecs, plan.rules.deny], ["container", 7, ["rm"]]);
  const { memoryBytesMax, processesMax, cpusMax } = plan.limits;
  assert.deepEqual([memoryBytesMax, processesMax, cpusMax], [10_485_760, 5, 1]);
  const plain = planShell(Config.parse({}), {}, {});
  assert.ok(!("off" in plain));
  assert.deepEqual([plain.tier, plain.limits.processesMax, plain.limits.cpusMax], [
    "process",
    LIMITS.shellProcessesMax,
    undefined,
  ]);
});

Deno.test("planShell() says which setting switches the shell off; a user's can only restrict", () => {
  const off = (tools: boolean, behavior?: boolean) =>
    planShell(
      Config.parse({ tools: { shell: { enabled: tools } }, user: { behavior: { shell_enabled: behavior } } }),
      {},
      {},
    );
  assert.deepEqual(off(false, true), { off: "tools.shell.enabled is false" });
  assert.deepEqual(off(true, false), { off: "behavior.shell_enabled is false" });
  assert.ok(!("off" in off(true, true)));
});

Deno.test("toShellSecrets() hides every value of the shell's environment that can be told from text", () => {
  const plan = planShell(Config.parse({ tools: { shell: { env_keys: ["A", "B"] } } }), {
    A: "secret-value",
    B: "short",
  }, { TZ: "Europe/Berlin" });
  assert.deepEqual(toShellSecrets(plan).map(({ name, value }) => [name, value.reveal()]), [["A", "secret-value"]]);
  assert.deepEqual(toShellSecrets({ off: "x" }), []);
});

Deno.test("toWantedTier() is the user's tier before that of all, and the image that runs beside the guest", () => {
  const runner = { default_tier: "micro_vm", guest_images: { shell_vm: "mine:1" } };
  assert.deepEqual(toWantedTier(Config.parse({ runner })), { tier: "micro_vm", image: "mine:1" });
  const user = { behavior: { sandbox_tier: "container" } };
  assert.equal(toWantedTier(Config.parse({ runner, user })).tier, "container");
});
