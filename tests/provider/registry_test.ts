import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { ProviderType } from "#/provider/type.ts";
import { isProtocol } from "#/provider/base_url.ts";
import { openProvider } from "#/provider/registry.ts";
import { collect } from "../contract/provider_contract.ts";

Deno.test("openProvider() opens every kind that there is, under the entry's name", async () => {
  for (const kind of ProviderType.options) {
    const provider = await openProvider(kind, { name: "mine", fetch });
    assert.equal(provider.name, kind === "demo" ? "demo" : "mine");
    await provider.warm();
  }
});

Deno.test("openProvider() of each protocol checks a request before anything is sent", async () => {
  const attachments = [{ mimeType: "video/x-unknown", data: "AAAA" }];
  const request = {
    model: "m",
    messages: [{ role: "user" as const, content: "", attachments }],
    tools: [],
    timeoutMs: 1,
  };
  const unsent = () => Promise.reject(new Error("sent"));
  for (const kind of ProviderType.options.filter(isProtocol)) {
    const [event] = await collect(await openProvider(kind, { name: "mine", fetch: unsent }), request);
    assert.ok(event?.type === "failed" && event.code === "provider_rejected" && /video/.test(event.message), kind);
  }
});

Deno.test("openProvider() rejects settings that it cannot use", async () => {
  await assert.rejects(
    openProvider("openai", { name: "mine", baseUrl: "nonsense", fetch }),
    (error) => error instanceof AppError && error.code === "config_invalid",
  );
});
