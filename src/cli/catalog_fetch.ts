import { toCatalogPath } from "#/config/catalog_files.ts";
import { AppError } from "#/core/error.ts";
import { toOneLine, toPrintable } from "#/lib/printable.ts";
import { fetchCatalog, MODELS_DEV } from "#/runner/fetch_catalog.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { CommonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";
import { toCount } from "#/cli/wording.ts";

/** Fetches a catalog into the person's config folder. Throws AppError as `fetchCatalog` does, `usage` without a HOME. */
export async function runCatalogFetch(options: CommonOptions & { readonly url?: string }): Promise<number> {
  const loaded = await loadFor(options);
  const path = toCatalogPath(loaded.places.home);
  if (path === undefined) throw new AppError("usage", "HOME is not set, so there is nowhere to write the catalog");
  const address = options.url ?? loaded.config.catalog.pinned_url ?? MODELS_DEV;
  const bar = Deno.stderr.isTerminal() ? new ProgressBar() : undefined;
  const { vendors, models, changed, leftOut } = await fetchCatalog(address, path, {
    fetch,
    onProgress: (bytes, total) => bar?.show(bytes, total),
  }).finally(() => bar?.clear());
  const counts = `${toCount(models, "model")} of ${toCount(vendors, "vendor")}`;
  console.log(toPrintable(`${changed ? "written" : "nothing new"}: ${path}\n  ${counts}, from ${address}`));
  if (leftOut.length > 0) {
    const { line, sentence } = leftOut[0]!;
    const first = `the first${line === undefined ? "" : ` in line ${line}`}: ${sentence}`;
    console.error(toOneLine(`oxydra: ${toCount(leftOut.length, "entry", "entries")} left out, ${first}`, 400));
  }
  return EXIT.done;
}

const BAR_CELLS = 24;

/** One line on the terminal, redrawn in place. */
class ProgressBar {
  show(bytes: number, total: number | undefined): void {
    const done = total === undefined ? undefined : Math.floor(BAR_CELLS * bytes / total);
    const bar = done === undefined ? "" : `${"━".repeat(done)}${"─".repeat(BAR_CELLS - done)}  `;
    const size = total === undefined ? toMegabytes(bytes) : `${toMegabytes(bytes)} of ${toMegabytes(total)}`;
    this.#write(`\r${bar}${size} MB `);
  }

  clear(): void {
    this.#write("\r\x1b[K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

function toMegabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
