import { AppError } from "#/core/error.ts";
import type { GuestSettings, ModelChoice } from "#/app/bootstrap.ts";
import { credentialFor } from "#/config/credential.ts";
import type { Loaded } from "#/config/load.ts";
import type { Config } from "#/config/schema.ts";
import { type RemoteStore, toRemoteStore } from "#/memory/config.ts";
import { isProtocol, toHost } from "#/provider/base_url.ts";
import type { Fallback } from "#/provider/config.ts";
import type { BoxSettings } from "#/runner/plan_box.ts";
import type { Environment } from "#/runner/process_plan.ts";
import type { Tier } from "#/sandbox/config.ts";
import type { LocalServer } from "#/provider/local_servers.ts";
import { toDemoDescriptor, toPromptTokens } from "#/provider/descriptor.ts";
import { type Selected, selectProvider } from "#/provider/select.ts";

/** What a configuration makes of one start. */
export interface StartPlan {
  readonly model: ModelChoice;
  /** Who answers when `model` cannot, in this order. */
  readonly fallback: readonly ModelChoice[];
  readonly settings: GuestSettings;
  /** `host:port` that the guest may connect to. */
  readonly hosts: readonly string[];
  readonly timezone: string;
  /** The remote store of the event log. */
  readonly store?: RemoteStore;
}

/**
 * Chooses the models and turns the configuration into what a guest gets. Pure. Throws AppError `config_invalid` for a selection that
 * cannot be served, `config_untrusted` when a cloned folder would send a person's key to its own host; both hold for a fallback as well.
 */
export function planStart(loaded: Loaded, env: Environment, localServers: readonly LocalServer[]): StartPlan {
  const { config } = loaded;
  const selected = selectProvider({
    selection: config.selection,
    registry: config.providers.registry,
    env,
    localServers,
  });
  const chosen = toModelChoice(loaded, selected, env);
  const fallback = toFallback(loaded, selected, env);
  const names = fallback.map(({ provider, model }) => `${provider}/${model}`).join(", then ");
  const store = toRemoteStore(config.memory);
  const reason = names === "" ? chosen.reason : `${chosen.reason}\nWhen it cannot answer: ${names}.`;
  return {
    model: { ...chosen, reason },
    fallback,
    settings: toSettings(loaded, chosen),
    hosts: [...new Set([...[chosen, ...fallback].flatMap(toModelHosts), ...(store ? [store.address.host] : [])])],
    timezone: config.user.behavior.timezone,
    ...(store === undefined ? {} : { store }),
  };
}

/** `host:port` of a model; none for the demo. Pure. */
export function toModelHosts({ type, baseUrl }: ModelChoice): string[] {
  return isProtocol(type) ? [toHost(baseUrl, type)] : [];
}

/** The demo cannot fail, and needs nobody's network; an entry that is the chosen one already, as by `--model`, is left out. */
function toFallback(loaded: Loaded, chosen: Selected, env: Environment): ModelChoice[] {
  const { selection, providers: { registry } } = loaded.config;
  if (chosen.type === "demo") return [];
  const others = (selection.fallback ?? []).filter(({ provider, model }) =>
    provider !== chosen.provider || model !== chosen.model
  );
  return others.map((one) => {
    const maxOutputTokens = registry[one.provider]?.max_output_tokens;
    const choice = toModelChoice(loaded, selectFallback(one, registry, env), env);
    return { ...choice, ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }) };
  });
}

function selectFallback(
  selection: Fallback,
  registry: Loaded["config"]["providers"]["registry"],
  env: Environment,
): Selected {
  try {
    return selectProvider({ selection, registry, env, localServers: [] });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(error.code, `selection.fallback: ${error.message}`);
  }
}

/** True for the demo, which no catalog has to be read for, and no agent that wants another model. */
export function isDescribed(plan: StartPlan, { config }: Loaded): boolean {
  return plan.model.descriptor !== undefined && Object.values(config.agents).every((agent) => !agent.selection);
}

/** What a tier means to the guest: nothing for a process of its own, else its container. Pure. */
export function toBoxSettings({ runner, user }: Config, tier: Tier): BoxSettings | undefined {
  if (tier === "process") return undefined;
  const { max_vcpus: cpusMax, max_memory_mib: memoryMibMax, max_processes: processesMax } = user.resources;
  return {
    tier,
    image: runner.guest_images.oxydra_vm,
    ...(cpusMax === undefined ? {} : { cpusMax }),
    ...(memoryMibMax === undefined ? {} : { memoryMibMax }),
    ...(processesMax === undefined ? {} : { processesMax }),
  };
}

function toModelChoice(loaded: Loaded, selected: Selected, env: Environment): ModelChoice {
  const entry = loaded.config.providers.registry[selected.provider];
  const credential = entry === undefined || selected.type === "demo"
    ? undefined
    : credentialFor(loaded, selected.provider, env);
  const headers = Object.entries(entry?.extra_headers ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value.reveal()]]
  );
  return {
    provider: selected.provider,
    type: selected.type,
    model: selected.model,
    ...(selected.type === "demo" ? { descriptor: toDemoDescriptor(selected.model, contextOf(loaded)) } : {}),
    ...(selected.baseUrl === undefined ? {} : { baseUrl: selected.baseUrl }),
    ...(credential === undefined ? {} : { apiKey: credential.key.reveal(), apiKeySource: credential.source }),
    extraHeaders: selected.type === "demo" ? {} : Object.fromEntries(headers),
    reason: [selected.reason, selected.hint].filter((part) => part !== undefined).join("\n"),
  };
}

function toSettings(loaded: Loaded, model: ModelChoice): GuestSettings {
  const { config } = loaded;
  const { runtime, reliability, gateway } = config;
  const entry = config.providers.registry[model.provider];
  return {
    turnsMax: runtime.max_turns,
    turnTimeoutMs: runtime.turn_timeout_secs * 1_000,
    ...(runtime.max_cost === undefined ? {} : { costMax: runtime.max_cost }),
    ...(runtime.max_cost_per_day === undefined ? {} : { costPerDayMax: runtime.max_cost_per_day }),
    contextTokensMax: model.descriptor === undefined ? contextOf(loaded) : toPromptTokens(model.descriptor),
    safetyBufferTokens: runtime.context_budget.safety_buffer_tokens,
    summary: {
      triggerRatio: runtime.context_budget.trigger_ratio,
      targetRatio: runtime.summarization.target_ratio,
      minTurns: runtime.summarization.min_turns,
    },
    ...(entry?.max_output_tokens === undefined ? {} : { maxOutputTokens: entry.max_output_tokens }),
    ...(config.selection.reasoning_effort === undefined ? {} : { reasoning: config.selection.reasoning_effort }),
    attemptsMax: reliability.max_attempts,
    backoffBaseMs: reliability.backoff_base_ms,
    backoffMaxMs: reliability.backoff_max_ms,
    jitter: reliability.jitter,
    ...(reliability.attempt_timeout_secs === undefined
      ? {}
      : { attemptTimeoutMs: reliability.attempt_timeout_secs * 1_000 }),
    cooldownMs: reliability.cooldown_secs * 1_000,
    concurrentTurnsMax: gateway.max_concurrent_turns_per_user,
    sessionsMax: gateway.max_sessions_per_user,
    sessionIdleMs: gateway.session_idle_ttl_hours * 3_600_000,
  };
}

function contextOf({ config }: Loaded): number {
  return config.runtime.context_budget.fallback_max_context_tokens;
}
