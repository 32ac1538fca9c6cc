import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { isTrusted, readTrustList, toTrustPath, TrustedFile, trustFile } from "#/config/trust.ts";
import { makeMachine } from "./layers_on_disk.ts";

Deno.test("trustFile() records path and hash, private to the person, and a changed file is not trusted", async () => {
  using machine = makeMachine({ "work/.oxydra/agent.toml": "# one\n" });
  const file = join(machine.cwd, ".oxydra", "agent.toml");
  assert.deepEqual(readTrustList(machine.home), []);
  const first = await trustFile(file, machine.home);
  assert.equal(first.path, file);
  assert.ok(isTrusted(readTrustList(machine.home), first));
  assert.equal(Deno.statSync(toTrustPath(machine.home)).mode! & 0o777, 0o600);
  assert.equal(Deno.statSync(join(machine.home, ".config", "oxydra")).mode! & 0o777, 0o700);
  machine.write("work/.oxydra/agent.toml", "# two\n");
  const second = await trustFile(file, machine.home);
  assert.ok(!isTrusted(readTrustList(machine.home), first));
  assert.ok(isTrusted(readTrustList(machine.home), second));
});

Deno.test("trustFile() twice at once loses neither", async () => {
  using machine = makeMachine();
  const files = Array.from({ length: 12 }, (_, i) => machine.write(`work/${i}.toml`, `# ${i}`));
  await Promise.all(files.map((file) => trustFile(file, machine.home)));
  assert.deepEqual(readTrustList(machine.home).map(({ path }) => path).sort(), files.sort());
});

Deno.test("trustFile() refuses what it cannot read as TOML", async () => {
  using machine = makeMachine({ "work/a.toml": "= 1" });
  await assert.rejects(trustFile(join(machine.cwd, "gone.toml"), machine.home), /no such file/);
  await assert.rejects(trustFile(join(machine.cwd, "a.toml"), machine.home), /TOML syntax/);
  await assert.rejects(trustFile(machine.cwd, machine.home), /is a folder/);
});

Deno.test("trustFile() forgets the oldest beyond its limit", async () => {
  using machine = makeMachine({ "work/a.toml": "" });
  const old = { path: "/old", sha256: "0".repeat(64) };
  const files = [old, ...Array.from({ length: LIMITS.trustedFilesMax - 1 }, (_, i) => ({ ...old, path: `/${i}` }))];
  Deno.chmodSync(machine.write("home/.config/oxydra/trusted.json", JSON.stringify({ version: 1, files })), 0o600);
  await trustFile(join(machine.cwd, "a.toml"), machine.home);
  const list = readTrustList(machine.home);
  assert.equal(list.length, LIMITS.trustedFilesMax);
  assert.ok(!isTrusted(list, old));
});

Deno.test("readTrustList() refuses a list that is broken or that others can write", () => {
  using machine = makeMachine();
  for (const text of ["", "{", "[]", '{"version":2,"files":[]}', '{"version":1,"files":[{"path":"/x"}]}']) {
    Deno.chmodSync(machine.write("home/.config/oxydra/trusted.json", text), 0o600);
    assert.throws(() => readTrustList(machine.home), { code: "config_invalid" }, text);
  }
  Deno.chmodSync(machine.write("home/.config/oxydra/trusted.json", '{"version":1,"files":[]}'), 0o622);
  assert.throws(() => readTrustList(machine.home), /others can write/);
  assert.deepEqual(readTrustList(undefined), []);
  assert.ok(!TrustedFile.safeParse({ path: "/x", sha256: "abc" }).success);
});

Deno.test("trustFile() takes a model catalog, which is JSON", async () => {
  using machine = makeMachine({ "work/.oxydra/model_catalog.json": "{}" });
  const trusted = await trustFile(join(machine.cwd, ".oxydra/model_catalog.json"), machine.home);
  assert.ok(isTrusted(readTrustList(machine.home), trusted));
  await assert.rejects(trustFile(join(machine.cwd, "gone.json"), machine.home), /no such file/);
});
