import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { ToolChild } from "#/sandbox/child_process.ts";
import { answerWith, isAlive, never, openFilesComponent, planRealChild, readCall, SETPRIV } from "./child_kit.ts";

const DOOMED = fileURLToPath(new URL("./doomed_runner.ts", import.meta.url));

Deno.test("ToolChild takes one call at a time and none when it is dead", async () => {
  const child = new ToolChild(planRealChild());
  await child.load(await openFilesComponent());
  assert.ok(child.residentBytes() > 10_000_000 && isAlive(child.pid));
  const first = child.call(readCall(), answerWith("1"), never());
  await assert.rejects(child.call(readCall(), answerWith("2"), never()), RangeError);
  assert.equal((await first).text, "1");
  assert.equal(child.calls, 1);
  child.kill();
  await child.ended;
  assert.ok(child.dead && !isAlive(child.pid));
  assert.equal(child.residentBytes(), 0);
  await assert.rejects(child.call(readCall(), answerWith(""), never()), RangeError);
});

Deno.test("ToolChild keeps the terminal's signals away: it leads its own process group", async () => {
  const child = new ToolChild(planRealChild());
  const [, , , , group] = (await Deno.readTextFile(`/proc/${child.pid}/stat`)).split(" ");
  assert.equal(Number(group), child.pid);
  child.kill();
  await child.ended;
});

/** Starts a runner whose tool loops until its deadline, kills it with SIGKILL, and fails when the child is still there `aliveMsMax` later. */
async function assertDies(how: "setpriv" | "plain", timeoutMs: number, aliveMsMax: number): Promise<void> {
  const args = ["run", "-A", "-q", DOOMED, how, String(timeoutMs)];
  const runner = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "inherit" }).spawn();
  const reader = runner.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  assert.ok(isAlive(pid), `child ${pid}`);
  runner.kill("SIGKILL");
  const at = performance.now();
  await runner.status;
  while (isAlive(pid)) {
    if (performance.now() - at > aliveMsMax) {
      Deno.kill(pid, "SIGKILL");
      assert.fail(`the child is still there after ${aliveMsMax} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await reader.cancel();
}

Deno.test({
  name: "a child whose runner is killed in the middle of a loop dies with it where setpriv exists",
  ignore: SETPRIV === undefined,
  fn: () => assertDies("setpriv", 60_000, 20_000),
});

Deno.test("a child whose runner is killed in the middle of a loop is gone within 1 s of its deadline without setpriv", async () => {
  await assertDies("plain", 1_500, 1_500 + 1_000);
});
