import assert from "node:assert/strict";
import { defineTool } from "#/core/tool.ts";
import { z } from "zod";

Deno.test("defineTool() returns the declaration it was given", () => {
  const tool = {
    name: "echo",
    description: "says it again",
    args: z.strictObject({ text: z.string() }),
    effect: "read_only" as const,
    timeoutMs: 1,
    needs: () => [],
    run: { component: "echo" },
  };
  assert.equal(defineTool(tool), tool);
});
