import { z } from "zod";
import type { Message } from "#/core/message.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { isMadeBy } from "#/provider/own_replay.ts";
import { toItems } from "#/provider/responses_request.ts";

/** Thoughts of a reply as the vendor wants them back: sealed, for a request that does not go on from one that it keeps. */
export const SealedThoughts = z.object({
  type: z.literal("reasoning"),
  id: z.string().min(1),
  summary: z.array(z.object({ type: z.literal("summary_text"), text: z.string() })),
  encrypted_content: z.string().min(1),
});

/** What is kept with each reply of Responses, as `replay.data`. */
export const ResponsesReplay = z.object({
  /** The response that the vendor keeps, and the fingerprint of what it answered. */
  kept: z.object({ id: z.string().min(1), covers: z.string() }).exactOptional(),
  thoughts: SealedThoughts.exactOptional(),
});
export type ResponsesReplay = z.infer<typeof ResponsesReplay>;

/** A response to go on from. */
export interface Chain {
  readonly id: string;
  /** Place of the first message that the vendor does not have. */
  readonly from: number;
}

/** What the entry `provider` kept with a message; undefined for one that another entry or model made. */
export function toReplay(message: Message | undefined, provider: string, model: string): ResponsesReplay | undefined {
  if (message?.role !== "assistant" || !isMadeBy(message.replay, { provider, model })) return undefined;
  return ResponsesReplay.safeParse(message.replay?.data).data;
}

/** Hex sha256 of what the vendor is shown of `messages`; the system prompt is not in it, since it is sent each time. */
export function fingerprint(messages: readonly Message[]): Promise<string> {
  return sha256Hex(JSON.stringify(messages.flatMap(toItems)));
}

/**
 * The response that the request goes on from: that of its last assistant message, when this entry and model made it and all before it
 * is what it answered then. A window that has dropped or summarised something would otherwise let the vendor remember it.
 */
export async function findChain(request: ModelRequest, provider: string): Promise<Chain | undefined> {
  const { messages, model } = request;
  const at = messages.findLastIndex((message) => message.role === "assistant");
  const kept = toReplay(messages[at], provider, model)?.kept;
  if (kept === undefined || at === messages.length - 1) return undefined;
  return await fingerprint(messages.slice(0, at)) === kept.covers ? { id: kept.id, from: at + 1 } : undefined;
}
