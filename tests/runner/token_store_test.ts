import assert from "node:assert/strict";
import { join } from "node:path";
import type { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { encodeLengthJson } from "#/lib/length_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { createToken, readTokens, revokeToken, toGatewayTokens, TOKEN_NAME } from "#/runner/token_store.ts";
import { hasTokens, tokensPath } from "#/runner/tokens_path.ts";
import { RunnerNotice } from "#/sandbox/call_frames.ts";

const makeRun = () => Deno.makeTempDir({ prefix: "oxydra-run-" });

Deno.test("createToken() shows the token once and keeps its hash, in a file for this user alone", async () => {
  const run = await makeRun();
  assert.equal(hasTokens(run), false);
  assert.deepEqual(readTokens(run), []);
  const { token, issued } = await createToken(run, { name: "phone", scope: "read", expiresAt: 9 }, 5);
  assert.match(token, /^oxydra_[\w-]{43}$/);
  assert.deepEqual(issued, { ...issued, name: "phone", scope: "read", createdAt: 5, expiresAt: 9 });
  assert.equal(issued.sha256, await sha256Hex(token));
  assert.equal(hasTokens(run), true);
  assert.deepEqual(readTokens(run), [issued]);
  assert.equal((await Deno.stat(tokensPath(run))).mode! & 0o777, 0o600);
  for (const { name } of Deno.readDirSync(run)) {
    assert.ok(!(await Deno.readTextFile(join(run, name))).includes(token.slice(10)), name);
  }
  assert.deepEqual(toGatewayTokens([issued]), [{ id: issued.id, sha256: issued.sha256, scope: "read", expiresAt: 9 }]);
});

Deno.test("createToken() refuses a name in use or that is none; what has expired makes room", async () => {
  const run = await makeRun();
  const named = (name: string, now = 1) => createToken(run, { name, scope: "owner", expiresAt: 10 }, now);
  const first = await named("a");
  await assert.rejects(named("a"), /called a already/);
  for (const name of ["", "A", "-a", "a b", "a".repeat(33)]) {
    assert.equal(TOKEN_NAME.test(name), false);
    await assert.rejects(named(name), { code: "usage" });
  }
  const again = await named("a", 10);
  assert.notEqual(again.issued.id, first.issued.id, "whoever had the name before has none of its sessions");
  assert.deepEqual(readTokens(run).map(({ id }) => id), [again.issued.id]);
});

Deno.test("revokeToken() takes a name or an id, and says when there is none", async () => {
  const run = await makeRun();
  const one = await createToken(run, { name: "one", scope: "owner" }, 1);
  await createToken(run, { name: "two", scope: "owner" }, 1);
  assert.equal(revokeToken(run, one.issued.id).name, "one");
  assert.equal(revokeToken(run, "two").name, "two");
  assert.throws(() => revokeToken(run, "two"), { code: "usage" });
  assert.deepEqual(readTokens(run), []);
});

Deno.test("tokensMax tokens fit in one notice to the guest, and no more are made", async () => {
  const run = await makeRun();
  const expiresAt = Number.MAX_SAFE_INTEGER;
  for (let at = 0; at < LIMITS.tokensMax; at++) {
    await createToken(run, { name: `t${at}`, scope: "channel", expiresAt }, 1);
  }
  await assert.rejects(createToken(run, { name: "more", scope: "read" }, 1), { code: "quota_exceeded" });
  const notice = RunnerNotice.parse({ v: 1, type: "tokens", tokens: toGatewayTokens(readTokens(run)) });
  assert.ok(encodeLengthJson(notice, LIMITS.noticeBytesMax).length < LIMITS.noticeBytesMax);
});

Deno.test("readTokens() refuses a damaged file instead of guessing who may come in", async () => {
  const run = await makeRun();
  for (
    const text of ["", "{", '{"v":2,"tokens":[]}', '{"v":1,"tokens":[{"id":"x"}]}', '{"v":1,"tokens":[],"more":1}']
  ) {
    await Deno.writeTextFile(tokensPath(run), text);
    assert.throws(
      () => readTokens(run),
      (error: AppError) => error.code === "config_invalid" && /damaged/.test(error.message),
    );
  }
});

Deno.test("commands at the same time lose no change of each other", async () => {
  const run = await makeRun();
  const url = new URL("../../src/runner/token_store.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const code = `const { createToken, revokeToken } = await import("${url}");
    for (let at = 0; at < 5; at++) {
      await createToken(Deno.args[0], { name: Deno.args[1] + at, scope: "read" }, 1);
      if (at % 2) revokeToken(Deno.args[0], Deno.args[1] + at);
    }`;
  const script = join(run, "script.ts");
  await Deno.writeTextFile(script, code);
  const commands = ["a", "b", "c"].map((letter) =>
    new Deno.Command(Deno.execPath(), { args: ["run", "-A", "-q", "--config", config, script, run, letter] }).output()
  );
  for (const { code, stderr } of await Promise.all(commands)) assert.equal(code, 0, new TextDecoder().decode(stderr));
  const left = ["a", "b", "c"].flatMap((letter) => [0, 2, 4].map((at) => `${letter}${at}`));
  assert.deepEqual(readTokens(run).map(({ name }) => name).sort(), left.sort());
});
