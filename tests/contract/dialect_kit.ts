/** What the contract's files share: a vendor that speaks a dialect on a socket, and one call of its provider. */
import assert from "node:assert/strict";
import type { Usage } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { Secret } from "#/lib/secret.ts";
import { normalizeBaseUrl } from "#/provider/base_url.ts";
import { joinDeltas } from "#/provider/stream.ts";
import { openProvider } from "#/provider/registry.ts";
import type { ProviderOptions, WarmProvider } from "#/provider/warm_provider.ts";
import type { Dialect, Said, SaidEnd } from "../fake/dialect.ts";
import { type Ending, raw, type Reply, type Step } from "../fake/openai_reply.ts";
import { type Script, withVendor } from "../fake/openai_server.ts";
import { collect } from "./provider_contract.ts";
import { toSse } from "./sse_forms.ts";

/** A key that no message may hold. */
export const KEY = "sk-contract-0123456789abcdef";
/** Where messages say that it came from. */
export const KEY_SOURCE = "ACME_KEY";
/** What the clock of the providers says: Sat, 01 Aug 2026 00:00:00 GMT. */
export const NOW = 1_785_542_400_000;

type Failed = Extract<ModelEvent, { type: "failed" }>;

/** A request that every vendor takes. */
export function toRequest(more: Partial<ModelRequest> = {}): ModelRequest {
  return { model: "fake-1", messages: [{ role: "user", content: "Hi" }], tools: [], timeoutMs: 20_000, ...more };
}

/** The vendor's root as its entry has it, without a version. */
export function toRoot(vendor: { readonly port: number }): string {
  return `http://127.0.0.1:${vendor.port}`;
}

/** The dialect's provider, opened as the guest opens it, against a vendor. */
export async function openAgainst(
  dialect: Dialect,
  vendor: { readonly port: number },
  more: Partial<ProviderOptions> = {},
): Promise<WarmProvider> {
  // The deadlines of a test must not be used up by the first import of a package.
  const baseUrl = normalizeBaseUrl(toRoot(vendor), dialect.type);
  const options = { name: "acme", baseUrl, apiKey: new Secret(KEY), apiKeySource: KEY_SOURCE, fetch, now: () => NOW };
  const provider = await openProvider(dialect.type, { ...options, ...more });
  await provider.warm();
  return provider;
}

/** All events of one call against a vendor of its own. */
export function ask(
  dialect: Dialect,
  script: Script | Reply,
  more: Partial<ProviderOptions> & { readonly request?: Partial<ModelRequest> } = {},
): Promise<ModelEvent[]> {
  return withVendor(script, async (vendor) => {
    return await collect(await openAgainst(dialect, vendor, more), toRequest(more.request));
  });
}

/** A stream of these bytes, each piece a write and a chunk of its own. */
export function stream(pieces: readonly (string | Uint8Array)[], ending: Ending = "end"): Reply {
  return toReply(pieces.flatMap((piece) => raw(piece)), ending);
}

/** A stream of these steps. */
export function toReply(steps: readonly Step[], ending: Ending = "end"): Reply {
  const headers = { "content-type": "text/event-stream; charset=utf-8" };
  // Larger than any piece: each is written whole and travels alone.
  return { status: 200, headers, steps, ending, fragmentBytes: 1 << 30, newline: "\n" };
}

/** What was said as the vendor streams it, one event a piece. */
export function saying(dialect: Dialect, said: readonly Said[], end: SaidEnd = { reason: "stop" }): string[] {
  return dialect.toEvents(said, end).map((event) => toSse(event));
}

/** Deltas joined however they came; ids stay, and the port of a fake vendor, which is another one each time, is left out. */
export function joined(events: readonly ModelEvent[]): ModelEvent[] {
  return joinDeltas(events).map((event) => {
    return event.type === "replay" ? { type: "replay", replay: { ...event.replay, at: "vendor" } } : event;
  });
}

/** Text or thoughts of a reply. */
export function wordsOf(events: readonly ModelEvent[], type: "text" | "reasoning"): string {
  return events.map((event) => event.type === type ? event.text : "").join("");
}

/** Its tool calls, without what only the vendor reads. */
export function callsOf(events: readonly ModelEvent[]): { id: string; name: string; arguments: string }[] {
  return events.flatMap((event) => {
    if (event.type !== "tool_call") return [];
    const { id, name, arguments: args } = event.call;
    return [{ id, name, arguments: args }];
  });
}

/** Its token counts. Fails for more than one event. */
export function usageOf(events: readonly ModelEvent[]): Usage | undefined {
  const found = events.flatMap((event) => event.type === "usage" ? [event.usage] : []);
  assert.ok(found.length <= 1, "usage comes once");
  return found[0];
}

/** The failure that ended a call. */
export function failureOf(events: readonly ModelEvent[]): Failed {
  const last = events.at(-1);
  assert.equal(last?.type, "failed", JSON.stringify(last));
  return last as Failed;
}

/** A test of one dialect; the count per provider is the count of this prefix. */
export function testDialect(dialect: Pick<Dialect, "type">, title: string, body: () => Promise<void>): void {
  Deno.test({ name: `${dialect.type}: ${title}`, sanitizeOps: true, sanitizeResources: true, fn: body });
}
