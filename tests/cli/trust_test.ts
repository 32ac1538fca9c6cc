import assert from "node:assert/strict";
import { join } from "node:path";
import { runTrust } from "#/cli/trust.ts";
import { makeMachine } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";

const WIDENING = '[tools.web_search]\negress_allowlist = ["searx.local:8080"]\n';

Deno.test("runTrust() lets this file widen what the agent may reach, as long as it stays as it is", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": WIDENING });
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  assert.equal((await machine.refuse()).code, "config_untrusted");
  const file = join(machine.cwd, ".oxydra/agent.toml");
  assert.equal(await runTrust(file), 0);
  assert.ok(realm.out().includes(file) && /sha256 [0-9a-f]{64}/.test(realm.out()), realm.out());
  assert.deepEqual((await machine.load()).config.tools.web_search.egress_allowlist, ["searx.local:8080"]);
  machine.write("work/.oxydra/agent.toml", `${WIDENING}# changed\n`);
  assert.equal((await machine.refuse()).code, "config_untrusted");
});

Deno.test("runTrust() trusts nothing without a home, and no file that is not there", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": WIDENING });
  const file = join(machine.cwd, ".oxydra/agent.toml");
  {
    using _realm = enterRealm({ cwd: machine.cwd, env: {} });
    await assert.rejects(runTrust(file), { code: "usage" });
  }
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  await assert.rejects(runTrust(join(machine.cwd, "gone.toml")), { code: "config_invalid" });
  assert.equal(realm.out(), "");
});
