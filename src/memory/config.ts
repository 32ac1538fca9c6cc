import { z } from "zod";
import { count, ratio, secretText, url } from "#/lib/field.ts";

/** `[memory.retrieval]`: how the two searches are weighted. The weights sum to 1. */
export const RetrievalConfig = z.strictObject({
  top_k: count(1_000).default(8),
  vector_weight: ratio().default(0.7),
  fts_weight: ratio().default(0.3),
});

/** `[memory]`. On by default, because the store is embedded; `remote_url` needs `auth_token`. */
export const MemoryConfig = z.strictObject({
  enabled: z.boolean().default(true),
  remote_url: url(["libsql:", "https:", "wss:", "http:", "ws:"]).optional(),
  auth_token: secretText().optional(),
  embedding_backend: z.enum(["model2vec", "deterministic"]).default("model2vec"),
  model2vec_model: z.enum(["potion_8m", "potion_32m"]).default("potion_32m"),
  retrieval: RetrievalConfig.prefault({}),
});
