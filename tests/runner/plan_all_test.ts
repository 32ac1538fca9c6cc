import assert from "node:assert/strict";
import { planAll } from "#/runner/plan_all.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { makeFolders, PROCESS_NAMES, thisProgram } from "../fixture/workspace.ts";

const INPUT = {
  program: thisProgram(),
  env: { HOME: "/h", OPENAI_API_KEY: "sk" },
  port: 4711,
  hosts: ["api.example:443"],
};

function plan(egress: Partial<typeof NO_TOOLS_PLAN.egress> & { proxyUrl?: string } = {}) {
  const tools = { ...NO_TOOLS_PLAN, egress: { ...NO_TOOLS_PLAN.egress, ...egress } };
  return planAll({ ...INPUT, folders: makeFolders(), tools });
}

Deno.test("planAll() has every process once, each with its entry and its words, and the runner alone with -A", () => {
  const plans = plan();
  const names = plans.map(({ name }) => name);
  assert.deepEqual(names, PROCESS_NAMES);
  for (const { name, args, env, reach } of plans) {
    assert.ok(args.some((arg) => arg.startsWith(INPUT.program.srcUrl) || arg.endsWith("/mod.ts")), name);
    assert.equal(args.includes("-A"), name === "runner");
    assert.ok(reach.length > 0 && !("OPENAI_API_KEY" in env), name);
  }
  const flags = plans.flatMap(({ args }) => args).join(" ");
  assert.match(flags, /--allow-net=127\.0\.0\.1:4711,unix:/);
  assert.match(flags, /--allow-net=127\.0\.0\.1:0,api\.example:443/);
});

Deno.test("planAll() follows the egress settings: a second process for the allowlist, and only that in strict mode", () => {
  const egresses = (...egress: Parameters<typeof plan>) =>
    plan(...egress).filter(({ name }) => name.startsWith("egress")).map(({ name, args }) => [
      name,
      args.find((arg) => arg.startsWith("--allow-net")),
    ]);
  assert.deepEqual(egresses({ allowlist: ["10.0.0.1:81"] }), [["egress public", "--allow-net"], [
    "egress listed",
    "--allow-net=10.0.0.1:81",
  ]]);
  assert.deepEqual(egresses({ mode: "strict", proxyUrl: "http://proxy:3128" }), [[
    "egress listed",
    "--allow-net=proxy:3128",
  ]]);
  assert.throws(() => plan({ mode: "strict" }), { code: "config_invalid" });
});

Deno.test("planAll() shows a guest in a container as the container that is made, and what carries it to this machine", () => {
  const folders = makeFolders();
  const settings = { tier: "micro_vm", image: "mine:1" } as const;
  const box = { settings, user: "ann", denoDir: "/cache" };
  const plans = planAll({ ...INPUT, hosts: ["localhost:11434"], folders, tools: NO_TOOLS_PLAN, box });
  const guest = plans.find(({ name }) => name === "guest")!;
  assert.equal(guest.command, "docker");
  const line = guest.args.join(" ");
  assert.match(line, /--runtime runsc .*--publish 127\.0\.0\.1:4711:4711.* mine:1 /);
  assert.match(guest.reach[0]!, /a kernel of its own.*mine:1/);
  assert.match(plans.find(({ name }) => name === "relay")!.reach[0]!, /localhost:11434/);
  const far = planAll({ ...INPUT, folders, tools: NO_TOOLS_PLAN, box });
  assert.ok(!far.some(({ name }) => name === "relay"));
});
