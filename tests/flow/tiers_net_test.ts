/** The way out of a shell in a container: what the owner granted, through our proxy, and nothing beside it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { FileEngine, hasRunsc, TEST_IMAGE } from "../fixture/engine.ts";
import { startGuestEngine } from "../fixture/guest_image.ts";
import { allowSites, openSite, openWebHouse, withTalk } from "../fixture/web_house.ts";

const test = new FileEngine(() => startGuestEngine({ programs: ["curl"] }));
const { ignore } = test;

// The proxy is not for what listens on the command's own loopback, so a server of this machine is asked for it.
const CURL = "curl -sS -m 10 --noproxy '' -w '|%{http_code}|'";

for (const tier of ["container", ...(hasRunsc() ? ["micro_vm"] : [])]) {
  Deno.test({
    name: `a command in the ${tier} tier reaches a granted host by curl, and no other; the next one reaches none`,
    ignore,
    async fn() {
      await using site = openSite(() => new Response("the river"));
      await using house = await openWebHouse(undefined, { DOCKER_HOST: `unix://${test.socketPath}` });
      await house.configure(allowSites([site]));
      await Deno.writeTextFile(
        join(house.machine.env.HOME!, ".config/oxydra/runner.toml"),
        `workspace_root = "${
          join(house.machine.cwd, ".oxydra/workspaces")
        }"\ndefault_tier = "${tier}"\n[guest_images]\nshell_vm = "${TEST_IMAGE}"\n`,
      );
      const host = `127.0.0.1:${site.port}`;
      await withTalk(house, async ({ turn }) => {
        const { results, asked } = await turn([
          ["shell_exec", { command: `${CURL} ${site.url}/a`, network: [host] }],
          ["shell_exec", { command: `${CURL} http://127.0.0.1:9/`, network: [host] }],
          ["shell_exec", { command: `${CURL} ${site.url}/b` }],
          ["shell_exec", { command: `env -u http_proxy curl -sS -m 5 ${site.url}/c; echo $?` }],
        ], { answer: "once" });
        assert.deepEqual(asked[0], [`shell ${CURL} ${site.url}/a`, `connect ${host}`]);
        assert.match(results[0]!, /^\[exit code 0, in \/shared\]\nthe river\|200\|/);
        for (const refused of results.slice(1, 3)) assert.match(refused, /\|403\|/);
        assert.match(results[3]!, /Failed to connect|Couldn't connect/);
      });
      assert.deepEqual(site.seen.map(({ line }) => line), ["GET /a"]);
      const log = await Deno.readTextFile(join(house.workspace, "logs/sidecar.log"));
      assert.match(log, new RegExp(`shell sh-[\\w-]+: ${host}, \\d+ bytes up, \\d+ down`));
    },
  });
}
