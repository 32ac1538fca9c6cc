import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { BROWSER_ACTIONS, BROWSER_KINDS } from "#/core/capability.ts";
import { BrowserAnswer, BrowserAsk, PipeAsk } from "#/sandbox/browser_frames.ts";
import { BrowserArgs } from "#/tools/browser.ts";

Deno.test("BrowserAsk takes what the tool's arguments are without a path, up to its limits, and nothing else", () => {
  for (const action of BROWSER_ACTIONS) {
    for (const kind of BROWSER_KINDS) {
      const args = BrowserArgs.parse({
        action,
        kind,
        url: "u",
        tabId: "t",
        ref: "e1",
        key: "k",
        value: "v",
        selector: "s",
      });
      const more = {
        text: "x".repeat(LIMITS.browserTypeCharsMax),
        diff: true,
        waitNav: false,
        start_char: LIMITS.pageCharsMax,
      };
      assert.ok(BrowserAsk.safeParse({ ...args, ...more }).success);
    }
  }
  const wrong = [
    {},
    { action: "eval" },
    { action: "act", kind: "drag" },
    { action: "text", path: "/tmp/a" },
    {
      action: "act",
      text: "x".repeat(LIMITS.browserTypeCharsMax + 1),
    },
    { action: "navigate", url: "x".repeat(LIMITS.urlCharsMax + 1) },
    { action: "text", start_char: -1 },
  ];
  for (const ask of wrong) assert.ok(!BrowserAsk.safeParse(ask).success, JSON.stringify(ask).slice(0, 80));
});

Deno.test("BrowserAnswer and PipeAsk take their own frames", () => {
  assert.ok(BrowserAnswer.safeParse({ text: "x".repeat(LIMITS.toolOutputBytesMax) }).success);
  assert.ok(!BrowserAnswer.safeParse({ text: "x".repeat(LIMITS.toolOutputBytesMax + 1) }).success);
  assert.ok(!BrowserAnswer.safeParse({ text: "x", path: "/etc" }).success);
  assert.deepEqual(PipeAsk.parse({ pipe: "read" }), { pipe: "read" });
  assert.deepEqual(PipeAsk.parse({ pipe: "write", message: "{}" }), { pipe: "write", message: "{}" });
  for (const ask of [{}, { pipe: "run" }, { pipe: "write" }, { pipe: "read", path: "x" }]) {
    assert.ok(!PipeAsk.safeParse(ask).success);
  }
});
