import { z } from "zod";

/** Which protocol an entry speaks. `demo` needs no key and no network. */
export const ProviderType = z.enum(["openai", "anthropic", "gemini", "openai_responses", "demo"]);
export type ProviderType = z.infer<typeof ProviderType>;

/** What `reasoning_effort` may be; each vendor's request says it in its own words. */
export const ReasoningEffort = z.enum(["none", "low", "medium", "high"]);
