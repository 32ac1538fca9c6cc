import type { ModelChoice } from "#/app/bootstrap.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { Loaded } from "#/config/load.ts";
import { loadCatalog } from "#/config/catalog_files.ts";
import { type Segment, toKeyPath } from "#/config/key_path.ts";
import { type Problem, toConfigError } from "#/config/problem.ts";
import { toShownPath } from "#/config/read_file.ts";
import { type Catalog, describeModel } from "#/provider/describe_model.ts";
import { toPromptTokens } from "#/provider/descriptor.ts";
import type { StartPlan } from "#/runner/plan_start.ts";

/** A start whose model is known, and what the person should hear of the catalog's files. */
export interface DescribedStart {
  readonly plan: StartPlan;
  readonly notes: readonly string[];
}

/** A model that somebody selected, and the path of the key that says so. */
interface Selection {
  readonly provider: string;
  readonly model: string;
  readonly path: readonly Segment[];
}

/**
 * Adds what the catalog knows of the chosen model and its fallbacks, so that the loop knows where each ends and what it costs, and checks
 * the models that agents select. Reads catalog files. Throws AppError `config_invalid` with a line for each model that should be in the
 * catalog and is not, and for a broken overlay.
 */
export async function describeStart(plan: StartPlan, loaded: Loaded): Promise<DescribedStart> {
  const catalog = await loadCatalog(loaded);
  const problems: Problem[] = [];
  const describe = (selection: Selection): ModelDescriptor | undefined => {
    const described = describeSelection(catalog, loaded, selection);
    if (typeof described !== "string") return described;
    problems.push(toProblem(loaded, selection.path, described));
  };
  const describeChoice = (choice: ModelChoice, path: readonly Segment[]): ModelChoice => {
    const descriptor = describe({ ...choice, path });
    return descriptor === undefined ? choice : { ...choice, descriptor };
  };
  const model = describeChoice(plan.model, ["selection", "model"]);
  const { fallback: listed = [] } = loaded.config.selection;
  const fallback = plan.fallback.map((choice) => {
    const at = listed.findIndex((one) => one.provider === choice.provider && one.model === choice.model);
    return describeChoice(choice, ["selection", "fallback", at, "model"]);
  });
  for (const selection of toAgentSelections(loaded, plan.model)) describe(selection);
  if (problems.length > 0) throw toConfigError(problems);
  const contextTokensMax = toPromptTokens(model.descriptor!);
  return { plan: { ...plan, model, fallback, settings: { ...plan.settings, contextTokensMax } }, notes: catalog.notes };
}

/** What an agent leaves out it has from the main selection. */
function* toAgentSelections({ config }: Loaded, main: ModelChoice): Generator<Selection> {
  for (const [name, { selection }] of Object.entries(config.agents)) {
    if (selection === undefined) continue;
    const path = ["agents", name, "selection"];
    const provider = selection.provider ?? main.provider;
    const model = selection.model ?? (provider === main.provider ? main.model : undefined);
    if (model !== undefined) yield { provider, model, path: [...path, "model"] };
    for (const [at, one] of (selection.fallback ?? []).entries()) {
      yield { ...one, path: [...path, "fallback", at, "model"] };
    }
  }
}

function describeSelection(
  catalog: Catalog,
  { config, steered }: Loaded,
  { provider, model }: Selection,
): ModelDescriptor | string {
  const { registry } = config.providers;
  return describeModel(catalog, {
    provider,
    // Only the demo needs no entry.
    entry: Object.hasOwn(registry, provider) ? registry[provider]! : { provider_type: "demo" },
    model,
    skip: config.catalog.skip_catalog_validation,
    fallbackContextTokens: config.runtime.context_budget.fallback_max_context_tokens,
    priced: !steered.some(({ path }) => path[2] === provider && path[3] === "catalog_provider"),
  });
}

/** Lists are told of as a whole, so that an element has the place of its list. */
function toProblem({ origins, places }: Loaded, path: readonly Segment[], sentence: string): Problem {
  const list = path.findIndex((step) => typeof step === "number");
  const origin = origins.get(toKeyPath(list === -1 ? path : path.slice(0, list)));
  const file = origin?.file === undefined ? "command line" : toShownPath(origin.file, places.cwd);
  const line = origin?.line === undefined ? {} : { line: origin.line };
  return { code: "config_invalid", place: origin?.variable ?? file, ...line, key: toKeyPath(path), sentence };
}
