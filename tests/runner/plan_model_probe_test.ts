import assert from "node:assert/strict";
import { planModelProbe } from "#/runner/plan_model_probe.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("planModelProbe() gives one host and nothing else", () => {
  const plan = planModelProbe({
    program: thisProgram(),
    env: { OPENAI_API_KEY: "sk-1", HOME: "/home/p" },
    lockPath: "/tmp/l",
    host: "api.acme.test:443",
  });
  assert.deepEqual(plan.args.filter((arg) => arg.startsWith("--allow")), ["--allow-net=api.acme.test:443"]);
  assert.ok(plan.args.some((arg) => arg.startsWith("--deny-net=0.0.0.0/8,10.0.0.0/8")));
  assert.ok(plan.args.includes("--cached-only") && plan.args.includes("--no-prompt"));
  assert.ok(!JSON.stringify(plan).includes("sk-1"));
});
