import type { ErrorCode } from "#/core/error.ts";
import type { BudgetKind, EventPayloads } from "#/core/event.ts";
import type { Usage } from "#/core/message.ts";

/** What one turn may use. */
export interface TurnBudgets {
  /** Model calls. */
  readonly stepsMax: number;
  /** Tool calls that reach the runner. */
  readonly toolCallsMax: number;
  /** Tokens in and out over all model calls, by the vendor's count, else by our estimate. */
  readonly tokensMax: number;
  /** Wall time of one model call. */
  readonly timeoutMs: number;
  /** Wall time of the turn, tools included. */
  readonly wallMs?: number;
  /** Price of all model calls, in US dollars. */
  readonly costMax?: number;
}

/** What one turn has used. */
export interface Spending {
  readonly steps: number;
  readonly tokens: number;
}

/** A budget that is used up, and the end of the turn that follows. */
export interface SpentBudget {
  readonly kind: BudgetKind;
  readonly used: number;
  readonly limit: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The budget that forbids another model call, or undefined; what it would cost the ledger says (ledger.ts). Pure. */
export function findSpentBudget(spent: Spending, budgets: TurnBudgets): SpentBudget | undefined {
  const { stepsMax, tokensMax } = budgets;
  if (spent.tokens >= tokensMax) {
    const message = `Stopped after ${spent.tokens} of ${tokensMax} tokens`;
    return { kind: "tokens", used: spent.tokens, limit: tokensMax, code: "budget_exceeded", message };
  }
  if (spent.steps >= stepsMax) {
    const message = `Stopped after ${spent.steps} model calls`;
    return { kind: "turns", used: spent.steps, limit: stepsMax, code: "budget_turns", message };
  }
  return undefined;
}

const CODES: Readonly<Record<BudgetKind, ErrorCode>> = {
  turns: "budget_turns",
  cost: "budget_cost",
  time: "budget_time",
  tokens: "budget_exceeded",
  tool_calls: "budget_exceeded",
};

/** What a recorded budget event meant, for a turn that was interrupted before it said so. Pure. */
export function toSpentAgain(event: EventPayloads["budget"]): SpentBudget {
  const { kind, used, limit } = event;
  return { ...event, code: CODES[kind] ?? "budget_exceeded", message: `Stopped after ${used} of ${limit} (${kind})` };
}

/** Tokens of one model call: the vendor's total, else its parts, else `estimate`. */
export function toTokens(usage: Usage, estimate: number): number {
  if (usage.totalTokens !== undefined) return usage.totalTokens;
  const parts = (usage.promptTokens ?? 0) + (usage.completionTokens ?? 0);
  return parts > 0 ? parts : estimate;
}
