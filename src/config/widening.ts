import { attempt } from "#/core/error.ts";
import { dirname, isAbsolute, join, resolve } from "#/lib/path.ts";
import { toSocketAddress } from "#/gateway/config.ts";
import type { JoinedLayers } from "#/config/joined.ts";
import type { Problem } from "#/config/problem.ts";
import { isWithin, toRealPath } from "#/config/read_file.ts";
import { Config } from "#/config/schema.ts";
import { PARSE_ONCE, schemaAt } from "#/config/schema_walk.ts";
import { problemIn, type Source } from "#/config/source.ts";
import { isSame, isTable, leaves, type Tree, valueAt } from "#/config/tree.ts";

/** What a rule may look at. */
export interface WideningContext {
  /** The joined layers beneath the project. */
  readonly below: Tree;
  /** Real path of the folder that the project's files must stay in. */
  readonly root: string;
  /** The chosen user's folder, absolute. */
  readonly workspace: string;
  readonly home: string | undefined;
}

type Widens = (value: unknown, source: Source, context: WideningContext) => boolean;

const always: Widens = () => true;
/** A lower file set this key, so somebody meant it: a project may not loosen it unasked. */
const guarded = (key: string): Widens => (_value, _source, { below }) => valueAt(below, key.split(".")) !== undefined;
const outside = (base: (source: Source, context: WideningContext) => string): Widens => (value, source, context) => {
  const path = resolvePath(String(value), base(source, context), context.home);
  return !staysWithin(context.root, path);
};
const besideFile = outside((source) => dirname(source.file ?? "/"));

/**
 * Keys that widen what the agent may reach, and when. `*` is any name. From a project they count only after a person trusted the
 * file (DESIGN, "Configuration is not equal in power"). What equals the value of the layers beneath widens nothing.
 */
const RULES: Readonly<Record<string, Widens>> = {
  "mcp.servers": always,
  // A list takes the place of the one beneath it, so that also a rule that forbids may be gone.
  "policy.rules": always,
  "secrets.*.*": always,
  "memory.remote_url": always,
  "memory.auth_token": guarded("memory.auth_token"),
  "catalog.pinned_url": always,
  "observability.otlp_endpoint": always,
  // The hosts of web_search are allowed unasked by the shipped policy, and its keys are spent on them.
  "tools.web_search.base_url": always,
  "tools.web_search.base_urls": always,
  "tools.web_search.api_key_env": always,
  "tools.web_search.engine_id_env": always,
  "tools.web_search.egress_allowlist": always,
  "tools.web_search.egress_mode": guarded("tools.web_search.egress_mode"),
  "tools.web_search.egress_proxy_url": always,
  "tools.browser.cdp_url": always,
  "tools.browser.enabled": guarded("tools.browser.enabled"),
  "tools.shell.env_keys": always,
  "tools.shell.enabled": guarded("tools.shell.enabled"),
  "tools.shell.allow": guarded("tools.shell.allow"),
  "tools.shell.deny": guarded("tools.shell.deny"),
  "tools.shell.replace_defaults": guarded("tools.shell.replace_defaults"),
  "tools.shell.allow_operators": guarded("tools.shell.allow_operators"),
  // Who hears a conversation when the person's model fails.
  "selection.fallback": guarded("selection.fallback"),
  "runtime.max_cost": guarded("runtime.max_cost"),
  "runtime.max_cost_per_day": guarded("runtime.max_cost_per_day"),
  "agents.*.system_prompt_file": (value) => isAbsolute(String(value)) || String(value).split("/").includes(".."),
  "runner.workspace_root": besideFile,
  "runner.users.*.config_path": besideFile,
  "runner.default_tier": guarded("runner.default_tier"),
  // An image is the program that is handed the keys; the reference's examples name its own.
  "runner.guest_images.*": (value) => !/^ghcr\.io\/shantanugoel\/|^(oxydra|shell)-vm:latest$/.test(String(value)),
  // Who can reach the gateway, and by which name a page may speak to it.
  "gateway.bind": (value) => toSocketAddress(String(value))?.loopback !== true,
  "gateway.public_hosts": always,
  "gateway.trusted_proxy": always,
  "gateway.plain_text_to_the_network": always,
  "gateway.tls_cert_file": always,
  "gateway.tls_key_file": always,
  "runner.web.bind": (value) => toSocketAddress(String(value))?.loopback !== true,
  "runner.web.auth_mode": guarded("runner.web.auth_mode"),
  "runner.web.auth_token_env": always,
  "runner.web.auth_token": guarded("runner.web.auth_token"),
  "user.mounts.*": outside((_source, { workspace }) => workspace),
  "user.behavior.sandbox_tier": guarded("runner.default_tier"),
  "user.credential_refs.*": always,
  "user.channels.telegram.*": always,
};

const STEPS = Object.entries(RULES).map(([pattern, widens]) => [pattern.split("."), widens] as const);

/** A path as a person writes it: `~/` is their home, anything relative starts at `base`. */
export function resolvePath(path: string, base: string, home: string | undefined): string {
  if (home !== undefined && (path === "~" || path.startsWith("~/"))) return join(home, path.slice(1));
  return resolve(base, path);
}

/** True when a path is in a folder after all links are resolved. A link to nowhere is not: where it will lead is for a stranger to say. */
export function staysWithin(realFolder: string, path: string): boolean {
  return attempt(() => isWithin(realFolder, toRealPath(path))) ?? false;
}

/** One problem for each widening key of an untrusted source, with the command that trusts its file. */
export function findWidening(source: Source, context: WideningContext): Problem[] {
  const problems: Problem[] = [];
  if (source.trusted) return problems;
  for (const [path, value] of leaves(source.tree)) {
    if (isSame(value, valueAt(context.below, path) ?? defaultOf(path))) continue;
    const widens = STEPS.find(([steps]) => matches(steps, path))?.[1];
    if (widens === undefined || !widens(value, source, context)) continue;
    problems.push(problemIn(source, path, toTrustSentence(source), "config_untrusted"));
  }
  return problems;
}

/** What to do about a key that an untrusted file set, and why. */
export function toTrustSentence(
  { place }: Pick<Source, "place">,
  why = "widens what the agent may reach, and this file is not trusted; read it",
): string {
  const file = /^[A-Za-z0-9_./-]+$/.test(place) ? place : `'${place.replaceAll("'", `'\\''`)}'`;
  return `${why}, then run: oxydra trust ${file}`;
}

/** A key below `providers.registry` that an untrusted source set, and that is in force. */
export interface Steered {
  readonly path: readonly string[];
  readonly source: Source;
  /** True when a layer beneath had another value. */
  readonly replaced: boolean;
}

/** Where untrusted sources decide how a provider is reached. */
export function findSteering(joined: Pick<JoinedLayers, "sources" | "sourceOf" | "below">): Steered[] {
  return joined.sources.filter(({ trusted }) => !trusted).flatMap((source) => {
    const registry = valueAt(source.tree, ["providers", "registry"]);
    if (!isTable(registry)) return [];
    return [...leaves(registry, ["providers", "registry"])].flatMap(([path, value]) => {
      const below = valueAt(joined.below, path);
      if (isSame(value, below) || joined.sourceOf(path) !== source) return [];
      return [{ path, source, replaced: below !== undefined }];
    });
  });
}

function defaultOf(path: readonly string[]): unknown {
  return schemaAt(Config, path)?.safeParse(undefined, PARSE_ONCE).data;
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.length === path.length && pattern.every((step, i) => step === "*" || step === path[i]);
}
