import assert from "node:assert/strict";
import { join } from "node:path";
import { forgetTier, keepTier, recallTier, toTierKey } from "#/runner/known_tier.ts";

const STATUS = { available: true, about: "bubblewrap 1", notes: ["a note"] };

Deno.test("keepTier() keeps what held, for the same key alone; what did not hold is tried again", () => {
  const dir = Deno.makeTempDirSync();
  assert.equal(recallTier(dir, "k"), undefined);
  keepTier(dir, "k", { available: false, about: "x", reason: "no", notes: [] });
  assert.equal(recallTier(dir, "k"), undefined);
  keepTier(dir, "k", STATUS);
  assert.deepEqual(recallTier(dir, "k"), STATUS);
  assert.equal(recallTier(dir, "other"), undefined);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["shell-tier.json"]);
  Deno.writeTextFileSync(join(dir, "shell-tier.json"), "{");
  assert.equal(recallTier(dir, "k"), undefined);
  forgetTier(dir);
  forgetTier(dir);
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  keepTier(join(dir, "missing"), "k", STATUS);
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("toTierKey() changes with the program, and there is none without one", () => {
  const dir = Deno.makeTempDirSync();
  assert.equal(toTierKey({ PATH: dir }), undefined);
  Deno.writeTextFileSync(join(dir, "bwrap"), "1");
  const first = toTierKey({ PATH: `/nonexistent:${dir}` });
  assert.ok(first?.includes(dir));
  assert.equal(toTierKey({ PATH: dir }), first);
  Deno.writeTextFileSync(join(dir, "bwrap"), "22");
  assert.notEqual(toTierKey({ PATH: dir }), first);
  Deno.removeSync(dir, { recursive: true });
});
