/** SIGKILL of the guest behind every event of a turn whose replies hold several calls, or wait for a person. */
import assert from "node:assert/strict";
import { insertLine, type StepCalls } from "../fixture/crash_house.ts";
import { crashThrough } from "../fixture/crash_run.ts";

const KILLS_MIN = 50;

Deno.test("a guest killed behind every event of replies with reads together and an edit between them", async () => {
  const read = ["file_read", { path: "/shared/journal.md" }] as const;
  const { events } = await crashThrough(
    (round) =>
      Array.from({ length: 12 }, (_, n): StepCalls => {
        return n % 3 === 2 ? [read, read, insertLine(`line ${round}.${n}`), read] : [insertLine(`line ${round}.${n}`)];
      }),
    KILLS_MIN,
  );
  const reads = events.filter(({ type, payload }) => type === "tool_result" && payload.callId === "call_11_3");
  for (const [round, { payload: { text } }] of reads.entries()) {
    const lines = Array.from({ length: 12 }, (_, n) => `line ${round}.${n}\n`).join("");
    assert.ok(text.endsWith(`${lines}END\n`), "a read behind an edit sees it, once");
  }
});

Deno.test("a guest killed behind every event of a turn that asks a person: each yes counts once", async () => {
  const { events, rounds } = await crashThrough((round) =>
    Array.from({ length: 12 }, (_, n): StepCalls => {
      const destination = `/shared/key ${round}.${n}`;
      return n % 4 === 3
        ? [["vault_copyto", { source_path: "/vault/key", destination_path: destination }]]
        : [insertLine(`line ${round}.${n}`)];
    }), KILLS_MIN);
  const asked = events.filter(({ type }) => type === "approval_asked").map(({ payload }) => payload.card.lines[0]);
  const copies = Array.from({ length: rounds }, (_, round) => [3, 7, 11].map((n) => `key ${round}.${n}`)).flat();
  assert.deepEqual(asked.length, copies.length);
});
