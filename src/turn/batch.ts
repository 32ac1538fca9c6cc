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
  let open: T[] | undefined;
  for (const call of calls) {
    if (call.effect !== "read_only") {
      batches.push([call]);
      open = undefined;
    } else if (open === undefined || open.length >= parallelMax) {
      open = [call];
      batches.push(open);
    } else {
      open.push(call);
    }
  }
  return batches;
}
