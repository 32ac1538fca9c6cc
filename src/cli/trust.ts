import { AppError } from "#/core/error.ts";
import { toPrintable } from "#/lib/printable.ts";
import { trustFile } from "#/config/trust.ts";
import { EXIT } from "#/cli/exit_code.ts";

/** Records path and sha256 of one configuration file as trusted. Throws AppError `usage` without a HOME, `config_invalid` for what is no file. */
export async function runTrust(file: string): Promise<number> {
  const home = Deno.env.get("HOME");
  if (!home) throw new AppError("usage", "HOME is not set, so there is nowhere to write down what is trusted");
  const trusted = await trustFile(file, home);
  console.log(`trusted, as long as it stays as it is: ${toPrintable(trusted.path)}\n  sha256 ${trusted.sha256}`);
  return EXIT.done;
}
