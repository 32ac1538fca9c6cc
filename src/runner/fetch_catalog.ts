import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { dirname } from "#/lib/path.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { readPlainFile } from "#/config/read_file.ts";
import { type CatalogFlaw, checkModels, readCatalog, toCatalogText } from "#/provider/catalog.ts";
import { toReason } from "#/provider/failure.ts";

/** Where models.dev serves its catalog. */
export const MODELS_DEV = "https://models.dev/api.json";

/** What a fetch needs of the outside. */
export interface FetchCatalogDeps {
  readonly fetch: typeof fetch;
  /** Told of each piece: bytes so far, and of all when the server says so. */
  onProgress(bytes: number, total: number | undefined): void;
  /** Default `catalogFetchMs`. */
  readonly timeoutMs?: number;
}

/** A catalog that was fetched and written. */
export interface FetchedCatalog {
  readonly vendors: number;
  readonly models: number;
  /** Of the file. */
  readonly bytes: number;
  readonly changed: boolean;
  /** What did not fit, with its line in what was fetched. */
  readonly leftOut: readonly CatalogFlaw[];
}

/**
 * Fetches a catalog in models.dev's form, keeps what oxydra knows of it, sorted, and puts it in the place of `path`, mode 600. Until it
 * is whole and checked, the old file stays. https only, but for this machine; a redirect is held to the same. Throws AppError `usage` for
 * an address that is not taken, `egress_failed`, `egress_timeout`, `config_invalid` for what is no catalog.
 */
export async function fetchCatalog(address: string, path: string, deps: FetchCatalogDeps): Promise<FetchedCatalog> {
  const text = await download(address, deps);
  const read = readCatalog(text);
  const { models, flaws } = checkModels(text, read.vendors);
  const leftOut = [...read.flaws, ...flaws];
  const count = Object.values(models).reduce((sum, vendor) => sum + Object.keys(vendor.models).length, 0);
  if (count === 0) {
    const { line, sentence } = leftOut[0] ?? { sentence: "names no model" };
    const where = line === undefined ? "" : ` (line ${line})`;
    throw new AppError("config_invalid", `${address} is no model catalog: it ${sentence}${where}. Nothing was changed`);
  }
  const kept = new TextEncoder().encode(toCatalogText(models));
  const changed = await replace(path, kept);
  return { vendors: Object.keys(models).length, models: count, bytes: kept.length, changed, leftOut };
}

async function download(address: string, { fetch, onProgress, timeoutMs }: FetchCatalogDeps): Promise<string> {
  const limitMs = timeoutMs ?? LIMITS.catalogFetchMs;
  const signal = AbortSignal.timeout(limitMs);
  try {
    const response = await follow(address, fetch, signal);
    const total = Number(response.headers.get("content-length") ?? NaN);
    const body = response.body ?? new Blob([]).stream();
    return await readBounded(body, LIMITS.catalogBytesMax, (bytes) => {
      onProgress(bytes, total >= bytes ? total : undefined);
    });
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof RangeError) {
      throw new AppError("egress_failed", `the catalog is larger than ${LIMITS.catalogBytesMax} bytes`);
    }
    if (signal.aborted) {
      throw new AppError("egress_timeout", `${address} took longer than ${limitMs / 1_000} s. Nothing was changed`);
    }
    throw new AppError("egress_failed", `${address} cannot be fetched: ${toReason(error)}. Nothing was changed`);
  }
}

/** By hand: a redirect to plain http would let anybody on the way write the prices. */
async function follow(address: string, fetch: FetchCatalogDeps["fetch"], signal: AbortSignal): Promise<Response> {
  let url = checkAddress(address);
  for (let hops = 0; hops <= LIMITS.redirectsMax; hops++) {
    const response = await fetch(url, { redirect: "manual", signal, headers: { accept: "application/json" } });
    if (response.ok) return response;
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) {
      throw new AppError("egress_failed", `${url} answered ${response.status}. Nothing was changed`);
    }
    url = checkAddress(location, url);
  }
  throw new AppError("egress_failed", `${address} redirects more than ${LIMITS.redirectsMax} times`);
}

function checkAddress(address: string, base?: URL): URL {
  const url = URL.parse(address, base);
  const isLocal = url !== null && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal && (base === undefined || isHttp(base)))) {
    return url;
  }
  throw new AppError("usage", `${address}: a catalog is fetched by https://, or by http:// from this machine`);
}

/** A server elsewhere must not send us to one on this machine. */
function isHttp({ protocol }: URL): boolean {
  return protocol === "http:";
}

/** Returns false when the file was the same already. */
async function replace(path: string, content: Uint8Array): Promise<boolean> {
  try {
    const before = readPlainFile(path, { bytesMax: content.length });
    if ("bytes" in before && before.bytes.length === content.length && before.bytes.every((b, i) => b === content[i])) {
      return false;
    }
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Mode 600; a name of its own, so that two at once do not write into one another.
    const temporary = await Deno.makeTempFile({ dir: dirname(path), prefix: ".model_catalog-" });
    try {
      await Deno.writeFile(temporary, content);
      using file = await Deno.open(temporary, { write: true });
      await file.syncData();
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary);
      throw error;
    }
    return true;
  } catch (cause) {
    throw new AppError("config_invalid", `${path} cannot be written: ${(cause as Error).message}`, { cause });
  }
}
