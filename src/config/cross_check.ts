import { nearestName } from "#/lib/nearest.ts";
import type { Selection } from "#/provider/config.ts";
import { TOOL_NAMES } from "#/tools/config.ts";
import type { Issue } from "#/config/issue.ts";
import type { Config } from "#/config/schema.ts";

/** A problem between keys: `involved` are the paths it speaks of, so that a key that is wrong already is not named again. */
export interface CrossIssue extends Issue {
  readonly involved: readonly string[];
}

/**
 * The rules between keys (SPEC §1 and the reference's `validate`). `providers` are all names in the registry, those of broken entries
 * too. Models are checked against the catalog elsewhere, files when they are opened.
 */
export function* crossCheck(config: Config, providers: readonly string[]): Generator<CrossIssue> {
  yield* checkSelection(config, config.selection, ["selection"], providers);
  for (const [name, agent] of Object.entries(config.agents)) {
    yield* checkSelection(config, agent.selection ?? {}, ["agents", name, "selection"], providers);
    yield* checkAgent(config, name);
  }
  yield* checkSums(config);
  yield* checkNeeds(config);
}

function* checkSelection(
  { providers: { registry } }: Config,
  { provider, fallback = [] }: Selection,
  path: string[],
  providers: readonly string[],
): Generator<CrossIssue> {
  yield* checkProvider(provider, [...path, "provider"], providers);
  for (const [at, { provider, model }] of fallback.entries()) {
    const here = [...path, "fallback", at];
    yield* checkProvider(provider, [...here, "provider"], providers);
    if (registry[provider]?.provider_type === "demo") {
      yield issue([...here, "provider"], "the demo is no model that could answer in another's place");
    }
    if (fallback.findIndex((other) => other.provider === provider && other.model === model) < at) {
      yield issue([...here, "model"], `${provider}/${model} is in the list already`);
    }
  }
}

function* checkProvider(
  name: string | undefined,
  path: Issue["path"],
  providers: readonly string[],
): Generator<CrossIssue> {
  if (name === undefined || providers.includes(name)) return;
  const nearest = nearestName(name, providers);
  const known = nearest === undefined ? `known: ${providers.join(", ")}` : `the nearest is ${nearest}`;
  yield issue(path, `no entry of providers.registry has this name; ${known}`);
}

function* checkAgent(config: Config, name: string): Generator<CrossIssue> {
  const agent = config.agents[name]!;
  if (agent.system_prompt !== undefined && agent.system_prompt_file !== undefined) {
    yield issue(["agents", name, "system_prompt_file"], "give system_prompt or system_prompt_file, not both");
  }
  for (const [index, tool] of (agent.tools ?? []).entries()) {
    const ofServer = config.mcp.servers.some((server) =>
      tool.startsWith(server.name) && tool.length > server.name.length
    );
    if (TOOL_NAMES.includes(tool) || ofServer) continue;
    const nearest = nearestName(tool, TOOL_NAMES);
    const hint = nearest === undefined ? "" : `; the nearest is ${nearest}`;
    yield issue(["agents", name, "tools", index], `unknown tool${hint}`);
  }
}

function* checkSums({ memory: { retrieval }, reliability }: Config): Generator<CrossIssue> {
  const sum = retrieval.vector_weight + retrieval.fts_weight;
  if (Math.abs(sum - 1) > 1e-6) {
    const sentence = `vector_weight and fts_weight must sum to 1, got ${+sum.toFixed(6)}`;
    yield issueBetween("memory.retrieval.vector_weight", sentence, "memory.retrieval.fts_weight");
  }
  if (reliability.backoff_base_ms > reliability.backoff_max_ms) {
    const sentence = `must be at most backoff_max_ms, ${reliability.backoff_max_ms}`;
    yield issueBetween("reliability.backoff_base_ms", sentence, "reliability.backoff_max_ms");
  }
}

function* checkNeeds(
  { memory, scheduler, tools: { web_search: search }, runner: { web }, user }: Config,
): Generator<CrossIssue> {
  if (memory.enabled && memory.remote_url !== undefined && memory.auth_token === undefined) {
    yield issueBetween("memory.remote_url", "needs memory.auth_token", "memory.auth_token");
  }
  if (scheduler.enabled && !memory.enabled) {
    const sentence = "needs memory.enabled = true, where schedules are kept";
    yield issueBetween("scheduler.enabled", sentence, "memory.enabled");
  }
  if (search.provider === "searxng" && search.base_url === undefined && search.base_urls === undefined) {
    const bases = ["tools.web_search.base_url", "tools.web_search.base_urls"];
    yield issueBetween("tools.web_search.provider", "searxng needs base_url or base_urls", ...bases);
  }
  const mode = "tools.web_search.egress_mode";
  if (search.egress_mode === "strict" && search.egress_allowlist.length === 0) {
    yield issueBetween(mode, "strict needs egress_allowlist", "tools.web_search.egress_allowlist");
  }
  if (search.egress_mode === "strict" && search.egress_proxy_url === undefined) {
    yield issueBetween(mode, "strict needs egress_proxy_url", "tools.web_search.egress_proxy_url");
  }
  if (web.auth_mode === "token" && web.auth_token_env === undefined && web.auth_token === undefined) {
    const tokens = ["runner.web.auth_token_env", "runner.web.auth_token"];
    yield issueBetween("runner.web.auth_mode", "token needs auth_token_env or auth_token", ...tokens);
  }
  const telegram = user.channels.telegram;
  const enabled = "user.channels.telegram.enabled";
  if (telegram?.enabled && telegram.bot_token_env === undefined) {
    yield issueBetween(enabled, "needs bot_token_env", "user.channels.telegram.bot_token_env");
  }
  if (telegram?.enabled && telegram.senders.length === 0) {
    const sentence = "needs at least one [[channels.telegram.senders]]";
    yield issueBetween(enabled, sentence, "user.channels.telegram.senders");
  }
}

function issue(path: Issue["path"], sentence: string): CrossIssue {
  return { path, sentence, involved: [] };
}

/** `key` and `others` are paths of bare keys. */
function issueBetween(key: string, sentence: string, ...others: readonly string[]): CrossIssue {
  return { path: key.split("."), sentence, involved: others };
}
