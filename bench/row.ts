/** What a bench measures, and the little arithmetic that it needs. */

/** One line of the table. */
export interface Row {
  readonly name: string;
  /** What was measured, in the unit of `unit`. */
  readonly value: number;
  readonly unit: "×" | "ms" | "s" | "MB" | "MB/s" | "/s" | "%";
  /** At most this; absent where a number is only to be stated. */
  readonly target?: number;
  /** At least this. */
  readonly floor?: number;
  /** What the number is made of. */
  readonly note: string;
}

/** Flags of a whole run. */
export interface BenchOptions {
  /** Skips the minute of waiting before memory is looked at. */
  readonly quick: boolean;
}

/** A group of rows that are measured together. */
export interface Bench {
  readonly name: string;
  run(options: BenchOptions): Promise<readonly Row[]>;
}

/** The value below which the share `p` (0 to 1) of the values lies. Throws RangeError for none. */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) throw new RangeError("a percentile of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!;
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Milliseconds that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Milliseconds since 1970 with fractions: the same clock in every process of one machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
