import assert from "node:assert/strict";
import { join } from "node:path";
import { reloadConfig } from "#/cli/control_client.ts";
import { runReload } from "#/cli/reload.ts";
import { openControl } from "#/runner/control.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { AppError } from "#/core/error.ts";
import { controlPath } from "#/runner/endpoint.ts";
import type { Approvals } from "#/sandbox/approvals.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { toControlDeps } from "../fixture/health.ts";
import { enterRealm } from "./realm.ts";

Deno.test("runReload() says what became of the configuration, with exit 0 or 2, and that nobody is there", async () => {
  using machine = makeMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno") } });
  const ipc = join(machine.cwd, ".oxydra/workspaces/default/ipc");
  Deno.mkdirSync(ipc, { recursive: true, mode: 0o700 });
  await assert.rejects(runReload({}), { code: "gateway_unreachable" });
  let answer: HealthStatus["config"] | AppError = { state: "in_force", at: 1, note: "" };
  const control = openControl(ipc, {
    ...toControlDeps({} as Approvals),
    reload: () => answer instanceof AppError ? Promise.reject(answer) : Promise.resolve(answer),
  });
  try {
    assert.equal(await runReload({}), 0);
    answer = { state: "in_force", at: 1, note: "workspace_root takes effect at the next start" };
    assert.equal(await runReload({}), 0);
    assert.equal(
      realm.out(),
      "the configuration is in force\nthe configuration is in force; workspace_root takes effect at the next start\n",
    );
    answer = { state: "refused", at: 1, note: "agent.toml:1: \x1b[2Jbad" };
    assert.equal(await runReload({}), 2);
    assert.match(
      realm.err(),
      /^oxydra: the configuration is refused, and the last good one stays: agent\.toml:1: .*bad\n$/,
    );
    assert.ok(!realm.err().includes("\x1b"));
    assert.deepEqual(await reloadConfig(controlPath(ipc)), answer);
    answer = new AppError("usage", "this runner has no configuration that it could read again");
    await assert.rejects(reloadConfig(controlPath(ipc)), { code: "usage" });
  } finally {
    control.close();
  }
});
