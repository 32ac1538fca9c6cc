import { type CallTokens, type PaidCost, toCost, toDay, toPaidTokens } from "#/core/cost.ts";
import type { Usage } from "#/core/message.ts";
import type { ModelPrice } from "#/core/model.ts";
import type { ModelName } from "#/core/provider.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { SpentBudget } from "#/turn/budget.ts";

/** What may be spent and what was, in US dollars. */
export class CostAccount {
  readonly key: "max_cost" | "max_cost_per_day";
  readonly limit: number | undefined;
  spent: number;
  /** Bounds of calls that run; summed anew each time, since what a sum of floats leaves behind would be waited for. */
  readonly #running = new Set<{ readonly bound: number }>();

  constructor(key: CostAccount["key"], limit: number | undefined, spent: number) {
    this.key = key;
    this.limit = limit;
    this.spent = spent;
  }

  /** Nothing is left. */
  get isSpent(): boolean {
    return this.limit !== undefined && this.spent >= this.limit;
  }

  /** A call may start. */
  get isOpen(): boolean {
    if (this.limit === undefined) return true;
    let sum = this.spent;
    for (const { bound } of this.#running) sum += bound;
    return sum < this.limit;
  }

  /** Reserves `bound`; the function that is returned gives it back and takes `cost`. */
  reserve(bound: number): (cost: number) => void {
    const running = { bound };
    this.#running.add(running);
    return (cost) => {
      this.#running.delete(running);
      this.spent += cost;
    };
  }
}

/** A model that may answer a call. */
export interface PricedModel extends ModelName {
  readonly price?: ModelPrice | undefined;
  /** Tokens of its reply, where the call does not bound them for it: a fallback has its own bound. */
  readonly outputTokensMax?: number | undefined;
}

/** What a ledger stands on. */
export interface LedgerOptions {
  /** Every model that may answer: a call takes the dearest one's price until it has one. */
  readonly models: readonly PricedModel[];
  /** Of one user and day, over all turns. */
  readonly dayMax?: number | undefined;
  /** What the log says was spent since 00:00 UTC. */
  readonly spentToday: number;
  /** Integer ms UTC. */
  now(): number;
}

/** Taken from the accounts until the call is over. */
export interface Reservation {
  /** US dollars that the call costs at most; undefined when a price is not known. */
  readonly bound: number | undefined;
  /** Gives the reservation back and takes what the call did cost, the bound when that is not known. Twice is the same as once. */
  settle(cost: number | undefined): void;
}

/** A reservation, the limit that is spent, or undefined when the signal fired first. */
export type Reserved = Reservation | SpentBudget | undefined;

/**
 * What a user's model calls cost. A call starts while what was spent and what is reserved is below each limit: whatever number of turns
 * run at once, all of them together go over a limit by less than the bound of one call.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  #day: number;
  #today: CostAccount;
  #settled = Promise.withResolvers<void>();

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#day = toDay(options.now());
    this.#today = new CostAccount("max_cost_per_day", options.dayMax, options.spentToday);
  }

  /**
   * Reserves what a call of at most `tokens` costs from the turn's account and from today's, or names the limit that is spent. While only
   * calls that run stand between, it waits for them; undefined when the signal fires meanwhile. A limit with an unknown price is spent: one
   * that cannot be checked is no limit.
   */
  async reserve(tokens: CallTokens, turn: CostAccount, signal: AbortSignal): Promise<Reserved> {
    const bound = this.#boundOf(tokens);
    while (true) {
      const accounts = [turn, this.#account()];
      const unpriced = bound === undefined ? accounts.find(({ limit }) => limit !== undefined) : undefined;
      if (unpriced !== undefined) return toUnpriced(unpriced);
      const spent = accounts.find((account) => account.isSpent);
      if (spent !== undefined) return toSpent(spent);
      if (accounts.every((account) => account.isOpen)) return this.#reserve(accounts, bound);
      await untilAborted(this.#settled.promise, signal);
      if (signal.aborted) return undefined;
    }
  }

  /** US dollars of a call that `model` answered; undefined when its price is not known. `own` counts for what the vendor did not say. */
  costOf(model: ModelName, usage: Usage, own: CallTokens): PaidCost | undefined {
    const known = this.#options.models.find((one) => one.provider === model.provider && one.model === model.model);
    if (known?.price === undefined) return undefined;
    const { isEstimate, ...tokens } = toPaidTokens(usage, own);
    return { cost: toCost(tokens, usage, known.price), isEstimate };
  }

  #reserve(accounts: readonly CostAccount[], bound: number | undefined): Reservation {
    const open = accounts.map((account) => account.reserve(bound ?? 0));
    const settle = (cost: number | undefined) => {
      for (const give of open.splice(0)) give(cost ?? bound ?? 0);
      this.#settled.resolve();
      this.#settled = Promise.withResolvers();
    };
    return { bound, settle };
  }

  #boundOf(tokens: CallTokens): number | undefined {
    const costs = this.#options.models.map(({ price, outputTokensMax = 0 }) => {
      if (price === undefined) return undefined;
      const bound = { input: tokens.input, output: Math.max(tokens.output, outputTokensMax) };
      // As if all of it were written into a cache that costs more than input.
      return Math.max(toCost(bound, {}, price), toCost(bound, { cacheWriteTokens: tokens.input }, price));
    });
    return costs.reduce((most, cost) => most === undefined || cost === undefined ? undefined : Math.max(most, cost), 0);
  }

  /** Today's account; a clock that goes back opens no day again. */
  #account(): CostAccount {
    const day = toDay(this.#options.now());
    if (day > this.#day) {
      this.#day = day;
      this.#today = new CostAccount("max_cost_per_day", this.#options.dayMax, 0);
    }
    return this.#today;
  }
}

function toUnpriced({ key, limit, spent: used }: CostAccount): SpentBudget {
  const what = key === "max_cost"
    ? `The turn has a cost limit of $${limit}`
    : `There is a cost limit of $${limit} a day`;
  const message = `${what}, and the price of this model is not known. Remove ${key}, or choose another model`;
  return { kind: "cost", used, limit: limit!, code: "budget_cost", message };
}

function toSpent({ key, limit, spent: used }: CostAccount): SpentBudget {
  const message = key === "max_cost"
    ? `Stopped after $${used.toFixed(4)} of $${limit}`
    : `$${used.toFixed(4)} of $${limit} are spent today. Go on after 00:00 UTC, or raise max_cost_per_day`;
  return { kind: "cost", used, limit: limit!, code: "budget_cost", message };
}
