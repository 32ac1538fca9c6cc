import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { OPTIONAL_PACKAGES, type OptionalPackage } from "#/lib/optional_packages.ts";
import { toOneLine } from "#/lib/printable.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import { configPath, type Program, toChildEnv } from "#/runner/process_plan.ts";

/** What an installation needs of the outside. */
export interface InstallDeps {
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  /** Holds every package with its hash, so that nothing is resolved anew and nothing else is accepted. */
  readonly lockPath: string;
  /** Shows the person a line. */
  say(line: string): void;
  /** Default `packageInstallMs`. */
  readonly timeoutMs?: number;
}

/**
 * Downloads optional packages into Deno's cache, which takes a moment when they are there already: `deno cache` runs no code of theirs. A
 * guest has no network for modules, so this comes before it. Throws AppError `config_invalid` with the reason when one cannot be had.
 */
export async function installOptional(packages: readonly OptionalPackage[], deps: InstallDeps): Promise<void> {
  for (const name of packages) await install(name, deps);
}

async function install(name: OptionalPackage, deps: InstallDeps): Promise<void> {
  const specifier = OPTIONAL_PACKAGES[name];
  const { program, env, lockPath, say, timeoutMs = LIMITS.packageInstallMs } = deps;
  const config = program.source === "file" ? ["--config", configPath(program)] : ["--no-config"];
  const child = spawnPiped({
    command: program.denoPath,
    args: ["cache", `--lock=${lockPath}`, "--frozen", ...config, specifier],
    env: { ...toChildEnv(env), NO_COLOR: "1" },
  });
  await child.stdin.close();
  void child.stdout.cancel();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const startedAt = performance.now();
  let downloads = 0;
  let reason = "";
  try {
    for await (const line of toLines(child.stderr)) {
      if (line.startsWith("Download ") && ++downloads === 1) say(`· installing ${specifier} for ${name}, once …`);
      // What failed, and below it the first cause.
      const cause = /^(?:error| +0): (.+)/.exec(line)?.[1];
      if (cause !== undefined) reason += reason === "" ? cause : `: ${cause}`;
    }
    const { success } = await child.status;
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    if (success) return downloads > 0 ? say(`✓ installed in ${seconds} s`) : undefined;
    if (isLate) reason = `it took longer than ${Math.round(timeoutMs / 1_000)} s`;
  } finally {
    clearTimeout(timer);
  }
  throw new AppError(
    "config_invalid",
    `${name} needs the package ${specifier.slice("npm:".length)}, which cannot be installed: ${
      toOneLine(reason || "deno cache failed", REASON_CHARS)
    }. Check the network and start again, or select another provider.`,
  );
}

const REASON_CHARS = 300;

async function* toLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    // A line without an end is no line of Deno's; only its last part matters.
    rest = lines.pop()!.slice(-REASON_CHARS);
    yield* lines;
  }
  if (rest !== "") yield rest;
}
