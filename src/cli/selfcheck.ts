import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import { readEndpoint } from "#/runner/endpoint.ts";
import { planStart } from "#/runner/plan_start.ts";
import { toWantedTier } from "#/runner/plan_shell.ts";
import { planTools } from "#/runner/plan_tools.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import { TIED, toRow } from "#/cli/columns.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { checkWalls, type WallCheck } from "#/cli/wall_checks.ts";

/**
 * Attacks this installation for a moment and says what held. Exit 0 when everything did, 2 when one wall did not: what stands behind it
 * is refused at a start, too.
 */
export async function runSelfcheck(options: JsonOptions): Promise<number> {
  const startedAt = performance.now();
  const place = await findPlace(options);
  const { env, loaded, user } = place;
  const program = await openProgram();
  const folders = prepareWorkspace(user, loaded, place);
  const port = readEndpoint(folders.ipc)?.port ?? 0;
  const { hosts } = planStart(loaded, env, []);
  const input = { program, env, folders, port, hosts, tools: planTools(loaded.config, env) };
  const checks = await checkWalls(input, { ...user, ...toWantedTier(loaded.config) });
  const ok = checks.every((check) => check.ok);
  const elapsedMs = Math.round(performance.now() - startedAt);
  console.log(options.json ? toPrintableJson({ ok, elapsedMs, checks }, 2) : toText(checks, elapsedMs));
  return ok ? EXIT.done : toExitCode("self_test_failed");
}

function toText(checks: readonly WallCheck[], elapsedMs: number): string {
  const failed = checks.filter(({ ok }) => !ok).length;
  const tries = checks.flatMap((check) => check.tries.map(({ tried }) => tried));
  const kinds = [...new Set(tries)].map((tried) => toOneLine(tried, 200).replaceAll(" ", TIED)).join(", ");
  return [
    ...checks.map(({ name, ok, detail }) => `${ok ? "✓" : "✗"} ${name.padEnd(13)}  ${toOneLine(detail, 2_000)}`),
    "",
    ...toRow("tried:", 17, kinds),
    "",
    failed === 0
      ? `every wall holds: ${tries.length} tries in ${checks.length} places, ${elapsedMs} ms`
      : `${failed} of ${checks.length} walls do not hold: the tools behind them are refused until they do`,
  ].join("\n").replaceAll(TIED, " ");
}
