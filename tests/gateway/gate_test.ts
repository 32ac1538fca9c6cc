import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Gate } from "#/gateway/gate.ts";
import { Rates } from "#/gateway/rate.ts";
import type { GatewayToken, Scope } from "#/gateway/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";

const rate = { perSecMax: 2, burstMax: 3 };

Deno.test("spend() takes a burst, then what a second gives, and says how long to wait", () => {
  let now = 1_000;
  const rates = new Rates(() => now);
  assert.deepEqual([1, 2, 3, 4].map(() => rates.spend("a", rate)), [0, 0, 0, 500]);
  assert.equal(rates.peek("a", rate), 500);
  assert.equal(rates.peek("b", rate), 0);
  assert.equal(rates.spend("b", rate), 0, "another key has its own");
  now += 400;
  assert.ok(Math.abs(rates.spend("a", rate) - 100) <= 1);
  now += 101;
  assert.equal(rates.spend("a", rate), 0);
  now += 1_000_000;
  assert.deepEqual([1, 2, 3, 4].map(() => rates.spend("a", rate)), [0, 0, 0, 500], "no more than a burst is saved up");
});

Deno.test("a clock that is set back neither gives nor takes, and time goes on from there", () => {
  let now = 1_000_000;
  const rates = new Rates(() => now);
  for (let at = 0; at < 3; at++) rates.spend("a", rate);
  now = 5;
  assert.equal(rates.spend("a", rate), 500);
  now = 505;
  assert.equal(rates.spend("a", rate), 0);
});

Deno.test("ratedMax keys are remembered, and the one that asked longest ago is forgotten first", () => {
  const rates = new Rates(() => 0);
  for (const key of ["old", "new"]) for (let at = 0; at < 3; at++) rates.spend(key, rate);
  for (let at = 0; at < LIMITS.ratedMax - 2; at++) rates.spend(`k${at}`, rate);
  assert.ok(rates.spend("new", rate) > 0);
  rates.spend("one more", rate);
  assert.equal(rates.peek("old", rate), 0, "forgotten");
  assert.ok(rates.peek("new", rate) > 0);
});

async function toGate(tokens: readonly (Partial<GatewayToken> & { token: string; scope: Scope })[]) {
  const known = await Promise.all(tokens.map(async ({ token, ...rest }) => ({
    id: token,
    sha256: await sha256Hex(token),
    ...rest,
  })));
  const clock = { now: 1_000 };
  const list = { known: known as readonly GatewayToken[] };
  const gate = new Gate({ tokens: () => list.known, now: () => clock.now });
  const ask = (token: string, address = "127.0.0.1") =>
    gate.admit(new Request("http://127.0.0.1/ws", { headers: { authorization: `Bearer ${token}` } }), address);
  return { gate, ask, clock, list };
}

Deno.test("admit() lets each token ask as often as its scope may", async () => {
  const { gate, ask, clock } = await toGate([{ token: "o", scope: "owner" }, { token: "r", scope: "read" }]);
  assert.deepEqual(await ask("r"), { caller: { id: "r", scope: "read" }, waitMs: 0 });
  for (let at = 1; at < LIMITS.tokenAsksBurstMax; at++) gate.spend({ id: "r", scope: "read" });
  assert.equal((await ask("r")).waitMs, 1_000 / LIMITS.tokenAsksPerSecMax);
  assert.equal((await ask("o")).waitMs, 0);
  for (let at = 1; at < LIMITS.ownerAsksBurstMax; at++) gate.spend({ id: "o", scope: "owner" });
  assert.ok((await ask("o")).waitMs > 0);
  clock.now += 1_000;
  assert.equal((await ask("r")).waitMs, 0);
});

Deno.test("admit() slows an address down that guesses: another machine is not heard at all, this one with a good token always", async () => {
  const { ask, clock } = await toGate([{ token: "o", scope: "owner" }]);
  for (const [address, isHeard] of [["127.0.0.1", true], ["198.51.100.7", false]] as const) {
    for (let at = 0; at < LIMITS.failedAsksBurstMax; at++) assert.equal((await ask("x", address)).waitMs, 0);
    assert.ok((await ask("x", address)).waitMs > 0);
    const good = await ask("o", address);
    assert.deepEqual([good.caller !== undefined, good.waitMs === 0], [isHeard, isHeard], address);
  }
  assert.ok((await ask("o", "198.51.100.8")).caller, "nobody else waits for that");
  clock.now += 1_000;
  assert.ok((await ask("o", "198.51.100.7")).caller);
});

Deno.test("an expired token is dead, also when the clock goes back; a list without it is its end", async () => {
  const { gate, ask, clock, list } = await toGate([
    { token: "t", scope: "read", expiresAt: 2_000 },
    { token: "u", scope: "read", expiresAt: 5_000 },
    { token: "o", scope: "owner" },
  ]);
  const caller = { id: "t", scope: "read" } as const;
  assert.equal(gate.untilExpiryMs, 1_000);
  assert.ok(gate.isGood(caller));
  clock.now = 2_000;
  assert.ok(!gate.isGood(caller));
  assert.equal((await ask("t")).caller, undefined);
  assert.equal(gate.untilExpiryMs, 3_000);
  clock.now = 10;
  assert.ok(!gate.isGood(caller));
  assert.equal((await ask("t")).caller, undefined);
  assert.ok(gate.isGood({ id: "o", scope: "owner" }));
  assert.ok(!gate.isGood({ id: "o", scope: "read" }), "a token that was made anew with another scope");
  list.known = [];
  assert.ok(!gate.isGood({ id: "o", scope: "owner" }));
  assert.equal(gate.untilExpiryMs, undefined);
});
