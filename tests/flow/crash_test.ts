/** SIGKILL of the guest behind every event of a turn that writes and edits: nothing is lost, nothing happens twice, the turn ends. */
import assert from "node:assert/strict";
import { insertLine, type StepCalls } from "../fixture/crash_house.ts";
import { crashThrough } from "../fixture/crash_run.ts";

const STEPS = 12;
const KILLS_MIN = 55;

/** The lines that these steps of each round leave. */
function toJournal(rounds: number, steps: readonly number[]): string {
  const lines = Array.from({ length: rounds }, (_, round) => steps.map((step) => `line ${round}.${step}\n`)).flat();
  return `BEGIN\n${lines.join("")}END\n`;
}

Deno.test("a guest killed behind every event of a turn of 12 edits: each edit is there once", async () => {
  const steps = Array.from({ length: STEPS }, (_, step) => step);
  const { journal, rounds } = await crashThrough(
    (round) => steps.map((step): StepCalls => [insertLine(`line ${round}.${step}`)]),
    KILLS_MIN,
  );
  assert.equal(journal, toJournal(rounds, steps));
});

Deno.test("a guest killed behind every event of a turn that writes, edits, reads and deletes", async () => {
  const toCall = (round: number, n: number): StepCalls[number] => {
    const path = (step: number) => `/shared/${round}.${step}.txt`;
    if (n % 4 === 0) return ["file_write", { path: path(n), content: `${n}` }];
    if (n % 4 === 1) return insertLine(`line ${round}.${n}`);
    return n % 4 === 2 ? ["file_delete", { path: path(n - 2) }] : ["file_read", { path: "/shared/journal.md" }];
  };
  const { journal, rounds } = await crashThrough(
    (round) => Array.from({ length: STEPS }, (_, n): StepCalls => [toCall(round, n)]),
    KILLS_MIN,
  );
  assert.equal(journal, toJournal(rounds, [1, 5, 9]));
});
