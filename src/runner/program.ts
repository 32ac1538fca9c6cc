import { attempt } from "#/core/error.ts";
import type { Program } from "#/runner/process_plan.ts";

/**
 * Where the running program came from and which Deno runs it. `moduleUrl` is the URL of a file in src/runner/.
 * The Deno path is the real one: `--allow-run` and a sandbox compare real paths, and an npm install has links.
 */
export function findProgram(moduleUrl: string): Program {
  const srcUrl = new URL("../", moduleUrl).href;
  return {
    srcUrl,
    source: srcUrl.startsWith("file:") ? "file" : "url",
    denoPath: Deno.realPathSync(Deno.execPath()),
    setprivPath: Deno.build.os === "linux" ? findSetpriv() : null,
  };
}

/** util-linux's setpriv in the places where distributions put it; the PATH is not asked, it may be anyone's. */
function findSetpriv(): string | null {
  return ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => attempt(() => Deno.statSync(path).isFile)) ?? null;
}
