/** Walls tried from inside real processes; src/sandbox/self_test_probe.ts is what they run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { INSIDE, runProbe, tryEgress } from "#/sandbox/self_test_process.ts";
import { SRC } from "../fixture/source_tree.ts";
import { denoEnv } from "../fixture/system.ts";
import { never, openRealEgress } from "./egress_kit.ts";

const PROBE = join(SRC, "sandbox/self_test_probe.ts");

function toPlan(...flags: readonly string[]) {
  const args = ["run", "-q", "--no-prompt", "--no-config", "--no-lock", "--no-remote", ...flags, PROBE];
  return { command: Deno.execPath(), args, env: { DENO_DIR: denoEnv().DENO_DIR!, DENO_NO_UPDATE_CHECK: "1" } };
}

async function makeRequest() {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-walls-" });
  return { net: INSIDE, write: join(dir, "written") };
}

/** A program that is no probe. */
async function toScript(text: string) {
  const path = join(await Deno.makeTempDir({ prefix: "oxydra-walls-" }), "probe.js");
  await Deno.writeTextFile(path, text);
  return { command: Deno.execPath(), args: ["run", "-A", "-q", "--no-config", path], env: {} };
}

Deno.test("runProbe() finds every wall of a process without permissions, and none of one with -A", async () => {
  const request = await makeRequest();
  const closed = await runProbe(toPlan(), request, never);
  assert.deepEqual(closed.filter(({ held }) => !held), []);
  assert.equal(closed.length, 9 + INSIDE.length);
  const plan = toPlan("-A");
  const open = await runProbe({ ...plan, args: plan.args.filter((arg) => arg !== "--no-remote") }, {
    ...request,
    // One that answers at once, wherever this runs.
    net: ["127.0.0.1:1"],
  }, never);
  assert.deepEqual(open.filter(({ held }) => held), [], "a probe that is refused under -A proves nothing");
  assert.ok((await Deno.stat(request.write)).isFile);
});

Deno.test("runProbe() names the one permission that is too much", async () => {
  const flags: readonly (readonly [flag: string, tried: RegExp])[] = [
    ["--allow-read=/etc/passwd", /^read a file$/],
    ["--allow-write", /^write a file$/],
    ["--allow-env=DENO_NO_UPDATE_CHECK", /^read the environment$/],
    ["--allow-run=/bin/true", /^start a program$/],
    ["--allow-ffi", /^load a library$/],
    ["--allow-sys=hostname", /^ask the system$/],
    ["--allow-net=0.0.0.0:0", /^listen to everyone$/],
    ["--allow-net=127.0.0.1:1", /^connect to 127\.0\.0\.1:1$/],
  ];
  for (const [flag, tried] of flags) {
    const found = await runProbe(toPlan(flag), await makeRequest(), never);
    const through = found.filter(({ held }) => !held).map((finding) => finding.tried);
    assert.equal(through.length, 1, `${flag}: ${through}`);
    assert.match(through[0]!, tried);
  }
});

Deno.test("runProbe() calls nothing a wall that was not tried", async () => {
  const request = await makeRequest();
  const answers = [
    "",
    "no JSON",
    "[]",
    "{}",
    JSON.stringify({ "read a file": "NotCapable: x" }),
    JSON.stringify(Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`${i}`, "NotCapable: x"]))),
  ];
  for (const answer of answers) {
    const plan = await toScript(`console.log(${JSON.stringify(answer)})`);
    await assert.rejects(runProbe(plan, request, never), { code: "self_test_failed" }, answer);
  }
  const flood = await toScript(`for (let i = 0; i < 100; i++) console.log("x".repeat(${LIMITS.selfCheckBytesMax}))`);
  await assert.rejects(runProbe(flood, request, never), { code: "self_test_failed" });
  const gone = { ...toPlan(), command: "/nowhere/deno" };
  await assert.rejects(runProbe(gone, request, never), { code: "self_test_failed" });
});

Deno.test("runProbe() ends a probe that hangs at its limit, and at once when it is told to", async () => {
  const request = await makeRequest();
  const hangs = await toScript(`setInterval(() => {}, 1000)`);
  const startedAt = performance.now();
  await assert.rejects(runProbe(hangs, request, never, 50), { code: "self_test_failed" });
  await assert.rejects(runProbe(hangs, request, AbortSignal.abort()), { code: "self_test_failed" });
  assert.ok(performance.now() - startedAt < LIMITS.selfCheckMs);
});

Deno.test("tryEgress() finds that the real way out refuses addresses inside, in each spelling", async () => {
  await using egress = openRealEgress();
  const found = await tryEgress(egress, INSIDE, never);
  assert.deepEqual(found.map(({ held }) => held), INSIDE.map(() => true), JSON.stringify(found));
});

Deno.test("tryEgress() counts an answer, and any failure but a refusal, as a wall that did not hold", async () => {
  const failing = (code: ConstructorParameters<typeof AppError>[0]) => ({
    request: () => Promise.reject(new AppError(code, "no")),
  });
  const held = async (egress: Parameters<typeof tryEgress>[0]) =>
    (await tryEgress(egress, ["127.0.0.1:1"], never))[0]!.held;
  assert.equal(await held(failing("egress_denied")), true);
  assert.equal(await held(failing("egress_failed")), false);
  assert.equal(await held(failing("egress_timeout")), false);
  await using listed = openRealEgress({ allowlist: ["127.0.0.1:1"] });
  assert.equal(await held(listed), false, "it went to connect");
});
