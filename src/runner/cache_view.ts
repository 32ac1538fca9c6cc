import { join } from "#/lib/path.ts";
import { AppError, attempt, messageOf } from "#/core/error.ts";
import type { Environment } from "#/runner/process_plan.ts";

/** Deno's own store for `localStorage` and `caches`: without any permission, without a bound, and one for all processes of a config file. */
const STORE = "location_data";

/**
 * The environment of a process that is not trusted: Deno's cache is seen through `run/deno`. Pure; `makeCacheView` makes that folder.
 */
export function toSandboxEnv(env: Environment, runDir: string): Environment {
  return { ...env, DENO_DIR: join(runDir, "deno") };
}

/**
 * Makes `run/deno`: a link for everything in Deno's cache, and a plain file in the place of its store, so that guests and tool
 * children can open none (measured in Deno 2.9.6: no flag and no API turns it off). Made anew at each start, because a cloned
 * folder may have brought one. For the holder of the runner's lock. Throws AppError `config_invalid`.
 */
export function makeCacheView(denoDir: string, runDir: string): void {
  const view = join(runDir, "deno");
  try {
    const real = Deno.realPathSync(denoDir);
    if (attempt(() => Deno.lstatSync(view))) Deno.removeSync(view, { recursive: true });
    Deno.mkdirSync(view, { mode: 0o700 });
    for (const { name } of Deno.readDirSync(real)) {
      // SQLite names these after the real file.
      if (name !== STORE && !/-(wal|shm|journal)$/.test(name)) Deno.symlinkSync(join(real, name), join(view, name));
    }
    Deno.writeTextFileSync(join(view, STORE), "", { createNew: true, mode: 0o400 });
  } catch (cause) {
    const text = `Deno's cache ${denoDir} cannot be shown to other processes: ${messageOf(cause)}`;
    throw new AppError("config_invalid", text, { cause });
  }
}
