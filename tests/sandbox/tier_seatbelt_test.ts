import assert from "node:assert/strict";
import { join, toFilePath } from "#/lib/path.ts";
import { SeatbeltTier, toProfile } from "#/sandbox/tier_seatbelt.ts";
import { LIMITS_OF_TESTS } from "./wall_kit.ts";

const signal = new AbortController().signal;

Deno.test("toProfile() denies everything and names the rest", () => {
  const profile = toProfile({
    mounts: { shared: "/Users/a.b/shared", tmp: "/private/tmp/t" },
    files: { "/run/oxydra/agent.sh": "/Users/a.b/agent.sh" },
    netDir: "/private/tmp/net",
  });
  const lines = profile.split("\n");
  assert.deepEqual(lines.slice(0, 2), ["(version 1)", "(deny default)"]);
  const allowed = lines.filter((line) => line.startsWith("(allow file-read* "));
  assert.equal(
    allowed.at(-1),
    '(allow file-read* file-write* (subpath "/Users/a.b/shared") (subpath "/private/tmp/t"))',
  );
  assert.ok(!/subpath "\/"|subpath "\/Users"\)|Keychains|subpath "\/private\/var/.test(profile), profile);
  // The last rule that fits counts: the settings come after the mounts they lie in.
  const covers = lines.filter((line) => line.startsWith("(deny file-read* file-write* (regex"));
  assert.equal(
    covers[0],
    '(deny file-read* file-write* (regex "^/Users/a\\\\.b/shared/(.*/)?\\\\.[oO][xX][yY][dD][rR][aA](/|$)"))',
  );
  assert.ok(lines.indexOf(covers[0]!) > lines.indexOf(allowed.at(-1)!));
  assert.equal(
    lines.at(-1),
    '(allow network-outbound (remote unix-socket (path-literal "/private/tmp/net/proxy.sock")))',
  );
  assert.equal(lines.filter((line) => line.includes("mach-lookup")).length, 1);
});

Deno.test("toProfile() without a way out has no network, and refuses a path that would write a rule", () => {
  const mounts = { shared: "/s", tmp: "/t" };
  assert.ok(!toProfile({ mounts, files: {} }).includes("network"));
  for (const shared of ['/s") (allow default) ("', "/s\n(allow default)"]) {
    assert.throws(() => toProfile({ mounts: { ...mounts, shared }, files: {} }), RangeError);
  }
});

Deno.test("SeatbeltTier starts a process with its limits and paths, ends its group, and says what was never tried", async () => {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  for (const name of ["shared", "tmp", "bin"]) Deno.mkdirSync(join(root, name));
  const command = join(root, "bin/sandbox-exec");
  Deno.copyFileSync(toFilePath(new URL("../fake/sandbox_exec.sh", import.meta.url)), command);
  const driver = new SeatbeltTier({ user: "alice", dir: root }, command);
  const agent = join(root, "agent.sh");
  Deno.writeTextFileSync(agent, 'pwd; echo "$HOME $A"; ulimit -f; sleep 60 & wait');
  const walled = await driver.open({
    id: "s1",
    user: "alice",
    mounts: { shared: join(root, "shared"), tmp: join(root, "tmp") },
    env: { A: "b" },
    limits: { ...LIMITS_OF_TESTS, fileBytesMax: 2_048 },
    argv: ["/bin/bash", "/run/oxydra/agent.sh"],
    files: { "/run/oxydra/agent.sh": agent },
  }, signal);
  const reader = walled.stdout.getReader();
  let said = "";
  while (said.split("\n").length < 4) said += new TextDecoder().decode((await reader.read()).value);
  assert.equal(said, `${root}/shared\n${root}/tmp b\n2\n`);
  assert.match(Deno.readTextFileSync(join(root, "bin/profile")), /^\(version 1\)\n\(deny default\)/);
  await walled.kill();
  // Its output ends: nobody of its group holds the pipe.
  assert.equal((await reader.read()).done, true);
  assert.equal((await walled.exited).code, 137);
  await Promise.all([walled.stdin.abort().catch(() => {}), walled.stderr.cancel()]);
  const status = await driver.probe();
  assert.match(status.notes[0]!, /never tried/);
  assert.equal(await driver.sweep("alice"), 0);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("SeatbeltTier is not there where macOS is not", async () => {
  const driver = new SeatbeltTier({ user: "alice", dir: Deno.makeTempDirSync() }, "/nowhere/sandbox-exec");
  assert.equal((await driver.probe()).available, false);
});
