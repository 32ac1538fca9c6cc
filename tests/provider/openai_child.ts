/** Runs in a process with the guest's permissions; prints what two vendors said and what it may do. Arguments: their URLs, and a provider's type. */
import { Secret } from "#/lib/secret.ts";
import { ProviderType } from "#/provider/type.ts";
import { openProvider } from "#/provider/registry.ts";

const type = ProviderType.parse(Deno.args[2] ?? "openai");

/** The text of a reply, or the failure's message. */
async function ask(baseUrl: string): Promise<string> {
  const provider = await openProvider(type, { name: "acme", baseUrl, apiKey: new Secret("sk-child"), fetch });
  await provider.warm();
  let said = "";
  const request = { model: "m", messages: [{ role: "user" as const, content: "Hi" }], tools: [], timeoutMs: 10_000 };
  for await (const event of provider.stream(request, new AbortController().signal)) {
    if (event.type === "text") said += event.text;
    if (event.type === "failed") said += event.message;
  }
  return said;
}

const said = await ask(Deno.args[0]!);
const granted = (["env", "read", "run", "ffi", "sys", "write"] as const).filter((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);
console.log(JSON.stringify({ said, granted, elsewhere: await ask(Deno.args[1]!) }));
