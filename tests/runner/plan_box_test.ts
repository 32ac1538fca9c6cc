import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type BoxPlanInput, planBox } from "#/runner/plan_box.ts";
import { toContainerBody } from "#/sandbox/engine_body.ts";

const INPUT: BoxPlanInput = {
  program: { srcUrl: "file:///opt/ox/src/", source: "file", denoPath: "/opt/deno", setprivPath: "/usr/bin/setpriv" },
  env: {
    HOME: "/home/ann",
    OPENAI_API_KEY: "sk-secret",
    DENO_DIR: "/w/ann/run/deno",
    TZ: "UTC",
    DENO_CERT: "/etc/ca.pem",
    HTTP_PROXY: "http://proxy.example:3128",
  },
  internalDir: "/w/ann/internal",
  runDir: "/w/ann/run",
  denoDir: "/cache",
  port: 4_711,
  hosts: ["api.example:443"],
  settings: { tier: "container", image: "oxydra-vm:latest" },
  name: "oxydra-guest-ann",
  labels: { "oxydra.user": "ann" },
  network: "oxydra-ann",
  owner: { uid: 1_001, gid: 1_002 },
};

Deno.test("planBox() mounts the program, Deno and its packages read-only, the guest's folder, and nothing else of this machine", () => {
  const { container } = planBox(INPUT);
  const writable = container.mounts.filter(({ readOnly }) => !readOnly);
  assert.deepEqual(writable, [{ source: "/w/ann/internal", target: "/w/ann/internal", readOnly: false }]);
  assert.deepEqual(container.mounts.filter(({ readOnly }) => readOnly).map(({ source }) => source), [
    "/opt/deno",
    "/opt/ox/src",
    "/opt/ox/deno.json",
    "/w/ann/run/guest.lock",
    "/cache/npm",
    "/w/ann/run/deno",
    "/etc/ca.pem",
  ]);
  assert.ok(container.mounts.every(({ source, target }) => source === target));
  const url = planBox({ ...INPUT, program: { ...INPUT.program, srcUrl: "https://ox.example/src/", source: "url" } });
  const sources = url.container.mounts.map(({ source }) => source);
  assert.ok(sources.includes("/cache/remote") && !sources.some((source) => source.startsWith("/opt/ox")));
  const writes = url.container.mounts.filter(({ readOnly }) => !readOnly).map(({ source }) => source);
  assert.deepEqual(writes, ["/w/ann/internal", "/w/ann/run/box"], "and from a URL a lock that Deno adds to");
  assert.ok(url.args.includes("--lock=/w/ann/run/box/guest.lock"));
});

Deno.test("planBox() has no secret, no name of a home and no power in what an engine shows of a container", () => {
  const plan = planBox(INPUT);
  const body = JSON.stringify(toContainerBody(plan.container));
  for (const text of ["sk-secret", "OPENAI_API_KEY", "/home/ann", "docker.sock", "setpriv"]) {
    assert.ok(!body.includes(text), text);
    assert.ok(!plan.args.join(" ").includes(text), text);
  }
  const { env, user, publish, network, runtime, init, hostUsers } = plan.container;
  assert.deepEqual(env, {
    DENO_NO_UPDATE_CHECK: "1",
    DENO_DIR: "/w/ann/run/deno",
    DENO_CERT: "/etc/ca.pem",
    HTTP_PROXY: "http://proxy.example:3128",
    TZ: "UTC",
  });
  assert.deepEqual([user, publish, network, runtime, init, hostUsers], [
    "1001:1002",
    { 4711: 4711 },
    "oxydra-ann",
    undefined,
    false,
    undefined,
  ]);
  assert.equal(planBox({ ...INPUT, runtime: "runsc", hostUsers: true }).container.runtime, "runsc");
  assert.equal(planBox({ ...INPUT, hostUsers: true }).container.hostUsers, true);
});

Deno.test("planBox() refuses a password that `docker inspect` would show", () => {
  for (const HTTPS_PROXY of ["http://ann:pw@proxy.example:3128", "http://ann@proxy.example:3128"]) {
    const run = () => planBox({ ...INPUT, env: { ...INPUT.env, HTTPS_PROXY } });
    assert.throws(
      run,
      (error: Error) => /HTTPS_PROXY.*--tier process/.test(error.message) && !/pw/.test(error.message),
    );
  }
});

Deno.test("planBox() runs Deno with the flags of any guest, listening on all addresses of its container", () => {
  const { argv } = planBox(INPUT).container;
  assert.deepEqual(argv.slice(0, 2), ["/opt/deno", "run"]);
  for (const flag of ["--no-prompt", "--cached-only", "--frozen", "--no-remote", "--allow-read=/w/ann/internal"]) {
    assert.ok(argv.includes(flag), flag);
  }
  assert.ok(argv.includes("--allow-net=0.0.0.0:4711,api.example:443"));
  assert.ok(argv.some((arg) => arg.startsWith("--deny-net=10.0.0.0/8,")));
  assert.ok(!argv.some((arg) => /--allow-(run|ffi|env|sys)|^-A$/.test(arg)));
});

Deno.test("planBox() publishes another address when the person has one, at the same port inside", () => {
  const { container, args, reach } = planBox({ ...INPUT, also: "192.0.2.7:9000", about: "192.0.2.7:9000 (TLS)" });
  assert.deepEqual(container.beside, { address: "192.0.2.7", port: 9_000 });
  assert.ok(container.argv.includes("--allow-net=0.0.0.0:4711,0.0.0.0:9000,api.example:443"));
  assert.ok(args.includes("192.0.2.7:9000:9000") && args.includes("127.0.0.1:4711:4711"));
  assert.ok(reach.some((line) => line.includes("192.0.2.7:9000 (TLS)")));
  const ports = (toContainerBody(container).HostConfig as { PortBindings: unknown }).PortBindings;
  assert.deepEqual(ports, {
    "4711/tcp": [{ HostIp: "127.0.0.1", HostPort: "4711" }],
    "9000/tcp": [{ HostIp: "192.0.2.7", HostPort: "9000" }],
  });
  assert.deepEqual(planBox({ ...INPUT, also: "[::]:9000" }).container.beside, { address: "::", port: 9_000 });
});

Deno.test("planBox() takes the limits of [resources], and has one of its own for processes", () => {
  const { container: own } = planBox(INPUT);
  assert.deepEqual([own.memoryBytesMax, own.processesMax, own.cpusMax], [0, LIMITS.boxProcessesMax, undefined]);
  assert.deepEqual(own.tmpfs, { "/tmp": LIMITS.boxTmpBytesMax });
  const settings = { ...INPUT.settings, cpusMax: 2, memoryMibMax: 512, processesMax: 99 };
  const { container, args } = planBox({ ...INPUT, settings });
  assert.deepEqual([container.memoryBytesMax, container.processesMax, container.cpusMax], [536_870_912, 99, 2]);
  const line = args.join(" ");
  assert.match(line, /--pids-limit 99 --memory 536870912 --cpus 2 /);
  assert.match(line, /--cap-drop ALL --security-opt no-new-privileges/);
});
