import { loadConfig } from "#/config/load.ts";
import { showEffective } from "#/config/show.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { toLoadOptions } from "#/cli/load_options.ts";
import type { CommonOptions } from "#/cli/main.ts";

/** Prints each value of the configuration with the layer it comes from; secrets are masked. Throws AppError `config_invalid` with the whole report. */
export async function runConfigShow(options: CommonOptions & { readonly json?: boolean }): Promise<number> {
  const loaded = await loadConfig(toLoadOptions(options, Deno.env.toObject()));
  console.log(showEffective(loaded, { json: options.json ?? false, cwd: Deno.cwd() }));
  return EXIT.done;
}
