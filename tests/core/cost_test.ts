import assert from "node:assert/strict";
import { addUsage, DAY_MS, toCost, toDay, toPaidTokens, toSaneUsage } from "#/core/cost.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Usage } from "#/core/message.ts";

const PRICE = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 };

Deno.test("addUsage() adds what is known and keeps absent what nobody said", () => {
  assert.deepEqual(addUsage({}, {}), {});
  assert.deepEqual(addUsage({ promptTokens: 1, reasoningTokens: 1 }, { promptTokens: 2, cacheWriteTokens: 3 }), {
    promptTokens: 3,
    reasoningTokens: 1,
    cacheWriteTokens: 3,
  });
});

Deno.test("toSaneUsage() takes from a vendor only counts that can be counts", () => {
  const cases: readonly (readonly [unknown, Usage])[] = [
    [{ promptTokens: 10, completionTokens: 2.6, extra: 1 }, { promptTokens: 10, completionTokens: 3 }],
    [{ promptTokens: -1, completionTokens: NaN, totalTokens: "7", cachedTokens: null }, {}],
    [{ promptTokens: 1e300, totalTokens: Infinity }, {
      promptTokens: LIMITS.callTokensMax,
      totalTokens: LIMITS.callTokensMax,
    }],
    [{ promptTokens: LIMITS.callTokensMax + 1, cachedTokens: LIMITS.callTokensMax }, {
      promptTokens: LIMITS.callTokensMax,
      cachedTokens: LIMITS.callTokensMax,
    }],
    [{ promptTokens: 0 }, { promptTokens: 0 }],
  ];
  for (const [said, expected] of cases) assert.deepEqual(toSaneUsage(said as Usage), expected);
});

Deno.test("toPaidTokens() believes the vendor, and counts what it did not say", () => {
  const own = { input: 50, output: 5 };
  const cases: readonly (readonly [Usage, number, number, boolean])[] = [
    [{ promptTokens: 10, completionTokens: 2 }, 10, 2, false],
    [{ completionTokens: 2 }, 50, 2, true],
    [{ promptTokens: 10 }, 10, 5, true],
    [{ totalTokens: 12 }, 50, 5, true],
    [{}, 50, 5, true],
  ];
  for (const [usage, input, output, isEstimate] of cases) {
    assert.deepEqual(toPaidTokens(usage, own), { input, output, isEstimate });
  }
  assert.deepEqual(
    toPaidTokens({}, { input: 0, output: 0 }),
    { input: 0, output: 0, isEstimate: false },
    "never begun",
  );
});

Deno.test("toCost() pays cached, written and fresh tokens at their prices, and none twice", () => {
  const million = { input: 1_000_000, output: 1_000_000 };
  const cases: readonly (readonly [Usage, number])[] = [
    [{}, 18],
    [{ cachedTokens: 1_000_000 }, 15.3],
    [{ cacheWriteTokens: 1_000_000 }, 18.75],
    [{ cachedTokens: 500_000, cacheWriteTokens: 250_000 }, 15 + 0.15 + 0.9375 + 0.75],
    // More than there was.
    [{ cachedTokens: 9_000_000, cacheWriteTokens: 9_000_000 }, 15.3],
    [{ cachedTokens: 500_000, cacheWriteTokens: 9_000_000 }, 15 + 0.15 + 1.875],
  ];
  for (const [usage, dollars] of cases) {
    assert.ok(Math.abs(toCost(million, usage, PRICE) - dollars) < 1e-9, `${dollars}`);
  }
  assert.equal(toCost(million, { cachedTokens: 1_000_000, cacheWriteTokens: 5 }, { input: 3, output: 15 }), 18);
  assert.equal(toCost(million, {}, { input: 0, output: 0 }), 0);
});

Deno.test("toDay() counts days of UTC", () => {
  assert.deepEqual([toDay(0), toDay(DAY_MS - 1), toDay(DAY_MS)], [0, 0, 1]);
  assert.equal(toDay(Date.parse("2026-03-29T23:59:59Z")) * DAY_MS, Date.parse("2026-03-29T00:00:00Z"));
});

Deno.test("toCost() takes the rates of the highest tier that the prompt is beyond, for all of the call", () => {
  const tiers = [{ aboveTokens: 100, input: 6, output: 30 }, { aboveTokens: 200, input: 12, output: 60, cacheRead: 1 }];
  const price = { ...PRICE, tiers };
  const cases = [[100, 300], [101, 606], [200, 1_200], [201, 2_412]] as const;
  for (const [input, millionths] of cases) {
    assert.equal(Math.round(toCost({ input, output: 0 }, {}, price) * 1_000_000), millionths, String(input));
  }
  assert.equal(Math.round(toCost({ input: 201, output: 10 }, { cachedTokens: 201 }, price) * 1_000_000), 801);
});
