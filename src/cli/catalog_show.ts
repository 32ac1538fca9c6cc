import { loadCatalog } from "#/config/catalog_files.ts";
import type { Loaded } from "#/config/load.ts";
import { AppError } from "#/core/error.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import type { CatalogModel } from "#/provider/catalog.ts";
import { type Catalog, describeModel, findModel, toVendor } from "#/provider/describe_model.ts";
import { type ShownModel, toModelCard, toModelTable, toVendorTable } from "#/cli/catalog_text.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { loadFor } from "#/cli/place.ts";

/** Prints the vendors, the models of one, or one model. Throws AppError `config_invalid` with what is near when there is none. */
export async function runCatalogShow(what: string | undefined, options: JsonOptions): Promise<number> {
  const loaded = await loadFor(options);
  const catalog = await loadCatalog(loaded);
  const [name, ...rest] = (what ?? "").split("/");
  const id = rest.length === 0 ? undefined : rest.join("/");
  const own = id === undefined || id === "" ? undefined : toOwnModel(catalog, loaded, name!, id);
  const vendors = what === undefined ? listVendors(catalog) : [toCatalogVendor(catalog, loaded, name!)];
  const models = own ?? vendors.flatMap((vendor) => listModels(catalog, loaded, vendor, id));
  if (options.json) console.log(toPrintableJson({ models }, 2));
  else if (what === undefined) console.log(toVendorTable(models, catalog.tiers.map(({ place }) => place)));
  else console.log(id === undefined ? toModelTable(models) : toModelCard(models[0]!));
  for (const note of catalog.notes) console.error(toOneLine(`oxydra: not used of the model catalog: ${note}`, 400));
  return EXIT.done;
}

function listVendors({ tiers }: Catalog): string[] {
  return [...new Set(tiers.flatMap(({ vendors }) => Object.keys(vendors)))].sort();
}

/** People name the entry that they configured, which may have another name than the catalog's vendor: `gemini` is `google`. */
function toCatalogVendor(catalog: Catalog, { config }: Loaded, name: string): string {
  const { registry } = config.providers;
  if (listVendors(catalog).includes(name) || !Object.hasOwn(registry, name)) return name;
  return toVendor(registry[name]!) ?? name;
}

/** A model of a server of one's own, which no catalog need have: it is what a start takes it for. */
function toOwnModel(catalog: Catalog, { config }: Loaded, provider: string, model: string): ShownModel[] | undefined {
  const { registry } = config.providers;
  const entry = Object.hasOwn(registry, provider) ? registry[provider]! : undefined;
  if (entry?.base_url === undefined) return undefined;
  const described = describeModel(catalog, { ...toQuestion(config, model), provider, entry });
  return typeof described === "string" ? undefined : [toShown(provider, described, undefined)];
}

function toQuestion(config: Loaded["config"], model: string) {
  const fallbackContextTokens = config.runtime.context_budget.fallback_max_context_tokens;
  return { model, skip: false, fallbackContextTokens, priced: true };
}

/** The newest first, what a vendor gives up last. */
function listModels(catalog: Catalog, { config }: Loaded, vendor: string, only: string | undefined): ShownModel[] {
  const ids = catalog.tiers.flatMap(({ vendors }) =>
    Object.hasOwn(vendors, vendor) ? Object.keys(vendors[vendor]!.models) : []
  );
  // A vendor that is not there is asked for as well: the answer says which are.
  const wanted = only ?? (ids.length === 0 ? "" : undefined);
  return [...new Set(wanted === undefined ? ids : [wanted])].flatMap((id) => {
    const described = describeModel(catalog, {
      ...toQuestion(config, id),
      provider: vendor,
      entry: { provider_type: "openai", catalog_provider: vendor },
    });
    if (typeof described !== "string") return [toShown(vendor, described, findModel(catalog.tiers, vendor, id)?.model)];
    // One of many that does not fit the schema is for `catalog verify`.
    if (wanted === undefined) return [];
    throw new AppError("config_invalid", described);
  }).sort((a, b) =>
    Number(a.status === "deprecated") - Number(b.status === "deprecated") ||
    (b.released ?? "").localeCompare(a.released ?? "") || a.id.localeCompare(b.id)
  );
}

function toShown(vendor: string, descriptor: ModelDescriptor, model: CatalogModel | undefined): ShownModel {
  const { release_date: released, status } = model ?? {};
  return {
    vendor,
    ...descriptor,
    ...(released === undefined ? {} : { released }),
    ...(status === undefined ? {} : { status }),
  };
}
