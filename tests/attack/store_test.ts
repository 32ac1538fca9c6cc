/** What a guest or a tool child can leave on the disk without any permission: nothing, for itself later or for each other. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import { findProgram } from "#/runner/program.ts";
import { planToolChild } from "#/runner/tool_host.ts";
import { SRC } from "../fixture/source_tree.ts";

const PROBE = `
const found = {};
const attempt = async (name, run) => {
  try { found[name] = await run(); } catch (error) { found[name] = error.message.startsWith("Failed to create cache") || error.name === "NotADirectory" ? "refused" : String(error); }
};
const put = async () => { const cache = await caches.open("x"); await cache.put("http://a/b", new Response("c")); return "stored"; };
await attempt("localStorage", () => { localStorage.setItem("a", "b"); return "stored"; });
await attempt("caches", put);
await attempt("caches in a worker", () => new Promise((resolve, reject) => {
  const code = "try { await (" + put + ")(); postMessage('stored') } catch (error) { postMessage(error.message) }";
  const worker = new Worker("data:text/javascript," + encodeURIComponent(code), { type: "module" });
  worker.onmessage = ({ data }) => { worker.terminate(); data === "stored" ? resolve(data) : reject(new Error(data)); };
}));
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(found)));
Deno.exit(0);
`;

Deno.test("guest and tool child have no store of Deno's; the same probe stores without the view", async () => {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-store-" });
  try {
    const [run, cache, script] = [join(dir, "run"), join(dir, "cache"), join(dir, "probe.js")];
    await Promise.all([Deno.mkdir(run), Deno.mkdir(cache)]);
    await Deno.writeTextFile(script, PROBE);
    await Deno.copyFile(join(SRC, "../deno.lock"), join(run, "guest.lock"));
    const env = Deno.env.toObject();
    makeCacheView(await findDenoDir(env), run);
    const program = findProgram(`file://${join(SRC, "runner/runner.ts")}`);
    const toPlans = (env: Readonly<Record<string, string>>) => [
      planToolChild({ program, env }),
      planGuest({ program, env, internalDir: dir, lockPath: join(run, "guest.lock"), port: 0, hosts: [] }),
    ];
    const probe = async (plan: { command: string; args: readonly string[]; env: Readonly<Record<string, string>> }) => {
      const entry = plan.args.findIndex((arg) => arg.startsWith("file:"));
      const args = [...plan.args.slice(0, entry), script];
      const { stdout, stderr } = await new Deno.Command(plan.command, { args, env: plan.env, clearEnv: true }).output();
      assert.ok(stdout.length > 0, new TextDecoder().decode(stderr));
      return JSON.parse(new TextDecoder().decode(stdout));
    };
    const refused = { localStorage: "refused", caches: "refused", "caches in a worker": "refused" };
    for (const plan of toPlans(toSandboxEnv(env, run))) assert.deepEqual(await probe(plan), refused);
    // A cache of its own: the machine's must not keep what the control stores. `--cached-only` needs nothing: the probe has no imports.
    const stored = { localStorage: "stored", caches: "stored", "caches in a worker": "stored" };
    assert.deepEqual(await probe(toPlans({ ...env, DENO_DIR: cache })[0]!), stored);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
