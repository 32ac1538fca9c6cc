import type { Config } from "#/config/schema.ts";
import { AppError } from "#/core/error.ts";
import { Secret } from "#/lib/secret.ts";
import { type NoShell, planShell, type ShellPlan, toWantedTier, type WantedTier } from "#/runner/plan_shell.ts";
import type { Environment } from "#/runner/process_plan.ts";
import type { EgressOptions } from "#/sandbox/egress_client.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import type { SecretEntry } from "#/sandbox/secrets.ts";
import type { BrowserConfig } from "#/tools/config.ts";
import { toSearchHosts } from "#/tools/search_endpoint.ts";
import type { ToolSettings } from "#/tools/registry.ts";

/** The secret that web_search spends, when its provider wants one. */
const SEARCH_SECRET = "web_search";

/** What a browser runs behind, and how it is reached. */
export interface BrowserPlan {
  readonly config: BrowserConfig;
  readonly wanted: WantedTier;
}

/** What a configuration makes of the tools of one start. */
export interface ToolsPlan {
  /** Layers of policy that stand before the one that ships: the person's, then those that follow from settings. */
  readonly rules: readonly (readonly PolicyRule[])[];
  readonly settings: ToolSettings;
  /** What components may read, by `section.key`. */
  readonly values: ReadonlyMap<string, string>;
  readonly secrets: readonly SecretEntry[];
  readonly egress: Pick<EgressOptions, "allowlist" | "mode" | "proxyUrl">;
  readonly shell: ShellPlan | NoShell;
  /** Absent where the person wants none. */
  readonly browser?: BrowserPlan;
}

/**
 * Joins what the configuration says about tools. Pure. Throws AppError `config_invalid` for a secret whose name is taken; one whose
 * variable is not set is left out, and its use is denied.
 */
export function planTools(config: Config, env: Environment, given: Environment = {}): ToolsPlan {
  const shell = planShell(config, env, given);
  const browser = planBrowser(config);
  const search = config.tools.web_search;
  const secrets = Object.entries(config.secrets).flatMap(([name, { env: variable, hosts, private: isPrivate }]) =>
    toEntry({ name, variable, hosts, isPrivate }, env)
  );
  if (Object.hasOwn(config.secrets, SEARCH_SECRET)) {
    throw new AppError("config_invalid", `secrets.${SEARCH_SECRET}: is the name of web_search's own key`);
  }
  const hosts = toSearchHosts(search);
  const own = search.provider === "google" && search.api_key_env !== undefined
    ? toEntry({
      name: SEARCH_SECRET,
      variable: search.api_key_env,
      hosts: hosts.map(({ host }) => host),
      isPrivate: false,
    }, env)
    : [];
  return {
    rules: [config.policy.rules, toSearchRules(hosts)],
    settings: {
      webSearch: search,
      attachmentSaveSecs: config.tools.attachment_save.timeout_secs,
      ...("off" in shell ? {} : { shellSecs: shell.timeoutSecs }),
      ...(browser === undefined ? {} : { hasBrowser: true }),
    },
    values: toValues(config, env),
    secrets: [...secrets, ...own],
    shell,
    ...browser,
    egress: {
      allowlist: search.egress_allowlist,
      mode: search.egress_mode,
      ...(search.egress_proxy_url === undefined ? {} : { proxyUrl: search.egress_proxy_url }),
    },
  };
}

/** The browser of a configuration. Pure. */
function planBrowser(config: Config): { readonly browser: BrowserPlan } | undefined {
  const { tools: { browser }, user: { behavior } } = config;
  if (!browser.enabled || behavior.browser_enabled === false) return undefined;
  return { browser: { config: browser, wanted: toWantedTier(config) } };
}

/** The hosts that the person configured are allowed unasked, for this tool alone (DESIGN, "The policy that ships"). */
function toSearchRules(hosts: ReturnType<typeof toSearchHosts>): readonly PolicyRule[] {
  if (hosts.length === 0) return [];
  const of = { tools: ["web_search"], effect: "allow" as const };
  return [
    // Each host with its own port: two lists would open the ports of one on the other as well.
    ...hosts.map(({ host, port }): PolicyRule => ({
      id: "settings:web_search",
      kinds: ["http"],
      hosts: [host],
      methods: ["GET"],
      ports: [`${port}`],
      ...of,
    })),
    {
      id: "settings:web_search key",
      kinds: ["secret"],
      hosts: [...new Set(hosts.map(({ host }) => host))],
      names: [SEARCH_SECRET],
      ...of,
    },
  ];
}

function toEntry(
  secret: { readonly name: string; readonly variable: string } & Pick<SecretEntry, "hosts" | "isPrivate">,
  env: Environment,
): readonly SecretEntry[] {
  const { variable, ...entry } = secret;
  const value = valueOf(env, variable)?.trim();
  return value ? [{ ...entry, value: new Secret(value) }] : [];
}

function toValues(config: Config, env: Environment): ReadonlyMap<string, string> {
  const { provider, base_url, base_urls, query_params, engines, categories, safesearch, engine_id_env } =
    config.tools.web_search;
  const engine_id = engine_id_env === undefined ? undefined : valueOf(env, engine_id_env);
  const all = { provider, base_url, base_urls, query_params, engines, categories, safesearch, engine_id };
  const set = Object.entries(all).filter(([, value]) => value !== undefined && value !== "");
  return new Map(set.map(([key, value]) => [`web_search.${key}`, String(value)]));
}

/** A variable that is there: a person may name one that every object has, such as `constructor`. */
function valueOf(env: Environment, variable: string): string | undefined {
  return Object.hasOwn(env, variable) ? env[variable] : undefined;
}
