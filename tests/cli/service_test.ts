import assert from "node:assert/strict";
import { join } from "node:path";
import { runService } from "#/cli/service.ts";
import { denoEnv, makeMachine } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

Deno.test("runService() prints a unit with absolute paths, and makes nothing", async () => {
  const { cwd, env } = await makeMachine();
  const config = join(cwd, "my config");
  Deno.mkdirSync(config);
  const envFile = join(cwd, "keys %1");
  Deno.writeTextFileSync(envFile, "OTHER_KEY=sk-hunter2\n", { mode: 0o600 });
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env, API_KEY: "sk-hunter2" } });
  assert.equal(
    await runService({ for: "systemd", config, envFile, tier: "process" }, "file:///opt/mod.ts"),
    0,
  );
  const [line] = /^ExecStart=:.*$/m.exec(realm.out())!;
  assert.ok(
    line.includes(
      ` "file:///opt/mod.ts" "start" "--user" "default" "--config" "${config}" "--env-file" "${cwd}/keys %%1" "--tier" "process"`,
    ),
    line,
  );
  assert.ok(realm.out().includes(`\nWorkingDirectory=${cwd}\n`));
  assert.ok(!/User=|sk-hunter2/.test(realm.out()), "no user of a login's own unit, and no secret");
  assert.equal(await runService({ for: "systemd", system: true }, "file:///opt/mod.ts"), 0);
  assert.match(realm.out(), new RegExp(`\nUser=${Deno.uid()}\nGroup=${Deno.gid()}\n`));
  assert.equal(await runService({ for: "launchd" }, "file:///opt/mod.ts"), 0);
  assert.match(realm.out(), /<plist version="1\.0">[^]*<string>file:\/\/\/opt\/mod\.ts<\/string>/);
  assert.throws(() => Deno.statSync(join(cwd, ".oxydra")), Deno.errors.NotFound);
});

Deno.test("runService() prints none that could not start", async () => {
  const { cwd, env } = await makeMachine();
  using _realm = enterRealm({ cwd, env: { ...denoEnv(), ...env, OXYDRA__SELECTION__PROVIDER: "nobody" } });
  await assert.rejects(runService({}, "file:///opt/mod.ts"), { code: "config_invalid" });
});
