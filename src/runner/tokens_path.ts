import { attempt } from "#/core/error.ts";
import { join } from "#/lib/path.ts";

/** The file of a workspace's tokens: in `run/`, which no guest flag and no tool root names. */
export function tokensPath(runDir: string): string {
  return join(runDir, "tokens.json");
}

/** True when tokens were ever made here; what reads them is evaluated only then. */
export function hasTokens(runDir: string): boolean {
  return attempt(() => Deno.lstatSync(tokensPath(runDir)).isFile) ?? false;
}
