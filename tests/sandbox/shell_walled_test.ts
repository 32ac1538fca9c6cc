/** A session's shell behind bubblewrap: what only real walls show. */
import assert from "node:assert/strict";
import { openShells } from "#/sandbox/shells.ts";
import type { ShellResult, Shells } from "#/sandbox/shell.ts";
import { QUIET } from "./shell_kit.ts";
import { LIMITS_OF_TESTS, WallHouse } from "./wall_kit.ts";

async function withWalls(
  check: (run: (command: string, timeoutMs?: number) => Promise<ShellResult>, shells: Shells) => Promise<void>,
): Promise<void> {
  await using house = await WallHouse.open();
  const { driver, user, shared, tmp } = house;
  const limits = { ...LIMITS_OF_TESTS, processesMax: 64 };
  const shells = openShells({ driver, user, mounts: { shared, tmp }, env: {}, limits, onLog: () => {} });
  try {
    await check(
      (command, timeoutMs = 20_000) => shells.exec({ session: "s", command, timeoutMs, connect: [] }, QUIET),
      shells,
    );
  } finally {
    await shells.close();
  }
}

Deno.test("exec() behind bubblewrap begins in /shared, keeps its state and ends what passes its time", () =>
  withWalls(async (run) => {
    const first = await run("pwd; x=1; sleep 1000 &");
    assert.deepEqual([first.text, first.cwd], ["/shared\n", "/shared"]);
    assert.match(first.notes.join(), /^1 background process runs$/);
    const late = await run("trap '' TERM; setsid sleep 1001 & sleep 1002", 300);
    assert.match(late.notes[0]!, /ended after/);
    const after = await run("echo $x; kill -0 %1 2>/dev/null || pgrep -c 'sleep'");
    assert.equal(after.text, "1\n1\n", "the one from before is there, and nothing else");
    const { exitCode, text } = await run("exec true");
    assert.deepEqual([exitCode, text], [undefined, ""]);
    assert.equal((await run("echo $x")).text, "1\n");
  }));

Deno.test("exec() behind bubblewrap contains a fork bomb: it ends with its time, and the next command runs", () =>
  withWalls(async (run) => {
    await run("x=1");
    const bomb = await run("b() { b | b & }; b; sleep 1000", 1_500);
    assert.equal(bomb.exitCode, undefined);
    const after = await run("echo on");
    assert.deepEqual([after.text, after.exitCode], ["on\n", 0], JSON.stringify([bomb, after]));
    assert.ok(Number((await run("ls -d /proc/[0-9]* | wc -l")).text) < 12);
  }));

Deno.test("exec() behind bubblewrap survives a fork bomb that is left in the background", () =>
  withWalls(async (run) => {
    await run("b() { b | b & }; b");
    let result = await run("echo on", 3_000);
    for (let i = 0; i < 5 && result.exitCode !== 0; i++) result = await run("echo on", 3_000);
    // While the bomb still holds every place, bash says so beside it.
    assert.equal(result.text.replace(/^.*: fork: retry: .*\n/gm, ""), "on\n");
  }));

Deno.test("exec() behind bubblewrap goes on after kill -9 -1, with a new shell where that took the walls along", () =>
  withWalls(async (run) => {
    await run("kill -9 -1; true");
    // A command that was on its way to a shell of which nobody had seen the end is told so, and is not run a second time.
    let result = await run("echo on");
    if (result.exitCode === undefined) {
      assert.ok(result.notes.length > 0);
      result = await run("echo on");
    }
    assert.equal(result.text, "on\n");
  }));

Deno.test("exec() behind bubblewrap takes a file of 1 MB as its script, and a here-document of 8 KB", () =>
  withWalls(async (run) => {
    const text = "x".repeat(8_000);
    assert.equal((await run(`cat > a <<'E'\n${text}\nE\nwc -c < a`)).text, "8001\n");
    assert.equal(
      (await run("{ printf 'x='; head -c 1000000 /dev/zero | tr '\\0' y; echo; echo 'echo ${#x}'; } > s; . ./s")).text,
      "1000000\n",
    );
  }));
