import { z } from "zod";
import { BROWSER_ACTIONS, BROWSER_KINDS } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";

const Line = z.string().max(LIMITS.urlCharsMax);

/** One action, as the runner asks its driver: the arguments of the tool, less what the runner itself does with them. */
export const BrowserAsk = z.strictObject({
  action: z.enum(BROWSER_ACTIONS),
  url: Line.exactOptional(),
  tabId: Line.exactOptional(),
  ref: Line.exactOptional(),
  kind: z.enum(BROWSER_KINDS).exactOptional(),
  text: z.string().max(LIMITS.browserTypeCharsMax).exactOptional(),
  key: Line.exactOptional(),
  value: Line.exactOptional(),
  selector: Line.exactOptional(),
  diff: z.boolean().exactOptional(),
  waitNav: z.boolean().exactOptional(),
  start_char: z.int().min(0).max(LIMITS.pageCharsMax).exactOptional(),
});
export type BrowserAsk = z.infer<typeof BrowserAsk>;

/** What came of it. All of it may be a stranger's words; a picture is the bytes beside it. */
export const BrowserAnswer = z.strictObject({ text: z.string().max(LIMITS.toolOutputBytesMax) });
export type BrowserAnswer = z.infer<typeof BrowserAnswer>;

/** What a driver asks of its runner: the next bytes from the browser (none: it is gone), or to pass a message on to it. */
export const PipeAsk = z.discriminatedUnion("pipe", [
  z.strictObject({ pipe: z.literal("read") }),
  z.strictObject({ pipe: z.literal("write"), message: z.string() }),
]);
export type PipeAsk = z.infer<typeof PipeAsk>;
