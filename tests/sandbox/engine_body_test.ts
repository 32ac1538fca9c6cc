import assert from "node:assert/strict";
import { type ContainerPlan, toContainerBody } from "#/sandbox/engine_body.ts";
import { toTar } from "#/sandbox/engine_tar.ts";

const PLAN: ContainerPlan = {
  ...{
    image: "i",
    argv: ["a"],
    env: { A: "1" },
    envUnset: ["B"],
    user: "1:2",
    cwd: "/",
    hostname: "h",
    labels: { l: "m" },
  },
  mounts: [{ source: "/s", target: "/t", readOnly: true }],
  tmpfs: { "/none": 0, "/some": 4_096 },
  ...{ memoryBytesMax: 5, processesMax: 6, cpusMax: 0.5, ulimits: { core: 0 }, init: true, network: "none" },
};

Deno.test("toContainerBody() puts the same walls around every container", () => {
  const body = toContainerBody(PLAN);
  assert.deepEqual([body["Env"], body["Entrypoint"], body["Cmd"]], [["A=1", "B"], [], ["a"]]);
  const host = body["HostConfig"] as Record<string, unknown>;
  for (
    const [name, value] of Object.entries({
      ...{
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        ReadonlyRootfs: true,
        Privileged: false,
        NetworkMode: "none",
      },
      ...{ IpcMode: "private", Memory: 5, MemorySwap: 5, PidsLimit: 6, NanoCpus: 500_000_000, Init: true, PidMode: "" },
      LogConfig: { Type: "none", Config: {} },
    })
  ) assert.deepEqual(host[name], value, name);
  assert.match((host["Tmpfs"] as Record<string, string>)["/none"]!, /ro,size=4096/);
  assert.ok((host["Ulimits"] as { Name: string }[]).some(({ Name }) => Name === "nproc"));
  const published = toContainerBody({ ...PLAN, network: "bridge", publish: { 80: 0, 81: 9_000 } })["HostConfig"];
  assert.deepEqual((published as Record<string, unknown>)["PortBindings"], {
    "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }],
    "81/tcp": [{ HostIp: "127.0.0.1", HostPort: "9000" }],
  });
  for (const network of ["host", "container:x"]) {
    assert.throws(() => toContainerBody({ ...PLAN, network }), RangeError);
  }
});

Deno.test("toTar() makes what tar(1) reads, and refuses a name that does not fit", async () => {
  const files = { "Dockerfile": "FROM x\n", "d/run.sh": "#!/bin/sh\n", "empty": "", "block": "x".repeat(512) };
  const bytes = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, new TextEncoder().encode(text)]));
  const tar = new Deno.Command("tar", { args: ["-tvf", "-"], stdin: "piped", stdout: "piped" }).spawn();
  const [{ stdout }] = await Promise.all([tar.output(), new Blob([toTar(bytes)]).stream().pipeTo(tar.stdin)]);
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split(/\s+/));
  assert.deepEqual(lines.map((parts) => [parts[0], parts[2], parts.at(-1)]), [
    ["-rw-r--r--", "7", "Dockerfile"],
    ["-rwxr-xr-x", "10", "d/run.sh"],
    ["-rw-r--r--", "0", "empty"],
    ["-rw-r--r--", "512", "block"],
  ]);
  assert.throws(() => toTar({ ["n".repeat(101)]: new Uint8Array(0) }), RangeError);
});
