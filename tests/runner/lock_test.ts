import assert from "node:assert/strict";
import { join } from "node:path";
import { endpointPath, readEndpoint, removeEndpoint, toEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { acquireRunnerLock, isRunnerLockHeld, readLockHolder, writePrivateFile } from "#/runner/lock.ts";
import { waitUntil } from "../fixture/system.ts";
import { takeLock } from "../fixture/workspace.ts";

Deno.test("acquireRunnerLock() is held by one and says by whom", async () => {
  const dir = await Deno.makeTempDir();
  const lock = acquireRunnerLock(dir, 1234);
  assert.ok(lock);
  assert.equal(acquireRunnerLock(dir, 5678), null);
  assert.deepEqual(readLockHolder(dir), { pid: Deno.pid, startedAt: 1234 });
  lock.release();
  const again = await takeLock(dir);
  assert.ok(readLockHolder(dir)!.startedAt > 1234);
  again.release();
});

Deno.test("acquireRunnerLock() is free at once when its holder is killed", async () => {
  const dir = await Deno.makeTempDir();
  const code = `import { acquireRunnerLock } from "#/runner/lock.ts";
    if (acquireRunnerLock(${JSON.stringify(dir)}, 1) === null) Deno.exit(1);
    console.log("held"); setInterval(() => {}, 1000);`;
  const script = join(dir, "holder.ts");
  await Deno.writeTextFile(script, code);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", "--config", new URL("../../deno.json", import.meta.url).pathname, script],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  assert.equal(acquireRunnerLock(dir, 2), null);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  (await takeLock(dir)).release();
});

Deno.test("isRunnerLockHeld() looks and leaves no trace: no file is made, and the lock is as free as before", async () => {
  const dir = await Deno.makeTempDir();
  assert.equal(isRunnerLockHeld(dir), false);
  assert.equal(isRunnerLockHeld(join(dir, "none")), false);
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  const lock = acquireRunnerLock(dir, 1234)!;
  assert.ok(isRunnerLockHeld(dir) && isRunnerLockHeld(dir));
  assert.deepEqual(readLockHolder(dir), { pid: Deno.pid, startedAt: 1234 });
  lock.release();
  await waitUntil(() => !isRunnerLockHeld(dir), "the lock is not given back");
  (await takeLock(dir)).release();
});

Deno.test("isRunnerLockHeld() does not wait at a pipe, and says what it cannot read", async () => {
  const [pipe, folder] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  assert.ok((await new Deno.Command("mkfifo", { args: [join(pipe, "runner.lock")] }).output()).success);
  assert.equal(isRunnerLockHeld(pipe), false);
  Deno.writeTextFileSync(join(folder, "run"), "no folder");
  assert.throws(() => isRunnerLockHeld(join(folder, "run")), {
    code: "config_invalid",
    message: /runner\.lock cannot be read/,
  });
});

Deno.test("readLockHolder() is null for no file and for nonsense", async () => {
  const dir = await Deno.makeTempDir();
  assert.equal(readLockHolder(dir), null);
  for (const text of ["", "{", "null", '{"pid":"1","startedAt":2}']) {
    await Deno.writeTextFile(join(dir, "runner.lock"), text);
    assert.equal(readLockHolder(dir), null);
  }
});

Deno.test("writePrivateFile() replaces whole, mode 0600, and leaves nothing behind when it fails", async () => {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "file");
  writePrivateFile(path, "one");
  writePrivateFile(path, "two");
  assert.equal(await Deno.readTextFile(path), "two");
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  await Deno.mkdir(join(dir, "folder", "inside"), { recursive: true });
  assert.throws(() => writePrivateFile(join(dir, "folder"), "x"), { code: "config_invalid" });
  assert.deepEqual([...Deno.readDirSync(dir)].map((entry) => entry.name).sort(), ["file", "folder"]);
});

Deno.test("the endpoint file holds the reference's URL, mode 0600, and nonsense in it is no endpoint", async () => {
  const dir = await Deno.makeTempDir();
  assert.equal(readEndpoint(dir), null);
  const endpoint = toEndpoint(4711, "abc_DEF-123");
  writeEndpoint(dir, endpoint);
  assert.equal(endpoint.url, "ws://127.0.0.1:4711/ws?token=abc_DEF-123");
  assert.deepEqual(readEndpoint(dir), endpoint);
  assert.equal((await Deno.stat(endpointPath(dir))).mode! & 0o777, 0o600);
  for (const text of ["", "ws://evil.example/ws?token=a", "ws://127.0.0.1:1/other?token=a", "x".repeat(100_000)]) {
    await Deno.writeTextFile(endpointPath(dir), text);
    assert.equal(readEndpoint(dir), null);
  }
  removeEndpoint(dir);
  removeEndpoint(dir);
  assert.equal(readEndpoint(dir), null);
});

Deno.test("acquireRunnerLock() says which file the disk refuses", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.mkdir(join(dir, "runner.lock"));
  assert.throws(() => acquireRunnerLock(dir, 1), { code: "config_invalid", message: /runner\.lock cannot be written/ });
  assert.throws(() => acquireRunnerLock(join(dir, "none"), 1), { code: "config_invalid" });
});
