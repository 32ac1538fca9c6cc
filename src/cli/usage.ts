import { DAY_MS, toDay } from "#/core/cost.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { UsageRow } from "#/core/store.ts";
import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import { resolveUser } from "#/config/user.ts";
import { toUsageRow } from "#/memory/event_row.ts";
import { toTable } from "#/cli/columns.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";
import { readLog, requireLocalLog } from "#/cli/read_log.ts";

/** Options of `usage`. */
export interface UsageOptions extends JsonOptions {
  /** Decimal digits. */
  readonly days: string;
  readonly session?: string;
  /** Default: day and model. */
  readonly by?: "model" | "session" | "day";
}

const COUNTS = ["calls", "inputTokens", "cachedTokens", "outputTokens"] as const;
const SUMS = [...COUNTS, "cost", "unpricedCalls", "estimatedCalls", "openCalls"] as const;
type Sums = Pick<UsageRow, typeof SUMS[number]>;

/** Rows that are shown as one; its names are those of the columns. */
interface Group {
  readonly names: Readonly<Record<string, string>>;
  readonly sums: Sums;
}

/**
 * Prints what models were used for, from the user's event log alone, so that it agrees with what was recorded whether a gateway runs or
 * not. Throws AppError `usage` for a number of days that is none, `store_failed` when the log cannot be read.
 */
export async function runUsage(options: UsageOptions): Promise<number> {
  const days = Number(options.days);
  if (!/^\d+$/.test(options.days) || days < 1 || days > LIMITS.usageDaysMax) {
    throw new AppError("usage", `--days: a number from 1 to ${LIMITS.usageDaysMax}`);
  }
  const loaded = await loadFor(options);
  const today = toDay(Date.now());
  const since = today - days + 1;
  requireLocalLog(loaded, (why) => failed(why));
  const rows = await readRows(resolveUser(loaded).folders.internal, since * DAY_MS);
  const shown = rows.filter(({ session }) => session === (options.session ?? session));
  const groups = toGroups(shown, options.by);
  const total = sumOf(shown);
  const spent = sumOf(rows.filter(({ day }) => day === today)).cost;
  const limit = loaded.config.runtime.max_cost_per_day ?? null;
  if (options.json) {
    const listed = groups.map(({ names, sums }) => ({ ...names, ...sums }));
    console.log(toPrintableJson({ since: toDate(since), rows: listed, total, today: { spent, limit } }, 2));
  } else {
    for (const line of toLines(groups, total, since)) console.log(line);
    console.log(
      `today (UTC): ${toDollars(spent)}${limit === null ? ", and no max_cost_per_day is set" : ` of $${limit}`}`,
    );
  }
  return EXIT.done;
}

async function readRows(internalDir: string, since: number): Promise<readonly UsageRow[]> {
  const rows: UsageRow[] = [];
  for await (const line of readLog({ internalDir, question: ["usage", since], failed })) {
    try {
      if (rows.length < LIMITS.usageRowsMax) rows.push(toUsageRow(JSON.parse(line), "the event log"));
    } catch (cause) {
      throw failed("the event log names no proper counts", cause);
    }
  }
  return rows;
}

function failed(why: string, cause?: unknown): AppError {
  return new AppError("store_failed", `What models were used for cannot be read: ${why}`, { cause });
}

function toGroups(rows: readonly UsageRow[], by: UsageOptions["by"]): Group[] {
  const named = (row: UsageRow) => {
    const names = { day: toDate(row.day), model: `${row.provider}/${row.model}`, session: row.session };
    return by === undefined ? { day: names.day, model: names.model } : { [by]: names[by] };
  };
  const groups = Map.groupBy(rows, (row) => JSON.stringify(named(row)));
  return [...groups.values()].map((rows) => ({ names: named(rows[0]!), sums: sumOf(rows) }));
}

function sumOf(rows: readonly UsageRow[]): Sums {
  const sums = SUMS.map((name) => [name, rows.reduce((sum, row) => sum + row[name], 0)]);
  return Object.fromEntries(sums) as Sums;
}

function* toLines(groups: readonly Group[], total: Sums, since: number): Generator<string> {
  if (groups.length === 0) yield `no calls of models since ${toDate(since)} (UTC)`;
  else {
    const names = Object.keys(groups[0]!.names);
    const heads = [...names, "calls", "input", "cached", "output", "cost"];
    const table = [
      heads,
      ...groups.map((group) => [...Object.values(group.names), ...toCells(group.sums)]),
      ["total", ...names.slice(1).map(() => ""), ...toCells(total)],
    ].map((row) => row.map((cell) => toOneLine(cell, NAME_CHARS_MAX)));
    yield* toTable(table, [...heads.keys()].slice(names.length));
  }
  const { unpricedCalls, estimatedCalls, openCalls } = total;
  if (unpricedCalls > 0) yield `?  the price of ${unpricedCalls} of these calls is not known; they are not in the cost`;
  if (estimatedCalls > 0) {
    yield `~  the vendor counted no tokens of ${estimatedCalls} of these calls; their cost is by our count`;
  }
  if (openCalls > 0) {
    yield `+  ${openCalls} of these calls run, or were cut off; they count with the most that they may cost`;
  }
}

const NAME_CHARS_MAX = 64;

function toCells(sums: Sums): string[] {
  const { calls, unpricedCalls, estimatedCalls, openCalls } = sums;
  const marks = `${estimatedCalls > 0 ? "~" : ""}${openCalls > 0 ? "+" : ""}${unpricedCalls > 0 ? "?" : ""}`;
  const paid = unpricedCalls === calls ? "" : toDollars(sums.cost);
  return [...COUNTS.map((name) => sums[name].toLocaleString("en-US")), `${marks}${paid}`];
}

function toDollars(cost: number): string {
  return `$${cost.toFixed(4)}`;
}

function toDate(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
