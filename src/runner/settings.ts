import type { Bootstrap } from "#/app/bootstrap.ts";
import type { UserFolders } from "#/config/user.ts";
import { Secret } from "#/lib/secret.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";

/** What a guest is told that the configuration decides. */
export type Told = Omit<
  Bootstrap,
  "v" | "node" | "startToken" | "internalDir" | "port" | "user" | "offered" | "tokens" | "listen"
>;

/** What a configuration makes of a runner that lives. */
export interface RunnerSettings {
  readonly told: Told;
  /** `host:port` of the model endpoint and of channels. */
  readonly hosts: readonly string[];
  /** What the person set about tools. */
  readonly tools: ToolsPlan;
  readonly folders: UserFolders;
}

/** How two settings differ. */
export interface SettingsChange {
  /** The guest gets another bootstrap, or other flags. */
  readonly guest: boolean;
  /** Tools get another policy, other settings, secrets, roots, or walls to try. */
  readonly tools: boolean;
  /** What differs, in words for the log: names, and no value but that of a model. */
  readonly what: readonly string[];
}

/** Parts that the guest is not told of. */
const OF_TOOLS: ReadonlySet<string> = new Set(["policy", "tools", "mounts"]);
const ROOTS = ["shared", "tmp", "vault"] as const;

/** Compares settings of the same user and workspace. Pure. */
export function compareSettings(before: RunnerSettings, after: RunnerSettings): SettingsChange {
  const isChanged = (pick: (settings: RunnerSettings) => unknown) => toKey(pick(before)) !== toKey(pick(after));
  const { provider, model } = after.told.model;
  const isModel = isChanged(({ told }) => [told.model.provider, told.model.model]);
  const parts: Record<string, boolean> = {
    [`model ${provider}/${model}`]: isModel,
    "how the model is reached": !isModel && isChanged(({ told }) => ({ ...told.model, reason: 0 })),
    fallback: isChanged(({ told }) => told.fallback?.map((one) => ({ ...one, reason: 0 })) ?? []),
    limits: isChanged(({ told }) => told.settings),
    store: isChanged(({ told }) => told.store),
    timezone: isChanged(({ told }) => ({ ...told, model: 0, fallback: 0, settings: 0, store: 0 })),
    hosts: isChanged(({ hosts }) => hosts),
    policy: isChanged(({ tools }) => tools.rules),
    tools: isChanged(({ tools }) => ({ ...tools, rules: 0 })),
    mounts: isChanged(({ folders }) => ROOTS.map((name) => folders[name])),
  };
  const what = Object.entries(parts).filter(([, changed]) => changed).map(([name]) => name);
  return {
    what,
    guest: what.some((name) => !OF_TOOLS.has(name)),
    // The walls of the guest are tried by the tool host, and its hosts are among them.
    tools: what.some((name) => OF_TOOLS.has(name) || name === "hosts"),
  };
}

/** Equal values have equal keys. A key may hold secrets, so it goes nowhere. */
function toKey(value: unknown): string {
  if (value instanceof Secret) return toKey(value.reveal());
  if (value instanceof Map) return toKey([...value]);
  if (Array.isArray(value)) return `[${value.map(toKey).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.toSorted().map(([name, member]) => `${JSON.stringify(name)}:${toKey(member)}`).join()}}`;
}
