import assert from "node:assert/strict";
import type { ModelRequest } from "#/core/provider.ts";
import { collect, testProvider } from "../contract/provider_contract.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";

const REQUEST: ModelRequest = { model: "talk", messages: [], tools: [], timeoutMs: 1_000 };

testProvider("scriptedProvider", () => {
  const provider = scriptedProvider((request) =>
    request.model === "act" ? calls(["file_read", { path: "/shared/a" }]) : [{ type: "text", text: "a" }, ...says("b")]
  );
  return Promise.resolve({
    provider,
    talk: REQUEST,
    act: { ...REQUEST, model: "act" },
    close: () => Promise.resolve(),
  });
});

Deno.test("scriptedProvider() is cancelled while it waits for a gate", async () => {
  const controller = new AbortController();
  const gate = Promise.withResolvers<{ type: "text"; text: string }>();
  const events = collect(scriptedProvider([gate.promise]), REQUEST, controller.signal);
  controller.abort();
  assert.deepEqual((await events).map((event) => event.type === "failed" ? event.code : event.type), ["cancelled"]);
  gate.resolve({ type: "text", text: "late" });
});
