import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";

/** A virtual path as an argument. Its form is checked by `normalizeVirtualPath` in `needs`, which gives a better reason. */
export function pathArg(description: string): z.ZodString {
  return z.string().min(1).max(LIMITS.pathBytesMax).describe(description);
}

/** Text that UTF-8 can hold: a lone surrogate would silently become another character in the file. */
export function textArg(description: string): z.ZodString {
  return z.string().refine((text) => text.isWellFormed(), "holds a lone surrogate, which no text file can").describe(
    description,
  );
}
