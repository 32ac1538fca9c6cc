import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { startDetached } from "#/cli/start_detached.ts";
import { stopRunner } from "#/cli/stop.ts";
import { findUser } from "#/cli/status.ts";
import { LIMITS } from "#/core/limits.ts";
import { SRC } from "../fixture/source_tree.ts";
import { denoEnv, makeMachine } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

const MOD = pathToFileURL(join(SRC, "../mod.ts")).href;
const LOGS = ".oxydra/workspaces/default/logs";

Deno.test("startDetached() returns 0 with a daemon behind it, turns the page of a long log, and refuses a second one", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  await Deno.mkdir(join(cwd, LOGS), { recursive: true });
  await Deno.writeTextFile(join(cwd, LOGS, "daemon.stderr.log"), "x".repeat(LIMITS.daemonLogBytesMax + 1));
  // Relative folders are found from where it was started.
  const before = Deno.cwd();
  const spawned = Deno.Command;
  try {
    Deno.Command = class extends spawned {
      constructor(command: string | URL, options?: Deno.CommandOptions) {
        super(command, { cwd, ...options });
      }
    } as typeof Deno.Command;
    assert.equal(await startDetached({}, MOD), 0, realm.err());
  } finally {
    Deno.Command = spawned;
  }
  assert.equal(Deno.cwd(), before);
  assert.match(realm.out(), /^oxydra runs for default/);
  await assert.rejects(startDetached({}, MOD), { code: "lock_held" });
  const sizes = ["daemon.stderr.log", "daemon.stderr.log.1"].map((name) => Deno.statSync(join(cwd, LOGS, name)).size);
  assert.deepEqual(sizes, [0, LIMITS.daemonLogBytesMax + 1]);
  assert.equal(await stopRunner(await findUser({}), { now: false }), true);
});

Deno.test("startDetached() says why it ended and gives its code, in its own words", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  const script = join(cwd, "dies.ts");
  await Deno.writeTextFile(
    script,
    "console.error('no \\x1b[2Jluck'); await new Response(Deno.stdin.readable).text(); Deno.exit(7);",
  );
  assert.equal(await startDetached({}, pathToFileURL(script).href), 7);
  assert.match(realm.err(), /^no .*luck\n$/);
  assert.ok(!realm.err().includes("\x1b"));
  await Deno.writeTextFile(script, "Deno.exit(0);");
  assert.equal(await startDetached({}, pathToFileURL(script).href), 130);
  // A file of its own that cannot be written.
  await Deno.remove(join(cwd, LOGS, "daemon.stdout.log"));
  await Deno.mkdir(join(cwd, LOGS, "daemon.stdout.log"));
  await assert.rejects(startDetached({}, MOD), { code: "config_invalid" });
});
