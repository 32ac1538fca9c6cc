import type { ToolEffect } from "#/core/tool.ts";

/**
 * Which calls run together: adjacent read-only ones, at most `parallelMax` of them; every other call is alone. The order of the calls
 * is kept, so that a read after a write sees what was written. Pure.
 */
export function planBatches<T extends { readonly effect: ToolEffect }>(
  calls: readonly T[],
  parallelMax: number,
): T[][] {
  const batches: T[][] = [];
  for (const call of calls) {
    const last = batches.at(-1) ?? [];
    const isOpen = last[0]?.effect === "read_only" && last.length < parallelMax;
    if (isOpen && call.effect === "read_only") last.push(call);
    else batches.push([call]);
  }
  return batches;
}
