import assert from "node:assert/strict";
import { join } from "node:path";
import { DAY_MS, toDay } from "#/core/cost.ts";
import type { EventPayloads, NewEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import { main } from "#/cli/main.ts";
import { runUsage } from "#/cli/usage.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { SqliteDriver } from "#/memory/sqlite_driver.ts";
import { messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";
import { type AuditedMachine, makeAuditedMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

const TODAY = toDay(Date.now());
const DATE = new Date(TODAY * DAY_MS).toISOString().slice(0, 10);

/** One call: of a session, days ago, with this result or none. */
type Call = readonly [
  session: string,
  daysAgo: number,
  model: string,
  result: Partial<EventPayloads["model_result"]> | undefined,
];

async function makeUsed(calls: readonly Call[]): Promise<AuditedMachine> {
  const machine = makeAuditedMachine();
  let now = 0;
  const log = await openEventLog({ path: join(machine.internal, "oxydra.db"), now: () => now });
  for (const [i, [session, daysAgo, model, result]] of calls.entries()) {
    now = Date.now() - daysAgo * DAY_MS;
    await log.ensureSession(sessionOf(session));
    const request: NewEvent = {
      ...SAMPLES.model_request,
      payload: { ...SAMPLES.model_request.payload, provider: "p", model, reserved: 4 },
    };
    const answer: NewEvent[] = result === undefined
      ? []
      : [{ ...SAMPLES.model_result, payload: { ...SAMPLES.model_result.payload, ...result } }];
    await log.append(session, `t${i}`, [messageOf("hi"), request, ...answer], { durability: "normal" });
  }
  await log.close();
  return machine;
}

const USED: readonly Call[] = [
  ["a", 0, "big", { cost: 0.5, usage: { promptTokens: 12_000, cachedTokens: 1_000, completionTokens: 30 } }],
  ["a", 0, "big", { cost: 0.25, costIsEstimate: true, usage: {} }],
  ["b", 0, "small", { usage: { promptTokens: 5, completionTokens: 1 } }],
  ["b", 1, "big", undefined],
  ["b", 40, "big", { cost: 100 }],
];

async function usage(machine: AuditedMachine, ...args: string[]) {
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const code = await main(["usage", ...args], "1.2.3");
  return { code, out: realm.out(), err: realm.err() };
}

Deno.test("runUsage() prints a row a day and model, the sum, today, and what its marks mean", async () => {
  using machine = await makeUsed(USED);
  const { code, out, err } = await usage(machine);
  assert.deepEqual([code, err], [0, ""]);
  const yesterday = new Date((TODAY - 1) * DAY_MS).toISOString().slice(0, 10);
  assert.deepEqual(out.split("\n"), [
    "day         model    calls   input  cached  output        cost",
    `${DATE}  p/small      1       5       0       1           ?`,
    `${DATE}  p/big        2  12,000   1,000      30    ~$0.7500`,
    `${yesterday}  p/big        1       0       0       0    +$4.0000`,
    "total                    4  12,005   1,000      31  ~+?$4.7500",
    "?  the price of 1 of these calls is not known; they are not in the cost",
    "~  the vendor counted no tokens of 1 of these calls; their cost is by our count",
    "+  1 of these calls run, or were cut off; they count with the most that they may cost",
    "today (UTC): $0.7500, and no max_cost_per_day is set",
    "",
  ]);
});

Deno.test("runUsage() groups by model, session or day, and keeps to one session; today is of all of them", async () => {
  using machine = await makeUsed(USED);
  const rows = async (...args: string[]) =>
    (await usage(machine, ...args)).out.split("\n").slice(1, -2).map((line) => line.split(/ +/).slice(0, 2).join(" "));
  assert.deepEqual(await rows("--by", "model"), ["p/small 1", "p/big 3", "total 4", ...MARKS]);
  assert.deepEqual(await rows("--by", "session"), ["b 2", "a 2", "total 4", ...MARKS]);
  assert.deepEqual((await rows("--by", "day")).length, 3 + MARKS.length);
  assert.deepEqual(await rows("--by", "model", "--days", "1"), [
    "p/small 1",
    "p/big 2",
    "total 3",
    ...MARKS.slice(0, 2),
  ]);
  assert.deepEqual(await rows("--by", "model", "--days", "41", "--session", "b"), [
    "p/small 1",
    "p/big 2",
    "total 3",
    MARKS[0],
    MARKS[2],
  ]);
  assert.match((await usage(machine, "--session", "b")).out, /today \(UTC\): \$0\.7500/);
});

const MARKS = ["? the", "~ the", "+ 1"];

Deno.test("runUsage() prints JSON, with the limit of a day", async () => {
  using machine = await makeUsed(USED);
  Deno.mkdirSync(join(machine.cwd, ".oxydra"), { recursive: true });
  Deno.writeTextFileSync(join(machine.cwd, ".oxydra/agent.toml"), "[runtime]\nmax_cost_per_day = 2.5\n");
  const { rows, total, today, since } = JSON.parse((await usage(machine, "--json", "--days", "1")).out);
  assert.deepEqual([since, today, rows.length], [DATE, { spent: 0.75, limit: 2.5 }, 2]);
  const big = {
    calls: 2,
    inputTokens: 12_000,
    cachedTokens: 1_000,
    outputTokens: 30,
    cost: 0.75,
    unpricedCalls: 0,
    estimatedCalls: 1,
    openCalls: 0,
  };
  assert.deepEqual(rows[1], { day: DATE, model: "p/big", ...big });
  assert.deepEqual([total.calls, total.cost], [3, 0.75]);
  assert.match((await usage(machine)).out, /today \(UTC\): \$0\.7500 of \$2\.5$/m);
});

Deno.test("runUsage() says that there is nothing, where there is no log and where it is empty", async () => {
  using machine = makeAuditedMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  assert.equal(await runUsage({ days: "1" }), 0);
  assert.equal(
    realm.out(),
    `no calls of models since ${DATE} (UTC)\ntoday (UTC): $0.0000, and no max_cost_per_day is set\n`,
  );
});

Deno.test("runUsage() takes days from 1 to usageDaysMax", async () => {
  using machine = makeAuditedMachine();
  for (const days of ["0", "-1", "1.5", "x", `${LIMITS.usageDaysMax + 1}`]) {
    const { code, err } = await usage(machine, "--days", days);
    assert.equal(code, 2);
    assert.match(err, /--days: a number from 1 to \d+/);
  }
  assert.equal((await usage(machine, "--days", `${LIMITS.usageDaysMax}`)).code, 0);
});

Deno.test("runUsage() reads a log that a guest made to deceive like a stranger's word", async () => {
  using machine = await makeUsed([["a\u001b[2J", 0, "m\u001b]0;x\u0007", { cost: 1 }]]);
  const write = async (sql: string) => {
    const path = join(machine.internal, "oxydra.db");
    const driver = new SqliteDriver({ path, name: "log", bytesMax: LIMITS.eventLogBytesMax });
    await driver.all({ sql });
    await driver.close();
  };
  for (const args of [[], ["--by", "session"], ["--json"]]) {
    const { code, out } = await usage(machine, ...args);
    assert.equal(code, 0);
    assert.ok(!out.includes("\u001b"), args.join());
  }
  for (const cost of ["-5", "9e999"]) {
    await write(`UPDATE events SET payload = json_set(payload, '$.cost', json('${cost}')) WHERE type = 'model_result'`);
    const { code, err } = await usage(machine);
    assert.equal(code, 1);
    assert.match(err, /What models were used for cannot be read: the event log names no proper counts/);
  }
});
