import { AppError } from "#/core/error.ts";
import { nearestName } from "#/lib/nearest.ts";
import { Secret } from "#/lib/secret.ts";
import { normalizeBaseUrl } from "#/provider/base_url.ts";
import type { ProviderEntry } from "#/provider/config.ts";
import { ProviderType } from "#/provider/type.ts";
import type { LocalServer } from "#/provider/local_servers.ts";

/** The fields of a registry entry that a choice depends on. */
export type SelectableEntry = Pick<ProviderEntry, "provider_type" | "base_url" | "api_key" | "api_key_env">;

/** Everything that a choice depends on. */
export interface SelectInput {
  readonly selection?: { readonly provider?: string | undefined; readonly model?: string | undefined } | undefined;
  readonly registry: Readonly<Record<string, SelectableEntry>>;
  /** Environment variables that the caller read; see `CREDENTIAL_ENV` and each entry's `api_key_env`. */
  readonly env: Readonly<Record<string, string>>;
  readonly localServers: readonly LocalServer[];
}

/** Which model answers, and why. */
export interface Selected {
  readonly kind: "configured" | "environment" | "demo";
  /** Name of the registry entry. */
  readonly provider: string;
  readonly type: ProviderType;
  readonly model: string;
  /** Normalized; absent means the vendor's own endpoint. */
  readonly baseUrl?: string;
  readonly apiKey?: Secret;
  /** Name of the setting or variable that the key came from. */
  readonly apiKeySource?: string;
  /** Why this one, in a sentence for the person. */
  readonly reason: string;
  /** What the person could do to get a better one. */
  readonly hint?: string;
}

/** Keys by vendor, in the order in which they are looked for, each with a small model that has tools and is served without conditions. */
const VENDORS: readonly { readonly type: ProviderType; readonly env: string; readonly model: string }[] = [
  { type: "openai", env: "OPENAI_API_KEY", model: "gpt-4.1-mini" },
  { type: "anthropic", env: "ANTHROPIC_API_KEY", model: "claude-haiku-4-5" },
  { type: "gemini", env: "GEMINI_API_KEY", model: "gemini-2.5-flash" },
];

/** Environment variables that may hold a key, besides each entry's own `api_key_env`. */
export const CREDENTIAL_ENV: readonly string[] = [...VENDORS.map((vendor) => vendor.env), "API_KEY"];

/**
 * Chooses the model: a configured selection, else a key in the environment, else the demo. Pure. Throws AppError `config_invalid` when a
 * selection cannot be served; it never falls back silently to another one.
 */
export function selectProvider(input: SelectInput): Selected {
  const { selection, env } = input;
  if (selection?.provider !== undefined || selection?.model !== undefined) return selectConfigured(input);
  const vendor = VENDORS.find((vendor) => isSet(env[vendor.env]));
  return vendor ? selectFromEnvironment(vendor.type, vendor.model, input) : selectDemo(input.localServers);
}

/**
 * The key of one entry (SPEC §1): its `api_key`, its `api_key_env`, its vendor's variable, `API_KEY`; the first that is not empty, with
 * the name of where it came from. Pure. Throws AppError `config_invalid` for a key that cannot be in an HTTP header; never shows it.
 */
export function findApiKey(
  name: string,
  entry: SelectableEntry,
  env: Readonly<Record<string, string>>,
): { readonly key: Secret; readonly source: string } | undefined {
  const written = entry.api_key?.reveal() ?? "";
  if (isSet(written)) return checkKey(written, `providers.registry.${name}.api_key`);
  for (const variable of [entry.api_key_env, vendorOf(entry.provider_type)?.env, "API_KEY"]) {
    const value = variable === undefined ? undefined : env[variable];
    if (variable !== undefined && isSet(value)) return checkKey(value, variable);
  }
  return undefined;
}

/**
 * `provider/model` as `--model` takes it; the model may hold slashes itself. `demo` alone is the demo. Pure. Throws AppError `usage`.
 */
export function parseModelFlag(text: string): { readonly provider: string; readonly model: string } {
  if (text === "demo") return { provider: "demo", model: "demo" };
  const slash = text.indexOf("/");
  const [provider, model] = [text.slice(0, slash), text.slice(slash + 1)];
  if (slash < 1 || model.trim() === "" || /\s/.test(provider)) {
    throw new AppError("usage", `--model wants provider/model, like openai/${VENDORS[0]!.model}, not "${text}"`);
  }
  return { provider, model };
}

function selectConfigured({ selection, registry, env }: SelectInput): Selected {
  const provider = selection?.provider ?? "openai";
  const entry = Object.hasOwn(registry, provider) ? registry[provider] : builtIn(provider);
  if (!entry) {
    const near = nearestName(provider, [...Object.keys(registry), "demo"]);
    const meant = near === undefined ? "" : `; did you mean "${near}"?`;
    throw new AppError("config_invalid", `selection.provider "${provider}" is not in providers.registry${meant}`);
  }
  const type = entry.provider_type;
  if (type === "demo") {
    const reason = `The configuration selects the demo.`;
    return { kind: "configured", provider, type, model: selection?.model ?? "demo", reason, hint: KEY_HINT };
  }
  const model = selection?.model ?? (entry.base_url === undefined ? vendorOf(type)?.model : undefined);
  if (model === undefined) {
    throw new AppError("config_invalid", `selection.model is missing for provider "${provider}"`);
  }
  const found = findApiKey(provider, entry, env);
  // Other servers may want no key; a vendor always does.
  if (!found && entry.base_url === undefined) {
    const wanted = entry.api_key_env ?? vendorOf(type)?.env;
    const message =
      `provider "${provider}" has no API key: export ${wanted}=…, or set providers.registry.${provider}.api_key`;
    throw new AppError("config_invalid", message);
  }
  const withKey = found ? ` with the key from ${found.source}` : " without a key";
  return {
    kind: "configured",
    provider,
    type,
    model,
    ...(entry.base_url === undefined ? {} : { baseUrl: normalizeBaseUrl(entry.base_url, type) }),
    ...(found ? { apiKey: found.key, apiKeySource: found.source } : {}),
    reason: `The configuration selects ${provider}/${model}${withKey}.`,
  };
}

function selectFromEnvironment(type: ProviderType, model: string, { registry, env }: SelectInput): Selected {
  const provider = type;
  const entry = Object.hasOwn(registry, provider) ? registry[provider]! : builtIn(provider)!;
  const configured = selectConfigured({
    selection: { provider, model },
    registry: { [provider]: entry },
    env,
    localServers: [],
  });
  const source = configured.apiKeySource ?? "no key";
  const reason = `No model is configured; ${source} is set, so ${provider}/${model} answers.`;
  return { ...configured, kind: "environment", reason, hint: "Choose another with --model provider/model." };
}

const KEYS = VENDORS.map(({ env }) => env);
const KEY_HINT = `For a real model: oxydra setup, or export ${KEYS.join(" or ")}`;

function selectDemo(localServers: readonly LocalServer[]): Selected {
  const reasons = ["No model is configured and no key is in the environment, so the demo answers."];
  const hints = [KEY_HINT];
  for (const server of localServers) {
    reasons.push(
      `${server.label} or something like it answers at ${server.baseUrl}; it was asked for its models only.`,
    );
    hints.push(`To use ${server.models[0]}: ${toCommand(server)}`);
  }
  const demo = { kind: "demo", provider: "demo", type: "demo", model: "demo" } as const;
  return { ...demo, reason: reasons.join(" "), hint: hints.join("\n") };
}

/** Settings in the environment, so that the command works without a file. */
function toCommand(server: LocalServer): string {
  const settings = [
    "OXYDRA__PROVIDERS__REGISTRY__LOCAL__PROVIDER_TYPE=openai",
    `OXYDRA__PROVIDERS__REGISTRY__LOCAL__BASE_URL=${server.baseUrl}`,
  ];
  return `${settings.join(" ")} deno run -A mod.ts run --model local/${server.models[0]} "…"`;
}

function builtIn(provider: string): SelectableEntry | undefined {
  const type = ProviderType.safeParse(provider);
  return type.success ? { provider_type: type.data } : undefined;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== "";
}

function checkKey(value: string, source: string): { key: Secret; source: string } {
  const key = value.trim();
  // Printable ASCII is what an Authorization header can carry; a newline would start a header of its own.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    const message = `${source} holds a blank, a line break or another character that no API key has`;
    throw new AppError("config_invalid", message);
  }
  return { key: new Secret(key), source };
}

/** The variable that a vendor's key is usually in, and a small model of it that serves everybody; undefined for the demo. Both of OpenAI's protocols are one vendor's. */
export function vendorOf(type: ProviderType): { readonly env: string; readonly model: string } | undefined {
  return VENDORS.find((vendor) => vendor.type === type || `${vendor.type}_responses` === type);
}
