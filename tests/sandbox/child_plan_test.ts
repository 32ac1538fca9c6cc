import assert from "node:assert/strict";
import { join } from "node:path";
import { type ChildPlanInput, planChild, planInspect } from "#/sandbox/child_plan.ts";
import { planRealChild } from "./child_kit.ts";

const INPUT: ChildPlanInput = {
  denoPath: "/opt/deno",
  entryUrl: "file:///opt/my%20app/src/sandbox/child.ts",
  source: "file",
  env: { HOME: "/home/u", DENO_DIR: "/cache", OPENAI_API_KEY: "secret", PATH: "/bin", XDG_CACHE_HOME: "" },
};

Deno.test("planChild() from a file: no permission, no npm, no lock, no remote, and the checkout's own import map", () => {
  const plan = planChild(INPUT);
  assert.equal(plan.command, "/opt/deno");
  assert.deepEqual(plan.args, [
    "run",
    "-q",
    "--no-prompt",
    "--cached-only",
    "--no-npm",
    "--no-lock",
    "--no-remote",
    "--config",
    "/opt/my app/deno.json",
    "--v8-flags=--max-old-space-size=256,--wasm-max-mem-pages=1024",
    "file:///opt/my%20app/src/sandbox/child.ts",
  ]);
  assert.ok(!plan.args.some((arg) => arg.startsWith("--allow") || arg === "-A"));
});

Deno.test("planInspect() is a child's plan with more memory for the transpiler: no permission either", () => {
  const [child, inspect] = [planChild(INPUT), planInspect(INPUT)];
  assert.deepEqual(inspect.env, child.env);
  const differ = inspect.args.filter((arg, at) => arg !== child.args[at]);
  assert.deepEqual(differ, ["--v8-flags=--max-old-space-size=256,--wasm-max-mem-pages=8192"]);
  assert.ok(!inspect.args.some((arg) => arg.startsWith("--allow") || arg === "-A"));
});

Deno.test("planChild() from a URL: its own host and nothing else", () => {
  const entryUrl = "http://127.0.0.1:8000/src/sandbox/child.ts";
  const { args } = planChild({ ...INPUT, entryUrl, source: "url", host: "127.0.0.1:8000" });
  assert.deepEqual(args.slice(6, 8), ["--no-config", "--allow-import=127.0.0.1:8000"]);
  assert.equal(args.filter((arg) => arg.startsWith("--allow")).length, 1);
  assert.ok(!args.includes("--no-remote"));
  assert.throws(() => planChild({ ...INPUT, entryUrl, source: "url" }), RangeError);
});

Deno.test("planChild() passes no variable but those that Deno needs for its cache", () => {
  assert.deepEqual(planChild(INPUT).env, {
    DENO_NO_UPDATE_CHECK: "1",
    NO_COLOR: "1",
    DENO_DIR: "/cache",
    HOME: "/home/u",
  });
});

Deno.test("planChild() puts setpriv in front where it exists", () => {
  const plan = planChild({ ...INPUT, pdeathsig: "/usr/bin/setpriv" });
  assert.equal(plan.command, "/usr/bin/setpriv");
  assert.deepEqual(plan.args.slice(0, 5), ["--pdeathsig", "KILL", "--", "/opt/deno", "run"]);
});

/** What a tool child must not be able to do; each is tried with an absolute path. */
const PROBE = `
const probes = {
  read: () => Deno.readTextFileSync("/etc/passwd"),
  write: () => Deno.writeTextFileSync(WRITABLE, "x"),
  env: () => Deno.env.get("HOME"),
  connect: async () => (await Deno.connect({ hostname: "127.0.0.1", port: PORT })).close(),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  spawn: () => new Deno.Command("/bin/true").outputSync(),
  ffi: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", { getpid: { parameters: [], result: "i32" } }).close(),
  sys: () => Deno.hostname(),
  importFile: () => import(String(new URL("file://" + IMPORTED))),
  proc: () => Deno.readTextFileSync("/proc/self/environ"),
};
const out = {};
for (const [name, run] of Object.entries(probes)) {
  try { await run(); out[name] = "allowed"; } catch (error) { out[name] = error.name === "TypeError" && /NotCapable|Requires|requires/.test(error.message) ? "NotCapable" : error.name; }
}
console.log(JSON.stringify(out));
`;

Deno.test("a process with a child's flags can do nothing; the same probes succeed under -A", async () => {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-probe-" });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const script = join(dir, "probe.ts");
  const imported = join(dir, "imported.ts");
  await Deno.writeTextFile(imported, "export {};");
  const head = `const WRITABLE = ${JSON.stringify(join(dir, "written"))}, PORT = ${listener.addr.port}, IMPORTED = ${
    JSON.stringify(imported)
  };\n`;
  await Deno.writeTextFile(script, head + PROBE);
  const real = planRealChild();
  const probe = async (args: readonly string[]) => {
    const { stdout, stderr } = await new Deno.Command(real.command, {
      args: [...args],
      env: { ...real.env },
      clearEnv: true,
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.ok(text.startsWith("{"), new TextDecoder().decode(stderr));
    return JSON.parse(text) as Record<string, string>;
  };
  try {
    const confined = await probe([...real.args.slice(0, -1), script]);
    const free = await probe(real.args.slice(0, -1).filter((arg) => arg !== "--no-prompt").concat("-A", script));
    for (const name of Object.keys(confined)) {
      assert.equal(confined[name], "NotCapable", name);
      assert.equal(free[name], "allowed", `${name} under -A`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
