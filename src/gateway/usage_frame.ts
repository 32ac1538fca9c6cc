import { DAY_MS, toDay } from "#/core/cost.ts";
import type { StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { type ServerFrame, toFrame, type TurnAddress, type WireCost } from "#/gateway/server_frame.ts";

/** What a meter reads. */
export interface MeterDeps {
  readonly log: Pick<EventLog, "read" | "turn" | "usage">;
  /** Integer ms UTC. */
  readonly now: () => number;
}

/** What is known of a session, up to an event. */
interface Sum {
  readonly cost: WireCost;
  readonly toSeq: number;
}

const NOTHING: WireCost = { prompt_tokens: 0, completion_tokens: 0, cost: 0 };

/** Says after a turn what it cost, and its session and the day with it. Reads the log; of a session only what is new since the last turn. */
export class UsageMeter {
  readonly #deps: MeterDeps;
  readonly #sums = new Map<string, Sum>();

  constructor(deps: MeterDeps) {
    this.#deps = deps;
  }

  /** The frame for one turn that has ended. Throws AppError `store_*` when the log cannot be read. */
  async toFrame(ended: TurnAddress): Promise<ServerFrame> {
    const { log, now } = this.#deps;
    const session = ended.session.session_id;
    const turn = await log.turn(session, ended.turn.turn_id);
    const today = await log.usage(toDay(now()) * DAY_MS);
    return toFrame("usage", {
      ...ended,
      used: turn.reduce(add, NOTHING),
      in_session: await this.#sessionCost(session),
      today: {
        prompt_tokens: today.reduce((sum, row) => sum + row.inputTokens, 0),
        completion_tokens: today.reduce((sum, row) => sum + row.outputTokens, 0),
        cost: today.some((row) => row.unpricedCalls > 0) ? undefined : today.reduce((sum, row) => sum + row.cost, 0),
      },
    });
  }

  async #sessionCost(session: string): Promise<WireCost> {
    let { cost, toSeq } = this.#sums.get(session) ?? { cost: NOTHING, toSeq: 0 };
    const limit = LIMITS.resumePageEventsMax;
    for (;;) {
      const page = await this.#deps.log.read(session, { fromSeq: toSeq + 1, limit, types: ["model_result"] });
      cost = page.reduce(add, cost);
      toSeq = page.at(-1)?.seq ?? toSeq;
      if (page.length < limit) break;
    }
    this.#sums.delete(session);
    this.#sums.set(session, { cost, toSeq });
    const [oldest] = this.#sums.keys();
    if (this.#sums.size > LIMITS.meteredSessionsMax && oldest !== undefined) this.#sums.delete(oldest);
    return cost;
  }
}

/** One call without a price makes the sum unknown. */
function add(sum: WireCost, event: StoredEvent): WireCost {
  if (event.type !== "model_result") return sum;
  const { usage, cost } = event.payload;
  return {
    prompt_tokens: sum.prompt_tokens + (usage.promptTokens ?? 0),
    completion_tokens: sum.completion_tokens + (usage.completionTokens ?? 0),
    cost: cost === undefined || sum.cost === undefined ? undefined : sum.cost + cost,
  };
}
