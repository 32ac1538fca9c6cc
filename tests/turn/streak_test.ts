import assert from "node:assert/strict";
import { CallStreak } from "#/turn/streak.ts";

const call = (args: string, name = "file_read") => ({ id: "c", name, arguments: args });

/** Plays calls `args=result`, one a step, and returns the verdicts; a call that is not run has no result. */
function play(...steps: readonly string[]): string {
  const streak = new CallStreak();
  return steps.map((step, index) => {
    const [args, result] = step.split("=") as [string, string];
    const verdict = streak.judge(call(args), index + 1);
    if (verdict === "run") streak.note(call(args), result);
    return verdict;
  }).join(" ");
}

Deno.test("CallStreak tells at the third equal call and stops at the fourth", () => {
  assert.equal(play("a=1", "a=1", "a=1", "a=1"), "run run tell stop");
});

Deno.test("CallStreak starts anew with another call or another result", () => {
  assert.equal(play("a=1", "a=1", "b=1", "a=1", "a=1", "a=1"), "run run run run run tell");
  assert.equal(play("a=1", "a=2", "a=3", "a=4", "a=5"), "run run run run run");
  assert.equal(play("a=1", "a=1", "a=1", "b=1", "a=1", "a=1", "a=1"), "run run tell run run run tell");
});

Deno.test("CallStreak stops only when the model could have read what it was told", () => {
  const streak = new CallStreak();
  for (let i = 0; i < 2; i++) streak.note(call("a"), "1");
  assert.deepEqual([1, 1, 1, 2].map((step) => streak.judge(call("a"), step)), ["tell", "tell", "tell", "stop"]);
});

Deno.test("CallStreak knows tools apart", () => {
  const streak = new CallStreak();
  streak.note(call("a", "x"), "1");
  streak.note(call("a", "x"), "1");
  assert.equal(streak.judge(call("a", "y"), 3), "run");
});
