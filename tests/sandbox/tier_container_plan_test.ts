import assert from "node:assert/strict";
import type { EngineInfo } from "#/sandbox/engine.ts";
import type { WalledSpec } from "#/sandbox/tier.ts";
import { judgeTrial, planWalled, toKernelRuntime, TRIAL_SCRIPT } from "#/sandbox/tier_container_plan.ts";
import { isRunnerAlive, toRunner } from "#/sandbox/tier_container_process.ts";
import { CONTRACT_LIMITS } from "../contract/tier_contract.ts";

const info: EngineInfo = {
  about: "Docker 1",
  runtimes: ["runc"],
  defaultRuntime: "runc",
  rootless: false,
  remapsUsers: false,
  hasSeccomp: true,
  hasInit: true,
  kernel: "6.1.0",
};
const image = { id: "sha256:1", envNames: ["PATH", "JAVA_HOME"] };
const spec: WalledSpec = {
  id: "a",
  user: "alice",
  mounts: { shared: "/w/shared", tmp: "/w/tmp" },
  env: { KEY: "v" },
  limits: { ...CONTRACT_LIMITS, cpusMax: 0.5 },
  argv: ["/bin/bash"],
  files: { "/run/oxydra/agent.sh": "/o/agent.sh" },
  netDir: "/w/net",
};

Deno.test("planWalled() is the spec as a container, run by who owns the folders", () => {
  const context = {
    info,
    image,
    labels: {},
    owner: { uid: 1000, gid: 100 },
    covered: ["/shared/.oxydra"],
    emptyDir: "/e",
  };
  const plan = planWalled(spec, context);
  assert.deepEqual(plan.env, {
    PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    ...{ HOME: "/tmp", LANG: "C.UTF-8", TERM: "dumb", KEY: "v" },
  });
  assert.deepEqual(plan.envUnset, ["JAVA_HOME", "HOSTNAME", "container"]);
  assert.deepEqual([plan.user, plan.network, plan.cpusMax], ["1000:100", "none", 0.5]);
  assert.deepEqual(plan.mounts.map(({ source, target, readOnly }) => `${source} ${target} ${readOnly}`), [
    ...["/w/shared /shared false", "/w/tmp /tmp false", "/o/agent.sh /run/oxydra/agent.sh true"],
    ...["/w/net /run/oxydra-net true", "/e /shared/.oxydra true"],
  ]);
  assert.deepEqual(planWalled(spec, { ...context, info: { ...info, rootless: true } }).user, "0:0");
  assert.ok(planWalled(spec, { ...context, info: { ...info, remapsUsers: true } }).hostUsers);
  assert.ok(planWalled(spec, { ...context, runtime: "runsc" }).processesMax > plan.processesMax);
});

Deno.test("toKernelRuntime() takes gVisor or Kata, and refuses an engine that has neither with what to install", () => {
  const choose = (...runtimes: string[]) => toKernelRuntime({ runtimes, about: "Docker 20" });
  for (const name of ["runsc", "kata", "kata-qemu", "io.containerd.kata.v2", "io.containerd.runsc.v1"]) {
    assert.equal(choose("io.containerd.runc.v2", name, "runc"), name);
  }
  assert.throws(() => choose("runc", "crun", "notkata", "runsc.old", "youki"), {
    code: "tier_unavailable",
    message: "Docker 20 has no runtime with a kernel of its own, only runc, crun, notkata, runsc.old, youki",
    params: {
      install: "install gVisor (apt-get install runsc && runsc install) or Kata Containers, and restart the engine",
    },
  });
});

const GOOD = ["Linux version 6.1.0 (x)", "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
  .concat("Seccomp:\t2", "net     lo", "shared", "tmp", "socket");

Deno.test("judgeTrial() believes what a trial has shown, not what the engine was asked for", () => {
  const judge = (lines: readonly string[], runtime?: string) => judgeTrial(lines.join("\n"), { info, runtime });
  assert.deepEqual(judge(GOOD), { hasSockets: true });
  assert.deepEqual(judge(GOOD.slice(0, -1)), { hasSockets: false });
  const change = (from: string, to: string) => GOOD.map((line) => line === from ? to : line);
  const table: readonly (readonly [lines: readonly string[], runtime: string | undefined, why: RegExp])[] = [
    [[""], undefined, /nobody asked for/],
    [GOOD, "runsc", /runtime runsc runs on this machine's own kernel/],
    [change(GOOD[1]!, "CapBnd:\t00000000a80425fb"), undefined, /leaves capabilities/],
    [change(GOOD[2]!, "CapEff:\t0000000000000001"), undefined, /leaves capabilities/],
    [change("NoNewPrivs:\t1", "NoNewPrivs:\t0"), undefined, /gain powers/],
    [change("Seccomp:\t2", "Seccomp:\t0"), undefined, /filters no system calls/],
    [[...GOOD, "net   eth0"], undefined, /gives a container a network/],
    [change("tmp", ""), undefined, /cannot be written to/],
    [[...GOOD, "root"], undefined, /not read-only/],
  ];
  for (const [lines, runtime, why] of table) assert.match(judge(lines, runtime).failure ?? "", why);
  assert.deepEqual(judge(change(GOOD[0]!, "Linux version 4.4.0"), "runsc"), { hasSockets: true });
});

Deno.test("TRIAL_SCRIPT sees this very machine as it is", { ignore: Deno.build.os !== "linux" }, async () => {
  const { stdout } = await new Deno.Command("bash", {
    args: [
      "-c",
      `cd /; ${
        TRIAL_SCRIPT.replaceAll("/shared/", "/nowhere/")
          .replaceAll("/tmp/try", "/nowhere/try").replaceAll(">/try", ">/nowhere/try")
      }`,
    ],
    stderr: "null",
  }).output();
  const said = new TextDecoder().decode(stdout);
  assert.match(said, /^Linux version .*\n(Cap\w+:\t\w+\n){2}/);
  const kernel = { ...info, kernel: Deno.osRelease() };
  assert.match(judgeTrial(said, { info: kernel, runtime: "runsc" }).failure!, /own kernel/);
});

Deno.test(
  "isRunnerAlive() is true for the very process that a label names",
  { ignore: Deno.build.os !== "linux" },
  () => {
    assert.match(toRunner(), new RegExp(`^${Deno.pid}\\.\\d+$`));
    assert.ok(isRunnerAlive(toRunner()) && isRunnerAlive(toRunner(1)));
    for (const wrong of ["", "x", `${Deno.pid}.`, `${Deno.pid}.1`, "4194305.1", "4194305.", "../1.2"]) {
      assert.equal(isRunnerAlive(wrong), false, wrong);
    }
  },
);
