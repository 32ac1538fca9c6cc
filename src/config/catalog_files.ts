import { join } from "#/lib/path.ts";
import { parseJson } from "#/lib/parse_json.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { type CatalogFlaw, readCatalog, type Vendors } from "#/provider/catalog.ts";
import { CatalogOverlay } from "#/provider/catalog_overlay.ts";
import { readSnapshot } from "#/provider/catalog_snapshot.ts";
import type { Catalog, CatalogTier } from "#/provider/describe_model.ts";
import { toIssues } from "#/config/issue.ts";
import { toKeyPath } from "#/config/key_path.ts";
import type { Loaded } from "#/config/load.ts";
import { toConfigError } from "#/config/problem.ts";
import { readPlainFile, toShownPath } from "#/config/read_file.ts";
import { isTrusted, readTrustList } from "#/config/trust.ts";

const FILE = "model_catalog.json";
const OVERLAY = "oxydra_caps_overrides.json";

/** A catalog file that is there. */
export interface CatalogFile {
  /** As messages show it. */
  readonly place: string;
  readonly path: string;
  readonly isProject: boolean;
  /** False for a file of the project that nobody trusted. */
  readonly trusted: boolean;
  readonly text: string;
  readonly vendors: Vendors;
  readonly flaws: readonly CatalogFlaw[];
}

/** What is known about models, and which files of it are not used. */
export interface LoadedCatalog extends Catalog {
  /** Sentences for the person, with file and line. */
  readonly notes: readonly string[];
}

/** The file that `oxydra catalog fetch` writes; undefined without a home. */
export function toCatalogPath(home: string | undefined): string | undefined {
  return home === undefined ? undefined : join(home, ".config", "oxydra", FILE);
}

/**
 * The catalog in force (SPEC §2): the person's file, the project's, the snapshot that ships. A file that cannot be used is told of and
 * left out. One of a project that nobody trusted comes last and states no price: a cloned folder could otherwise make a model free and
 * so lift a cost limit, or move another's bounds. Throws AppError `config_invalid` for an overlay that is broken: it is the person's word.
 */
export async function loadCatalog({ places }: Pick<Loaded, "places">): Promise<LoadedCatalog> {
  const files = await readCatalogFiles(places);
  const { source, vendors } = await readSnapshot();
  const own = files.filter(({ trusted }) => trusted).map(toTier);
  const foreign = files.filter(({ trusted }) => !trusted).map(toTier);
  const snapshot = { place: `snapshot of ${source.date}`, priced: true, vendors };
  return {
    tiers: [...own, snapshot, ...foreign],
    overlay: readOverlay(places),
    notes: files.flatMap((file) => file.flaws.map((flaw) => toNote(file, flaw))),
  };
}

/** The catalog files that are there, the person's before the project's. */
export async function readCatalogFiles({ cwd, home, project, root }: Loaded["places"]): Promise<CatalogFile[]> {
  const own = toCatalogPath(home);
  const candidates = [
    ...(own === undefined ? [] : [{ path: own, isProject: false }]),
    { path: join(project, FILE), isProject: true },
  ];
  const files: CatalogFile[] = [];
  for (const { path, isProject } of candidates) {
    const read = readPlainFile(path, { within: isProject ? root : undefined, bytesMax: LIMITS.catalogBytesMax });
    const place = toShownPath(path, cwd);
    if ("kind" in read) {
      if (read.kind === "bad") {
        files.push({ place, path, isProject, trusted: !isProject, text: "", vendors: {}, flaws: [read] });
      }
      continue;
    }
    const text = new TextDecoder().decode(read.bytes);
    const trusted = !isProject ||
      isTrusted(readTrustList(home), { path: read.realPath, sha256: await sha256Hex(read.bytes) });
    files.push({ place, path, isProject, trusted, text, ...readCatalog(text) });
  }
  return files;
}

function toNote({ place }: Pick<CatalogFile, "place">, { line, sentence }: CatalogFlaw): string {
  return `${place}${line === undefined ? "" : `:${line}`}: ${sentence}`;
}

function toTier({ place, trusted, vendors }: CatalogFile): CatalogTier {
  return { place, priced: trusted, vendors };
}

function readOverlay({ cwd, home }: Loaded["places"]): CatalogOverlay {
  const none = { provider_defaults: {}, overrides: {} };
  if (home === undefined) return none;
  const path = join(home, ".config", "oxydra", OVERLAY);
  const place = toShownPath(path, cwd);
  const read = readPlainFile(path, { bytesMax: LIMITS.configBytesMax });
  const refuse = (key: string, sentence: string) => ({ code: "config_invalid" as const, place, key, sentence });
  if ("kind" in read) {
    if (read.kind === "bad") throw toConfigError([refuse("", read.sentence)]);
    return none;
  }
  const tree = parseJson(new TextDecoder().decode(read.bytes));
  if (tree === undefined) throw toConfigError([refuse("", "is no JSON")]);
  const overlay = CatalogOverlay.safeParse(tree);
  if (overlay.success) return overlay.data;
  const issues = toIssues(overlay.error, CatalogOverlay, tree);
  throw toConfigError(issues.map(({ path, sentence }) => refuse(toKeyPath(path), sentence)));
}
