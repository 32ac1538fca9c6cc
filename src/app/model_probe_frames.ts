import { z } from "zod";
import { ModelChoice } from "#/app/bootstrap.ts";
import type { ErrorCode } from "#/core/error.ts";

/** What is asked of the process. */
export const ProbeQuestion = z.strictObject({ ask: z.enum(["models", "reply"]), model: ModelChoice });
export type ProbeQuestion = z.infer<typeof ProbeQuestion>;

/** What it answers. The code is an ErrorCode. */
export const ProbeAnswer = z.union([
  z.strictObject({ ok: z.literal(true), models: z.array(z.string()) }),
  z.strictObject({ ok: z.literal(true), text: z.string(), tokens: z.number().exactOptional() }),
  z.strictObject({
    ok: z.literal(false),
    code: z.custom<ErrorCode>((code) => typeof code === "string"),
    message: z.string(),
  }),
]);
export type ProbeAnswer = z.infer<typeof ProbeAnswer>;
