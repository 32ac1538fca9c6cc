import assert from "node:assert/strict";
import { JoinedLayers } from "#/config/joined.ts";
import { AgentFile } from "#/config/schema.ts";
import { checkSource, type Source } from "#/config/source.ts";
import type { Tree } from "#/config/tree.ts";

function source(place: string, raw: Tree, lines: Record<string, number> = {}): Source {
  const map = new Map(Object.entries(lines));
  return checkSource({ layer: "user", place, at: [], profile: [], lines: map, raw, trusted: true }, AgentFile).source;
}

Deno.test("JoinedLayers.add() lets the later source win and remembers who set what", () => {
  const joined = new JoinedLayers({});
  joined.add(source("a", { runtime: { max_turns: 1, max_cost: 2 } }, { "runtime.max_turns": 4 }));
  joined.markBelow();
  joined.add(source("b", { runtime: { max_turns: 5 } }, { "runtime.max_turns": 9 }));
  assert.equal(joined.check([]).config.runtime.max_turns, 5);
  assert.equal(joined.origins.get("runtime.max_turns")?.line, 9);
  assert.equal(joined.sourceOf(["runtime", "max_cost"])?.place, "a");
  assert.equal(JSON.stringify(joined.below), '{"runtime":{"max_turns":1,"max_cost":2}}');
});

Deno.test("JoinedLayers.check() places a problem between keys at the source that a person would change", () => {
  const joined = new JoinedLayers({});
  joined.add(source("a", { memory: { retrieval: { vector_weight: 0.9 } } }, { "memory.retrieval.vector_weight": 2 }));
  const { problems } = joined.check([]);
  assert.deepEqual(problems.map(({ place, line }) => [place, line]), [["a", 2]]);
  assert.deepEqual(joined.check(["memory.retrieval.fts_weight"]).problems, []);
});

Deno.test("JoinedLayers.check() names a missing key once, and the rest is checked all the same", () => {
  const joined = new JoinedLayers({});
  joined.add(source("a", { providers: { registry: { x: { base_url: "https://x.example" } } } }, {
    "providers.registry.x": 7,
  }));
  joined.add(source("b", { selection: { provider: "x" }, reliability: { backoff_base_ms: 5000 } }));
  const { problems } = joined.check([]);
  assert.deepEqual(problems.map(({ place, line, key, sentence }) => [place, line, key, sentence]), [
    ["a", 7, "providers.registry.x.provider_type", "is missing"],
    ["b", undefined, "reliability.backoff_base_ms", "must be at most backoff_max_ms, 2000"],
  ]);
  assert.equal(joined.check(["providers.registry.x.provder_type"]).problems.length, 1);
});

Deno.test("JoinedLayers.set() makes the tables it needs", () => {
  const joined = new JoinedLayers({});
  joined.set(["runner", "default_tier"], "container");
  assert.equal(joined.check([]).config.runner.default_tier, "container");
});
