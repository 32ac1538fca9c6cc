import assert from "node:assert/strict";
import { type ShownModel, toModelCard, toModelTable, toVendorTable } from "#/cli/catalog_text.ts";

const MODEL: ShownModel = {
  vendor: "acme",
  id: "river-1",
  name: "River 1",
  released: "2026-02-03",
  contextTokens: 400_000,
  inputTokens: 272_000,
  outputTokens: 8_192,
  input: ["text", "image", "pdf"],
  output: ["text"],
  toolCall: true,
  reasoning: true,
  structuredOutput: true,
  price: { input: 1.25, output: 10, cacheRead: 0.125, tiers: [{ aboveTokens: 200_000, input: 2.5, output: 15 }] },
  source: "snapshot of 2026-07-02",
};
const PAINTER: ShownModel = {
  ...MODEL,
  id: "paint",
  name: "Paint",
  contextTokens: 1_048_576,
  outputTokens: 100,
  input: ["text"],
  output: ["text", "image"],
  toolCall: false,
  reasoning: false,
  structuredOutput: false,
  status: "deprecated",
};
const { price: _, inputTokens: __, released: ___, ...BARE } = PAINTER;

Deno.test("toVendorTable() has a row a vendor, with its newest model", () => {
  const other: ShownModel = { ...BARE, vendor: "other-vendor" };
  assert.equal(
    toVendorTable([MODEL, PAINTER, other], ["yours.json", "snapshot of 2026-07-02"]),
    `vendor        models  newest
acme               2  2026-02-03  River 1
other-vendor       1              Paint

3 models, from yours.json, then snapshot of 2026-07-02
those of one vendor: oxydra catalog show other-vendor`,
  );
});

Deno.test("toModelTable() has a row a model: bounds, prices, and what sets it apart", () => {
  assert.equal(
    toModelTable([MODEL, BARE]),
    `model    context  reply  $ in  $ out  besides text
river-1     400k   8.2k  1.25  10.00  image pdf
paint      1.05M    100     ?      ?  makes image, no tools, deprecated

context and reply in tokens, prices in US dollars per million of them; from snapshot of 2026-07-02
all about one: oxydra catalog show acme/river-1`,
  );
  const mixed = toModelTable([MODEL, { ...MODEL, id: "x", source: "yours.json" }]);
  assert.match(mixed, /^x .*pdf, yours\.json$/m);
  assert.doesNotMatch(mixed, /; from/);
});

Deno.test("toModelCard() tells everything about one, and that a price is not known", () => {
  assert.equal(
    toModelCard(MODEL),
    `acme/river-1
name      River 1, of 2026-02-03
context   400,000 tokens, a prompt at most 272,000
reply     at most 8,192 tokens
takes     text, image, pdf
makes     text
has       tools, reasoning, structured output
price     per million tokens $1.25 in, $10.00 out, $0.125 read from the cache;
          with more than 200,000 in: $2.50 in, $15.00 out
from      snapshot of 2026-07-02`,
  );
  assert.match(
    toModelCard(BARE),
    /name {6}Paint, deprecated\n.*1,048,576 tokens\n[^]*no tools\nprice {5}not known: a cost limit/,
  );
});

Deno.test("what a catalog says cannot write to the terminal", () => {
  const evil = { ...MODEL, id: "a\u001b[2J", name: "b\u202e", source: "c\n\u0007", vendor: "d\u009b" };
  for (const text of [toVendorTable([evil], [evil.source]), toModelTable([evil]), toModelCard(evil)]) {
    // deno-lint-ignore no-control-regex -- what must not be there
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});
