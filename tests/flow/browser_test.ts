/** A model that opens a page, looks at it and takes its picture, through a whole start: guest, runner, driver, walls, way out. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { runOxydra } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

Deno.test("a model opens a page in the browser, reads it and saves its picture; policy's word for each is in the audit log", async () => {
  const html = "<title>Hi</title><h1>Rivers</h1><button>go</button>";
  const site = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response(html, { headers: { "content-type": "text/html" } }),
  );
  const { port } = site.addr as Deno.NetAddr;
  const asks = [
    { action: "navigate", url: `http://127.0.0.1:${port}/` },
    { action: "snapshot" },
    { action: "screenshot", path: "/shared/p.png" },
  ];
  let seen: readonly string[] = [];
  await withVendorMachine((body) => {
    seen = toolResults(body);
    const ask = asks[seen.length];
    return reply([ask === undefined ? text("Done.") : toolCall("browser", ask)], {});
  }, async (machine) => {
    const own = join(machine.env.HOME!, ".config/oxydra");
    await Deno.mkdir(own, { recursive: true });
    const rules = ['kinds = ["browser"]', 'kinds = ["http"]\nhosts = ["127.0.0.1"]'].map((what, index) =>
      `[[policy.rules]]\nid = "mine ${index}"\n${what}\neffect = "allow"\n`
    );
    const listed = `[tools.web_search]\negress_allowlist = ["127.0.0.1:${port}"]\n`;
    await Deno.writeTextFile(join(own, "agent.toml"), [...rules, listed].join(""));
    const { code, err } = await runOxydra(["run", "look"], machine);
    assert.equal(code, 0, err);
    assert.equal(seen.length, 3, err);
    assert.match(seen[1]!, /Rivers/);
    assert.match(seen[1]!, /button "go"|button.*go/);
    const picture = await Deno.readFile(join(machine.cwd, ".oxydra/workspaces/default/shared/p.png"));
    assert.deepEqual([...picture.subarray(1, 4)], [...new TextEncoder().encode("PNG")]);
    const log = await runOxydra(["audit", "show", "--tool", "browser", "--json"], machine);
    assert.match(log.out, /mine 0/);
  });
  await site.shutdown();
});
