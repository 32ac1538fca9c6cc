/** Every vendor that the contract knows: a provider over HTTP has a line here, and a test file of its own name beside this one. */
import { ANTHROPIC } from "../fake/anthropic_dialect.ts";
import type { Dialect } from "../fake/dialect.ts";
import { GEMINI } from "../fake/gemini_dialect.ts";
import { OPENAI } from "../fake/openai_dialect.ts";
import { RESPONSES } from "../fake/responses_dialect.ts";

/** In the order of the registry. */
export const DIALECTS: readonly Dialect[] = [OPENAI, RESPONSES, ANTHROPIC, GEMINI];
