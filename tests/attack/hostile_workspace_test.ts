/** A cloned or unpacked folder that brings a workspace along: the whole command, started in it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeMachine, runOxydra, startGateway } from "../fixture/system.ts";

const WORKSPACE = ".oxydra/workspaces/default";

/** What a stranger planted, and what the sentence that refuses it names. */
const PLANTED: readonly (readonly [name: string, target: "file" | "folder"])[] = [
  ["run/runner.lock", "file"],
  ["run/guest.lock", "file"],
  ["run/kept", "folder"],
  ["logs/runtime.log", "file"],
  ["ipc/gateway-endpoint", "file"],
  ["internal/oxydra.db", "file"],
  ["internal/gateway-token", "file"],
  ["internal/deep/er/home", "folder"],
];

Deno.test("links in the folders of a workspace reach nothing of the person's, and are named", async () => {
  const machine = await makeMachine();
  const home = machine.env.HOME!;
  const precious = { ".bashrc": "mine", "tmp-notes": "mine too" };
  for (const [name, text] of Object.entries(precious)) await Deno.writeTextFile(join(home, name), text);
  for (const [name, target] of PLANTED) {
    const cwd = join(machine.cwd, name.replaceAll("/", "-"));
    const link = join(cwd, WORKSPACE, name);
    await Deno.mkdir(join(link, ".."), { recursive: true });
    await Deno.symlink(target === "file" ? join(home, ".bashrc") : home, link);
    const { code, err } = await runOxydra(["run", "write hello to /shared/a.txt"], { ...machine, cwd });
    assert.equal(code, 2, `${name}: ${err}`);
    assert.match(err, new RegExp(`${name} is a link`), name);
    for (const [file, text] of Object.entries(precious)) {
      assert.equal(await Deno.readTextFile(join(home, file)), text, `${name} changed ${file}`);
    }
    assert.deepEqual([...Deno.readDirSync(home)].map((entry) => entry.name).sort(), Object.keys(precious).sort(), name);
  }
});

Deno.test("a token that came with the folder opens nothing, and what others could enter is closed", async () => {
  const machine = await makeMachine();
  const known = "A".repeat(43);
  const internal = join(machine.cwd, WORKSPACE, "internal");
  await Deno.mkdir(internal, { recursive: true });
  await Deno.writeTextFile(join(internal, "gateway-token"), known, { mode: 0o600 });
  await Deno.writeTextFile(join(internal, "gateway-token.inode"), "1\n", { mode: 0o600 });
  for (const path of [".oxydra", WORKSPACE, `${WORKSPACE}/internal`]) await Deno.chmod(join(machine.cwd, path), 0o777);
  const gateway = await startGateway(machine);
  try {
    const status = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`http://127.0.0.1:${gateway.port}/ws`, { headers });
      await response.body?.cancel();
      return response.status;
    };
    assert.equal(await status(known), 401);
    assert.equal(await status((await Deno.readTextFile(join(internal, "gateway-token"))).trim()), 426);
    for (const name of ["", "internal", "run", "ipc", "logs", "audit"]) {
      assert.equal((await Deno.stat(join(gateway.workspace, name))).mode! & 0o777, 0o700, name);
    }
  } finally {
    assert.equal(await gateway.stop(), 0);
  }
});
