import assert from "node:assert/strict";
import { parseClause } from "#/provider/demo_rules.ts";

const CONTEXT = { quotes: ["two words"], last: "/shared/a.txt", before: undefined };

Deno.test("parseClause() reads one clause, its quotes hidden", () => {
  assert.deepEqual(parseClause("search for \ue000 in it", CONTEXT), {
    step: { do: "search", path: "/shared/a.txt", pattern: "two words", regex: false },
  });
  assert.deepEqual(parseClause("edit b.txt", CONTEXT), { focus: "/shared/b.txt" });
  assert.equal(parseClause("dance", CONTEXT), undefined);
});

Deno.test("parseClause() lets a clause complete the one before", () => {
  const before = { do: "compose", piece: "poem", topic: "x", path: "/shared/poem.txt" } as const;
  assert.deepEqual(parseClause("save it to y.txt", { ...CONTEXT, before }), {
    step: { ...before, path: "/shared/y.txt" },
    merge: true,
  });
  assert.equal(parseClause("save it to y.txt", CONTEXT), undefined);
});
