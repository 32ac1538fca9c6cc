import { z } from "zod";
import { count, line, ratio, secretText } from "#/lib/field.ts";
import type { Secret } from "#/lib/secret.ts";
import { type RemoteAddress, toRemoteAddress } from "#/memory/remote_address.ts";

/** `[memory.retrieval]`: how the two searches are weighted. The weights sum to 1. */
export const RetrievalConfig = z.strictObject({
  top_k: count(1_000).default(8),
  vector_weight: ratio().default(0.7),
  fts_weight: ratio().default(0.3),
});

const ADDRESS = "must be an address that starts with libsql://, https:// or wss://, without a password or a query; " +
  "http:// and ws:// only to this machine";

/** `[memory]`. On by default, because the store is embedded; `remote_url` needs `auth_token`. */
export const MemoryConfig = z.strictObject({
  enabled: z.boolean().default(true),
  remote_url: line().refine((text) => toRemoteAddress(text) !== undefined, ADDRESS).optional(),
  auth_token: secretText().optional(),
  embedding_backend: z.enum(["model2vec", "deterministic"]).default("model2vec"),
  model2vec_model: z.enum(["potion_8m", "potion_32m"]).default("potion_32m"),
  retrieval: RetrievalConfig.prefault({}),
});
export type MemoryConfig = z.infer<typeof MemoryConfig>;

/** The remote store that the event log is kept in; undefined for the file of the user's own folder. */
export interface RemoteStore {
  readonly url: string;
  readonly token: Secret;
  readonly address: RemoteAddress;
}

/** Where `[memory]` keeps the event log. A memory that is switched off keeps it in the file. Pure. */
export function toRemoteStore({ enabled, remote_url: url, auth_token: token }: MemoryConfig): RemoteStore | undefined {
  const address = url === undefined ? undefined : toRemoteAddress(url);
  if (!enabled || url === undefined || token === undefined || address === undefined) return undefined;
  return { url, token, address };
}
