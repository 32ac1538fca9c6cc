import assert from "node:assert/strict";
import { DAY_MS } from "#/core/cost.ts";
import { CostAccount, Ledger, type LedgerOptions, type Reservation } from "#/turn/ledger.ts";

const MODEL = { provider: "p", model: "m" };
const PRICE = { input: 1_000_000, output: 2_000_000 };
const never = new AbortController().signal;

function toLedger(changes: Partial<LedgerOptions> = {}): Ledger {
  return new Ledger({ models: [{ ...MODEL, price: PRICE }], spentToday: 0, now: () => 5, ...changes });
}

function toTurn(limit?: number): CostAccount {
  return new CostAccount("max_cost", limit, 0);
}

/** A reservation that must be there: at $1 a token in, $2 a token out. */
async function reserve(ledger: Ledger, input: number, turn = toTurn(), output = 0): Promise<Reservation> {
  const reserved = await ledger.reserve({ input, output }, turn, never);
  assert.ok(reserved !== undefined && "settle" in reserved);
  return reserved;
}

/** The message with which a call is refused. */
async function refused(ledger: Ledger, turn = toTurn()): Promise<string> {
  const spent = await ledger.reserve({ input: 1, output: 0 }, turn, never);
  assert.ok(spent !== undefined && "kind" in spent);
  assert.deepEqual([spent.kind, spent.code], ["cost", "budget_cost"]);
  return `${spent.used}/${spent.limit} ${spent.message}`;
}

Deno.test("Ledger reserves the most that a call can cost, and takes what it did cost", async () => {
  const turn = toTurn(10);
  const ledger = toLedger({ dayMax: 20 });
  const call = await reserve(ledger, 3, turn, 2);
  assert.equal(call.bound, 7);
  call.settle(4);
  call.settle(4);
  assert.equal(turn.spent, 4);
  (await reserve(ledger, 3, turn)).settle(undefined);
  assert.equal(turn.spent, 7, "what is not known costs what was reserved");
  (await reserve(ledger, 9, turn)).settle(9);
  assert.match(await refused(ledger, turn), /^16\/10 Stopped after \$16\.0000 of \$10$/);
  (await reserve(ledger, 9)).settle(9);
  assert.match(
    await refused(ledger),
    /^25\/20 \$25\.0000 of \$20 are spent today\. Go on after 00:00 UTC, or raise max_cost_per_day$/,
  );
});

Deno.test("Ledger counts what today cost before it was opened, and begins anew at 00:00 UTC, never backwards", async () => {
  let now = DAY_MS - 1;
  const ledger = toLedger({ dayMax: 5, spentToday: 5, now: () => now });
  assert.match(await refused(ledger), /^5\/5 /);
  now = DAY_MS;
  const late = await reserve(ledger, 1);
  (await reserve(ledger, 2)).settle(2);
  now = DAY_MS * 2;
  late.settle(5);
  (await reserve(ledger, 5)).settle(5);
  now = DAY_MS;
  assert.match(await refused(ledger), /^5\/5 /, "an older day is not opened again");
});

Deno.test("Ledger refuses a limit that it cannot check, and only then an unknown price", async () => {
  for (const models of [[MODEL], [{ ...MODEL, price: PRICE }, { provider: "p", model: "other" }]]) {
    const ledger = toLedger({ models });
    const free = await reserve(ledger, 1);
    assert.equal(free.bound, undefined);
    free.settle(undefined);
    assert.match(
      await refused(ledger, toTurn(1)),
      /cost limit of \$1, and the price of this model is not known\. Remove max_cost,/,
    );
    assert.match(
      await refused(toLedger({ models, dayMax: 2 })),
      /\$2 a day, and the price .* Remove max_cost_per_day,/,
    );
  }
  assert.equal(toLedger({ models: [MODEL] }).costOf(MODEL, { promptTokens: 1 }, { input: 1, output: 1 }), undefined);
  assert.equal(toLedger().costOf({ ...MODEL, provider: "x" }, {}, { input: 1, output: 1 }), undefined);
});

Deno.test("Ledger reserves for the dearest model that may answer, and a cache that is written", async () => {
  const models = [
    { ...MODEL, price: PRICE },
    { provider: "p", model: "dear", price: { input: 3_000_000, output: 0, cacheWrite: 4_000_000 } },
  ];
  const ledger = toLedger({ models });
  assert.equal((await reserve(ledger, 2, toTurn(), 1)).bound, 8);
  const wordy = toLedger({ models: [{ ...MODEL, price: PRICE, outputTokensMax: 50 }] });
  assert.equal((await reserve(wordy, 2, toTurn(), 1)).bound, 102);
  assert.equal((await reserve(wordy, 2, toTurn(), 60)).bound, 122);
  const own = { input: 9, output: 9 };
  const usage = { promptTokens: 2, completionTokens: 1 };
  assert.deepEqual(ledger.costOf(MODEL, usage, own), { cost: 4, isEstimate: false });
  assert.deepEqual(ledger.costOf({ provider: "p", model: "dear" }, usage, own), { cost: 6, isEstimate: false });
  assert.deepEqual(ledger.costOf(MODEL, {}, own), { cost: 27, isEstimate: true });
});

Deno.test("Ledger lets a free model run on a limit that has something left", async () => {
  const ledger = toLedger({ models: [{ ...MODEL, price: { input: 0, output: 0 } }], dayMax: 1 });
  for (let i = 0; i < 3; i++) assert.equal((await reserve(ledger, 1e6)).bound, 0);
});

Deno.test("Ledger makes a call wait for those that run, until they are over or it is cancelled", async () => {
  const ledger = toLedger({ dayMax: 10 });
  const first = await reserve(ledger, 10);
  let isThrough = false;
  const second = reserve(ledger, 3).then((reservation) => {
    isThrough = true;
    return reservation;
  });
  const control = new AbortController();
  const third = ledger.reserve({ input: 1, output: 0 }, toTurn(), control.signal);
  control.abort();
  assert.equal(await third, undefined);
  assert.equal(isThrough, false);
  first.settle(0.1 + 0.2);
  (await second).settle(9.7);
  assert.match(await refused(ledger), /^10\/10 /);
});

Deno.test("Ledger: however many turns run at once and whatever they cost, a limit is passed by less than one reservation", async () => {
  let seed = 7;
  const random = (below: number) => (seed = seed * 48_271 % 2_147_483_647) % below;
  for (let round = 0; round < 200; round++) {
    const limit = 1 + random(500);
    const turnLimit = random(2) === 0 ? undefined : 1 + random(200);
    const ledger = toLedger({ dayMax: limit });
    let [day, most, running, crowd] = [0, 0, 0, 0];
    const runTurn = async () => {
      const turn = toTurn(turnLimit);
      for (let call = 0; call < 20; call++) {
        const input = random(3) === 0 ? random(200) : random(5);
        const reserved = await ledger.reserve({ input, output: 0 }, turn, never);
        if (reserved === undefined || "kind" in reserved) return;
        most = Math.max(most, input);
        crowd = Math.max(crowd, ++running);
        for (let wait = random(4); wait > 0; wait--) await Promise.resolve();
        const cost = random(4) === 0 ? undefined : random(input + 1);
        running--;
        reserved.settle(cost);
        day += cost ?? input;
        assert.ok(turnLimit === undefined || turn.spent < turnLimit + input, `turn ${turn.spent} of ${turnLimit}`);
      }
    };
    await Promise.all(Array.from({ length: 30 }, runTurn));
    assert.ok(day < limit + most || day === 0, `${day} of ${limit}, the largest ${most}`);
    assert.ok(round > 0 || crowd > 1, "turns ran at once");
  }
});
