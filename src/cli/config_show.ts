import { showEffective } from "#/config/show.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";

/** Prints each value of the configuration with the layer it comes from; secrets are masked. Throws AppError `config_invalid` with the whole report. */
export async function runConfigShow(options: JsonOptions): Promise<number> {
  const loaded = await loadFor(options);
  console.log(showEffective(loaded, { json: options.json ?? false, cwd: Deno.cwd() }));
  return EXIT.done;
}
