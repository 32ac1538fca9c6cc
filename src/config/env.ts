import type { z } from "zod";
import { nearestName } from "#/lib/nearest.ts";
import type { Problem } from "#/config/problem.ts";
import { schemaBelow, type SchemaNode, toNode } from "#/config/schema_walk.ts";
import { checkSource, type RawSource, type Source } from "#/config/source.ts";
import { isTable, nest, type Tree, valueAt } from "#/config/tree.ts";

type Environment = Readonly<Record<string, string>>;

/** The reference's own names (its crates/tools, web_search.rs and wasm_runner.rs), and the key that each one sets and wins over. */
const WEB_KEYS: Readonly<Record<string, string>> = {
  OXYDRA_WEB_EGRESS_MODE: "egress_mode",
  OXYDRA_WEB_EGRESS_PROXY_URL: "egress_proxy_url",
  OXYDRA_WEB_EGRESS_ALLOWLIST: "egress_allowlist",
  OXYDRA_WEB_SEARCH_PROVIDER: "provider",
  OXYDRA_WEB_SEARCH_DUCKDUCKGO_BASE_URL: "base_url",
  OXYDRA_WEB_SEARCH_DUCKDUCKGO_BASE_URLS: "base_urls",
  OXYDRA_WEB_SEARCH_GOOGLE_BASE_URL: "base_url",
  OXYDRA_WEB_SEARCH_GOOGLE_BASE_URLS: "base_urls",
  OXYDRA_WEB_SEARCH_GOOGLE_API_KEY: "api_key_env",
  OXYDRA_WEB_SEARCH_GOOGLE_CX: "engine_id_env",
  OXYDRA_WEB_SEARCH_SEARXNG_BASE_URL: "base_url",
  OXYDRA_WEB_SEARCH_SEARXNG_BASE_URLS: "base_urls",
  OXYDRA_WEB_SEARCH_SEARXNG_ENGINES: "engines",
  OXYDRA_WEB_SEARCH_SEARXNG_CATEGORIES: "categories",
  OXYDRA_WEB_SEARCH_SEARXNG_SAFESEARCH: "safesearch",
  OXYDRA_WEB_SEARCH_QUERY_PARAMS: "query_params",
};

/** What the loader reads of the environment: each name that begins with `prefix`, and `names`. Keys of models: `KEY_NAMES`. */
export const ENV_NAMES: { readonly prefix: string; readonly names: readonly string[] } = {
  prefix: "OXYDRA__",
  names: Object.keys(WEB_KEYS),
};

/** What the environment sets, variable by variable, in the order in which it is laid over the files. */
export interface EnvironmentSources {
  readonly sources: readonly Source[];
  readonly problems: readonly Problem[];
  readonly wrong: readonly string[];
}

/**
 * `OXYDRA__RUNTIME__MAX_TURNS=5` is `runtime.max_turns = 5`, typed by the schema; lists have commas. A name that a person chose is
 * matched to an entry of `files` whatever its case and punctuation (`MY_PROXY` is `my-proxy`), else taken in lower case.
 */
export function readEnvironment(schema: z.ZodType, env: Environment, files: Tree): EnvironmentSources {
  const sources: Source[] = [];
  const problems: Problem[] = [];
  const wrong: string[] = [];
  const add = (raw: RawSource) => {
    const checked = checkSource(raw, schema);
    sources.push(checked.source);
    problems.push(...checked.problems);
    wrong.push(...checked.wrong);
  };
  const unknown = (variable: string, sentence: string) =>
    problems.push({ code: "config_invalid", place: variable, key: "", sentence });

  for (const variable of Object.keys(env).sort()) {
    if (variable.startsWith(ENV_NAMES.prefix)) {
      const found = findKey(schema, variable, files);
      if (typeof found === "string") unknown(variable, found);
      else add(toSource(variable, nest(toValue(found.node, env[variable]!), found.path)));
    } else if (/^OXYDRA_WEB_(EGRESS|SEARCH)_/.test(variable) && !Object.hasOwn(WEB_KEYS, variable)) {
      const nearest = nearestName(variable, ENV_NAMES.names);
      unknown(variable, `unknown variable${nearest === undefined ? "" : `; the nearest known one is ${nearest}`}`);
    }
  }
  for (const raw of readWebVariables(schema, env, mergeProvider(files, sources))) add(raw);
  return { sources, problems, wrong };
}

function toSource(variable: string, raw: Tree): RawSource {
  return { layer: "env", place: variable, variable, at: [], profile: [], lines: new Map(), raw, trusted: true };
}

/** The key that a variable names, or the sentence that says why it names none. */
function findKey(schema: z.ZodType, variable: string, files: Tree): { path: string[]; node: SchemaNode } | string {
  const words = variable.slice(ENV_NAMES.prefix.length).toLowerCase().split("__");
  const path: string[] = [];
  let at = schema;
  for (const word of words) {
    const node = toNode(at);
    const key = node.kind === "entries" ? matchEntry(word, valueAt(files, path)) : word;
    const below = key === "" || node.kind === "list" ? undefined : schemaBelow(at, key);
    if (below === undefined) {
      const nearest = node.kind === "table" ? nearestName(word, Object.keys(node.keys)) : undefined;
      if (nearest === undefined) return "unknown key";
      return `unknown key; the nearest known one is ${ENV_NAMES.prefix}${[...path, nearest].join("__").toUpperCase()}`;
    }
    path.push(key);
    at = below;
  }
  const node = toNode(at);
  if (node.kind === "table" || node.kind === "entries") return `names a table; add __ and a key of ${path.join(".")}`;
  if (node.kind === "list" && toNode(node.element).kind === "table") {
    return "a list of tables can be set in a file only";
  }
  return { path, node };
}

/** The one entry whose name is `word` once case and punctuation are gone; else the word itself. */
function matchEntry(word: string, entries: unknown): string {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "_");
  const matches = isTable(entries) ? Object.keys(entries).filter((name) => plain(name) === plain(word)) : [];
  return matches.length === 1 ? matches[0]! : word;
}

/** The value of a variable in the type that the schema expects; text that is none of that type stays text, for the check to name. */
function toValue(node: SchemaNode, text: string): unknown {
  if (node.kind === "number") return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text;
  if (node.kind === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (node.kind !== "list") return text;
  const element = toNode(node.element);
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => toValue(element, part));
}

/** The search provider that is in force once files and `OXYDRA__` are read: base addresses are for one provider each. */
function mergeProvider(files: Tree, sources: readonly Source[]): unknown {
  const path = ["tools", "web_search", "provider"];
  return sources.reduce<unknown>((found, { tree }) => valueAt(tree, path) ?? found, valueAt(files, path));
}

/** The reference's variables; an empty one counts as not set. A secret stays in its variable, and the key names the variable. */
function* readWebVariables(schema: z.ZodType, env: Environment, provider: unknown): Generator<RawSource> {
  const set = (name: string) => (env[name] ?? "").trim();
  const search = (set("OXYDRA_WEB_SEARCH_PROVIDER") || String(provider ?? "duckduckgo")).toLowerCase();
  for (const [variable, key] of Object.entries(WEB_KEYS)) {
    let text = set(variable);
    if (text === "") continue;
    const base = /^OXYDRA_WEB_SEARCH_(.+)_BASE_URLS?$/.exec(variable);
    if (base !== null && base[1]!.toLowerCase() !== search) continue;
    if (key === "provider" || key === "egress_mode") text = text.toLowerCase();
    if (key === "egress_mode") text = { safe: "default", strict_allowlist_proxy: "strict" }[text] ?? text;
    if (key === "api_key_env" || key === "engine_id_env") text = variable;
    const path = ["tools", "web_search", key];
    const node = path.reduce((at, step) => schemaBelow(at, step)!, schema);
    yield toSource(variable, nest(toValue(toNode(node), text), path));
  }
}
