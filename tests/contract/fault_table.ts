/** Prints what each fault ends in, for each provider: `deno run -A tests/contract/fault_table.ts`. Exits 1 when one is not as expected. */
import { failureOf } from "./dialect_kit.ts";
import { DIALECTS } from "./dialects.ts";
import { FAULTS } from "./provider_faults.ts";

let wrong = 0;
console.log(`| fault | ${DIALECTS.map(({ type }) => type).join(" | ")} | tried again | slowest |`);
console.log(`|---|${DIALECTS.map(() => "---|").join("")}---|---|`);
for (const fault of FAULTS) {
  const cells: string[] = [];
  let slowest = 0;
  for (const dialect of DIALECTS) {
    const startedAt = performance.now();
    const { code, retryable } = failureOf(await fault.run(dialect));
    slowest = Math.max(slowest, performance.now() - startedAt);
    const ok = code === fault.code && retryable === fault.retryable;
    if (!ok) wrong++;
    cells.push(ok ? code : `**${code}**`);
  }
  const again = fault.retryAfterMs === undefined ? fault.retryable ? "yes" : "no" : `after ${fault.retryAfterMs} ms`;
  console.log(`| ${fault.name} | ${cells.join(" | ")} | ${again} | ${slowest.toFixed()} ms |`);
}
if (wrong > 0) Deno.exit(1);
