import type { ToolCall } from "#/core/message.ts";

/** After this many equal calls with equal results, the next one is not run. */
const EQUAL_CALLS_MAX = 2;

/** What to do with a call: run it, tell the model that it repeats itself, or stop the turn since it was told and did it again. */
export type StreakVerdict = "run" | "tell" | "stop";

/**
 * Finds a model that is stuck: the same tool with the same argument text and the same result, again and again with nothing in between.
 * The third such call is answered with a sentence instead of being run; another one in a later reply stops the turn.
 */
export class CallStreak {
  #key = "";
  #result = "";
  #count = 0;
  #toldAtStep: number | undefined;

  /** Judges a call before it runs. `step` is the model call that it comes from. */
  judge(call: ToolCall, step: number): StreakVerdict {
    if (toKey(call) !== this.#key || this.#count < EQUAL_CALLS_MAX) return "run";
    if (this.#toldAtStep !== undefined && this.#toldAtStep < step) return "stop";
    this.#toldAtStep = step;
    return "tell";
  }

  /** Notes the result of a call that was judged `run`. */
  note(call: ToolCall, result: string): void {
    const key = toKey(call);
    const isEqual = key === this.#key && result === this.#result;
    this.#count = isEqual ? this.#count + 1 : 1;
    if (!isEqual) this.#toldAtStep = undefined;
    this.#key = key;
    this.#result = result;
  }
}

function toKey(call: ToolCall): string {
  return `${call.name}\0${call.arguments}`;
}
