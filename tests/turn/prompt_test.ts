import assert from "node:assert/strict";
import { toSystemPrompt } from "#/turn/prompt.ts";

const PARTS = {
  agent: "default",
  now: Date.UTC(2025, 0, 31, 23, 30),
  timezone: "UTC",
  roots: [{ path: "/shared", about: "the person's files, read and write" }],
  hasTools: true,
};

Deno.test("toSystemPrompt() says who, when, where and how", () => {
  const prompt = toSystemPrompt(PARTS);
  assert.match(prompt, /^You are default, .* Today is 2025-01-31 \(UTC\)\./);
  for (const word of ["1. Plan", "2. Recall", "3. Execute", "4. Reflect"]) assert.ok(prompt.includes(word), word);
  assert.ok(prompt.includes("\n- /shared: the person's files, read and write\n"));
  assert.ok(!prompt.includes("\n\n\n"));
  assert.ok(prompt.length < 2_500, `${prompt.length} characters with every request`);
});

Deno.test("toSystemPrompt() is the same all day, in the person's zone", () => {
  assert.equal(toSystemPrompt(PARTS), toSystemPrompt({ ...PARTS, now: PARTS.now - 3_600_000 }));
  assert.match(toSystemPrompt({ ...PARTS, timezone: "Europe/Berlin" }), /Today is 2025-02-01 \(Europe\/Berlin\)/);
});

Deno.test("toSystemPrompt() leaves out what is not there and puts instructions last", () => {
  const bare = toSystemPrompt({ ...PARTS, hasTools: false, roots: [] });
  assert.ok(!bare.includes("/shared") && !bare.includes("Plan"));
  assert.ok(!toSystemPrompt({ ...PARTS, roots: [] }).includes("folders that your tools"));
  assert.ok(toSystemPrompt({ ...PARTS, instructions: "  Rhyme. \n" }).endsWith("\n\nRhyme."));
});

Deno.test("toSystemPrompt() has the persona and the skills behind who the agent is, and costs nothing without them", () => {
  const parts = { agent: "A", now: 0, timezone: "UTC", roots: [], hasTools: false };
  const sections = (text: string) => text.split("\n\n");
  const plain = sections(toSystemPrompt(parts));
  const full = sections(toSystemPrompt({ ...parts, persona: " calm ", skills: ["# One", "# Two"] }));
  assert.deepEqual(full, [plain[0], "calm", "# One", "# Two", ...plain.slice(1)]);
  assert.equal(toSystemPrompt({ ...parts, skills: [] }), plain.join("\n\n"));
});
