import assert from "node:assert/strict";
import { join } from "node:path";
import { DENIED_NET } from "#/sandbox/egress_address.ts";
import { type EgressPlanInput, planEgress } from "#/sandbox/egress_plan.ts";
import { toPlanInput } from "./egress_kit.ts";

const INPUT: EgressPlanInput = {
  denoPath: "/opt/deno",
  entryUrl: "file:///opt/src/sandbox/egress.ts",
  moduleFlags: ["--cached-only", "--lock=/w/run/guest.lock"],
  env: { HOME: "/home/u", DENO_CERT: "/ca.pem", HTTPS_PROXY: "http://p", OPENAI_API_KEY: "secret", DENO_DIR: "" },
};

Deno.test("planEgress() for every public host: the net without the ranges inside, and no other permission", () => {
  const { command, args, env, reach } = planEgress(INPUT);
  assert.deepEqual([command, ...args], [
    "/opt/deno",
    "run",
    "-q",
    "--no-prompt",
    "--cached-only",
    "--lock=/w/run/guest.lock",
    "--allow-net",
    `--deny-net=${DENIED_NET.join(",")}`,
    "file:///opt/src/sandbox/egress.ts",
  ]);
  // No proxy variable either: Deno would obey it, and the address check would judge the wrong host.
  assert.deepEqual(env, { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", HOME: "/home/u", DENO_CERT: "/ca.pem" });
  assert.match(reach.join("\n"), /connects to public addresses\nreads no file/);
});

Deno.test("planEgress() for listed hosts: exactly these, and none for an empty list", () => {
  const { args, reach } = planEgress(INPUT, ["searx.local:8080", "[::1]:80"]);
  assert.deepEqual(args.filter((arg) => /allow|deny/.test(arg)), ["--allow-net=searx.local:8080,[::1]:80"]);
  assert.match(reach[0]!, /^connects to searx\.local:8080, \[::1\]:80$/);
  const none = planEgress(INPUT, []);
  assert.deepEqual(none.args.filter((arg) => /allow|deny/.test(arg)), []);
  assert.equal(none.reach[0], "connects to no host");
});

Deno.test("planEgress() puts setpriv in front where it exists", () => {
  const { command, args } = planEgress({ ...INPUT, pdeathsig: "/usr/bin/setpriv" });
  assert.deepEqual([command, ...args.slice(0, 5)], [
    "/usr/bin/setpriv",
    "--pdeathsig",
    "KILL",
    "--",
    "/opt/deno",
    "run",
  ]);
});

/** What an egress process must not be able to do, and the loopback port that it must not reach. */
const PROBE = `
const probes = {
  read: () => Deno.readTextFileSync("/etc/passwd"),
  proc: () => Deno.readTextFileSync("/proc/self/environ"),
  write: () => Deno.writeTextFileSync(WRITABLE, "x"),
  env: () => Deno.env.get("HOME"),
  spawn: () => new Deno.Command("/bin/true").outputSync(),
  ffi: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", { getpid: { parameters: [], result: "i32" } }).close(),
  sys: () => Deno.hostname(),
  importFile: () => import(String(new URL("file://" + IMPORTED))),
  loopback: async () => (await Deno.connect({ hostname: "127.0.0.1", port: PORT })).close(),
  loopbackName: async () => (await Deno.connect({ hostname: "localhost", port: PORT })).close(),
  zero: async () => (await Deno.connect({ hostname: "0.0.0.0", port: PORT })).close(),
  mapped: async () => (await Deno.connect({ hostname: "::ffff:127.0.0.1", port: PORT })).close(),
  fetch: async () => await (await fetch("http://127.0.0.1:" + HTTP)).text(),
  listenInside: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
};
const out = {};
for (const [name, run] of Object.entries(probes)) {
  try { await run(); out[name] = "allowed"; } catch (error) {
    out[name] = error.name === "TypeError" && /NotCapable|Requires|requires/.test(error.message) ? "NotCapable" : error.name;
  }
}
console.log(JSON.stringify(out));
Deno.exit(0);
`;

Deno.test("inside both egress processes nothing but their net is there; the same probes succeed under -A", async () => {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-egress-" });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("x"));
  const script = join(dir, "probe.ts");
  const imported = join(dir, "imported.ts");
  await Deno.writeTextFile(imported, "export {};");
  const names = {
    WRITABLE: join(dir, "written"),
    IMPORTED: imported,
    PORT: listener.addr.port,
    HTTP: server.addr.port,
  };
  const head = Object.entries(names).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`).join("\n");
  await Deno.writeTextFile(script, head + PROBE);
  const probe = async (command: string, args: readonly string[]): Promise<Record<string, string>> => {
    const env = { HOME: Deno.env.get("HOME") ?? "", DENO_NO_UPDATE_CHECK: "1" };
    const { stdout, stderr } = await new Deno.Command(command, { args: [...args], env, clearEnv: true }).output();
    const text = new TextDecoder().decode(stdout);
    assert.ok(text.startsWith("{"), new TextDecoder().decode(stderr));
    return JSON.parse(text);
  };
  try {
    const free = await probe(Deno.execPath(), ["run", "-A", "-q", "--no-config", "--no-lock", script]);
    for (const plan of [planEgress(toPlanInput()), planEgress(toPlanInput(), ["localhost:1"])]) {
      const confined = await probe(plan.command, [...plan.args.slice(0, -1), script]);
      for (const name of Object.keys(free)) {
        assert.equal(free[name], "allowed", `${name} under -A`);
        assert.equal(confined[name], "NotCapable", `${name} with ${plan.reach[0]}`);
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
