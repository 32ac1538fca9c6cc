import { loadCatalog, readCatalogFiles } from "#/config/catalog_files.ts";
import { AppError } from "#/core/error.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { type CatalogFlaw, checkModels, type Vendors } from "#/provider/catalog.ts";
import { readSnapshot } from "#/provider/catalog_snapshot.ts";
import { toRow } from "#/cli/columns.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";
import { toCount, toMinute } from "#/cli/wording.ts";

/** Where the text beside a label begins. */
const LABEL = 11;
/** Flaws of one file that are told; the rest is counted. */
const FLAWS_SHOWN_MAX = 20;

/** One place of the catalog. `--json` prints it as it is. */
interface VerifiedTier {
  readonly tier: "yours" | "project" | "snapshot" | "overlay";
  readonly place: string;
  /** When it was made: a file's own time, the snapshot's commit. */
  readonly date: string | null;
  readonly vendors: number;
  readonly models: number;
  /** How it counts, in words. */
  readonly use: string;
  /** What is wrong, with the line. */
  readonly flaws: readonly string[];
}

/** Checks every model of every catalog file that is there, and the overlay. Exit 2 when something in them is not used. */
export async function runCatalogVerify(options: JsonOptions): Promise<number> {
  const loaded = await loadFor(options);
  const tiers: VerifiedTier[] = [];
  for (const file of await readCatalogFiles(loaded.places)) {
    const { place, path, isProject, trusted, text, vendors, flaws } = file;
    const checked = checkModels(text, vendors);
    tiers.push({
      tier: isProject ? "project" : "yours",
      place,
      date: toMinute((Deno.lstatSync(path).mtime ?? new Date(0)).getTime()),
      ...toCounts(checked.models),
      use: trusted ? "before what stands below" : "for models that nothing else has, without prices: it is not trusted",
      flaws: [...flaws, ...checked.flaws].map(toWords),
    });
  }
  const { source, vendors } = await readSnapshot();
  const place = `${source.url.replace("https://", "")} at ${source.commit.slice(0, 7)}`;
  const snapshot = { tier: "snapshot", place, date: source.date, ...toCounts(vendors), use: "", flaws: [] } as const;
  tiers.push(snapshot, ...await verifyOverlay(loaded));
  console.log(options.json ? toPrintableJson({ tiers }, 2) : toPrintable(tiers.flatMap(toLines).join("\n")));
  return tiers.every(({ flaws }) => flaws.length === 0) ? EXIT.done : EXIT.usage;
}

/** The overlay is looked at by whoever loads the catalog; when it is right there is nothing to say of it. */
async function verifyOverlay(loaded: Parameters<typeof loadCatalog>[0]): Promise<VerifiedTier[]> {
  try {
    await loadCatalog(loaded);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Each line begins with the same place.
    const lines = error.message.split("\n");
    const place = lines[0]!.slice(0, lines[0]!.indexOf(": "));
    const flaws = lines.map((line) => line.slice(place.length + ": ".length));
    return [{ tier: "overlay", place, date: null, vendors: 0, models: 0, use: "", flaws }];
  }
}

function toWords({ line, sentence }: CatalogFlaw): string {
  return line === undefined ? sentence : `line ${line}: ${sentence}`;
}

function toCounts(vendors: Vendors): { vendors: number; models: number } {
  const all = Object.values(vendors);
  return { vendors: all.length, models: all.reduce((sum, { models }) => sum + Object.keys(models).length, 0) };
}

function toLines({ tier, place, date, vendors, models, use, flaws }: VerifiedTier): string[] {
  const counts = `${toCount(models, "model")} of ${toCount(vendors, "vendor")}, ${date}`;
  const more = flaws.length - FLAWS_SHOWN_MAX;
  return [
    ...toRow(tier, LABEL, place),
    ...(date === null ? [] : toRow("", LABEL, counts)),
    ...(use === "" ? [] : toRow("", LABEL, use)),
    ...flaws.slice(0, FLAWS_SHOWN_MAX).flatMap((flaw) => toRow("", LABEL, `✗ ${flaw}`, LABEL + 2)),
    ...(more > 0 ? toRow("", LABEL, `✗ and ${more} more`) : []),
    ...(flaws.length === 0 ? toRow("", LABEL, "✓ valid") : []),
  ];
}
