import assert from "node:assert/strict";
import { join } from "node:path";
import { readOrMakeToken } from "#/app/token_file.ts";

Deno.test("readOrMakeToken() makes a token, mode 0600, and finds the same one again", async () => {
  const dir = await Deno.makeTempDir();
  const token = await readOrMakeToken(dir);
  assert.match(token, /^[\w-]{43}$/);
  assert.equal(await readOrMakeToken(dir), token);
  for (const { name } of Deno.readDirSync(dir)) {
    assert.match(name, /^gateway-token(\.inode)?$/, "nothing is left beside it");
    assert.equal((await Deno.stat(join(dir, name))).mode! & 0o777, 0o600);
  }
  assert.notEqual(await readOrMakeToken(await Deno.makeTempDir()), token);
});

Deno.test("readOrMakeToken() replaces what is no token, in a file that it made itself", async () => {
  for (
    const text of ["", "\n", "short", "x".repeat(129), "a b".repeat(20), `${"a".repeat(43)}\nsecond`, "\0".repeat(43)]
  ) {
    const dir = await Deno.makeTempDir();
    const path = join(dir, "gateway-token");
    const before = await readOrMakeToken(dir);
    await Deno.writeTextFile(path, text);
    const token = await readOrMakeToken(dir);
    assert.match(token, /^[\w-]{43}$/, JSON.stringify(text));
    assert.notEqual(token, before);
    assert.equal((await Deno.readTextFile(path)).trim(), token);
  }
});

Deno.test("readOrMakeToken() takes no token that somebody else brought or that others can read", async () => {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "gateway-token");
  const known = "k".repeat(43);
  await Deno.writeTextFile(path, known, { mode: 0o600 });
  assert.notEqual(await readOrMakeToken(dir), known, "a file from elsewhere");

  const made = await readOrMakeToken(dir);
  const copy = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(dir)) await Deno.copyFile(join(dir, name), join(copy, name));
  assert.notEqual(await readOrMakeToken(copy), made, "a copy of the folder");

  await Deno.chmod(path, 0o644);
  assert.notEqual(await readOrMakeToken(dir), made, "a file that others can read");
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
});

Deno.test("readOrMakeToken() writes over no file that a link in its place leads to, and reads none through it", async () => {
  const dir = await Deno.makeTempDir();
  const outside = join(await Deno.makeTempDir(), "precious");
  const precious = "p".repeat(43);
  await Deno.writeTextFile(outside, precious, { mode: 0o600 });
  for (const name of ["gateway-token", "gateway-token.inode"]) await Deno.symlink(outside, join(dir, name));
  assert.notEqual(await readOrMakeToken(dir), precious);
  assert.equal(await Deno.readTextFile(outside), precious);
  assert.ok((await Deno.lstat(join(dir, "gateway-token"))).isFile);
});

Deno.test("readOrMakeToken() says when it cannot write, instead of going on with a token that will not stay", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.mkdir(join(dir, "gateway-token", "inside"), { recursive: true });
  await assert.rejects(readOrMakeToken(dir), Deno.errors.IsADirectory);
  await assert.rejects(readOrMakeToken(join(dir, "missing")), Deno.errors.NotFound);
});
