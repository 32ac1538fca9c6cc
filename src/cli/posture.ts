import { join } from "#/lib/path.ts";
import { AppError } from "#/core/error.ts";
import type { Tool } from "#/core/tool.ts";
import type { Loaded } from "#/config/load.ts";
import type { Origin } from "#/config/source.ts";
import type { UserFolders } from "#/config/user.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { controlPath, readEndpoint } from "#/runner/endpoint.ts";
import { openPackages, OWN_PACKAGES } from "#/runner/packages.ts";
import { readPermissions } from "#/runner/permissions.ts";
import { toBindPlan } from "#/runner/plan_bind.ts";
import { planAll } from "#/runner/plan_all.ts";
import { planStart, type StartPlan, toBoxSettings, toModelHosts } from "#/runner/plan_start.ts";
import { planTools, type ToolsPlan } from "#/runner/plan_tools.ts";
import { checkFolders } from "#/runner/prepare.ts";
import type { Environment } from "#/runner/process_plan.ts";
import { type ApprovalState, peekApprovals } from "#/sandbox/approval_state.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { toAllowedKeys } from "#/sandbox/egress_address.ts";
import { HOST_PACKAGE } from "#/sandbox/host_run.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { describeRule, type PolicyRule } from "#/sandbox/policy_rule.ts";
import { toSearchHosts } from "#/tools/search_endpoint.ts";
import { toTools } from "#/tools/registry.ts";
import { readAuditHead } from "#/cli/audit_head.ts";
import { toLogPlace } from "#/cli/read_log.ts";
import { ifReached, readHealth } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { findPlace } from "#/cli/place.ts";
import { findDegraded } from "#/cli/posture_degraded.ts";
import { answerQuestions } from "#/cli/posture_questions.ts";
import type {
  Posture,
  PostureApprovals,
  PostureLayer,
  PostureModel,
  PostureSecret,
  PostureTool,
} from "#/cli/posture_shape.ts";
import { toPostureText } from "#/cli/posture_text.ts";

/** Says what this installation can touch, from its policy and its flags. Reads files, asks the runner that lives and changes nothing; starts nothing. Exit 0. Throws AppError `config_invalid` as a start would. */
export async function runPosture(options: JsonOptions, version: string): Promise<number> {
  const posture = await readPosture(options, version);
  console.log(options.json ? toPrintableJson(posture, 2) : toPrintable(toPostureText(posture, Date.now())));
  return EXIT.done;
}

async function readPosture(options: JsonOptions, version: string): Promise<Posture> {
  const place = await findPlace(options);
  const { env, loaded, user, program } = place;
  const folders = checkFolders(user, loaded, place);
  const start = tryStart(loaded, env);
  const tools = planTools(loaded.config, env);
  const port = readEndpoint(folders.ipc)?.port ?? null;
  const hosts = start instanceof AppError ? [] : start.hosts;
  const bind = toBindPlan(loaded.config.gateway);
  const settings = toBoxSettings(loaded.config, user.tier);
  const box = settings === undefined ? {} : { box: { settings, user: user.id, denoDir: place.denoDir } };
  const plans = planAll({ program, env, folders, port: port ?? 0, hosts, tools, bind, ...box });
  const processes = plans.map(({ name, args, env }) => ({
    name,
    permissions: readPermissions(args),
    environment: Object.keys(env).sort(),
  }));
  const { packages, refused } = await openPackages(folders, env.HOME);
  const installed = packages.flatMap((one) => one.tools.map((tool) => [tool.name, tool] as const));
  const all = new Map([...toTools(tools.settings), ...installed]);
  const health = await ifReached(readHealth(controlPath(folders.ipc)));
  const policy = await openPolicy([...tools.rules, DEFAULT_POLICY]);
  const secrets = listSecrets(loaded, tools);
  const state = peekApprovals(join(folders.run, "approvals.json"));
  const listed = tools.egress.allowlist.flatMap(toAllowedKeys);
  return {
    version,
    deno: Deno.version.deno,
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    user: user.id,
    tier: user.tier,
    shell: health === undefined ? null : toHeld(health.tiers?.shell, health.shell_available),
    browser: health === undefined ? null : toHeld(health.tiers?.browser, health.browser_available),
    workspace: folders.root,
    gateway: port === null
      ? null
      : [`127.0.0.1:${port}`, ...(bind.about === undefined ? [] : [bind.about])].join(" and "),
    eventLog: toLogPlace(loaded, folders),
    questions: answerQuestions({
      user: user.id,
      policy,
      tools: all,
      secrets: secrets.filter(({ set }) => set),
      listed,
      mode: tools.egress.mode,
    }),
    mounts: listMounts(loaded, folders),
    web: { mode: tools.egress.mode, proxy: toProxyHost(tools), allowlist: listed },
    model: start instanceof AppError ? null : toModel(start.model),
    fallback: start instanceof AppError ? [] : start.fallback.map(toModel),
    secrets,
    tools: listTools(all),
    approvals: state === undefined ? null : toApprovals(state),
    policy: { digest: policy.digest, layers: listLayers(loaded, tools) },
    processes,
    auditHead: await readAuditHead(folders.audit),
    degraded: findDegraded({
      program,
      os: Deno.build.os,
      tier: user.tier,
      trouble: start instanceof AppError ? start.message : null,
      processes,
      secrets,
      isStateWhole: state !== undefined,
      rules: tools.rules.flat(),
      refused: refused.map(({ reason }) => reason),
      startup: health?.startup_status,
    }),
  };
}

function listTools(tools: ReadonlyMap<string, Tool>): PostureTool[] {
  return [...tools.values()].map(({ name, effect, run }) => {
    const of = "component" in run ? run.component : HOST_PACKAGE;
    return { name, package: of, effect, own: OWN_PACKAGES.has(of) };
  });
}

function toApprovals({ standing, pending, private: seen }: ApprovalState): PostureApprovals {
  return {
    standing: standing.map(({ answer, by, what = null, session, until }) => ({
      answer,
      by,
      what,
      ...(session === undefined ? {} : { session }),
      ...(until === undefined ? {} : { until }),
    })),
    waiting: pending.map(({ id, tool, lines, expiresAt }) => ({
      id,
      what: `${tool.name}: ${lines.join("; ")}`,
      expiresAt,
    })),
    privateSessions: seen.length,
  };
}

/** Why one is missing stands among what is degraded. */
function toHeld(part: NonNullable<HealthStatus["tiers"]>["shell"] | undefined, available: boolean): string {
  if (part === undefined) return available ? "there is one" : "none";
  return part.available ? part.about : "none";
}

/** What keeps a start from choosing a model is part of the posture, not its end. */
function tryStart(loaded: Loaded, env: Environment): StartPlan | AppError {
  try {
    return planStart(loaded, env, []);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function toModel(choice: StartPlan["model"]): PostureModel {
  const { provider, model, apiKeySource: key = null } = choice;
  return { provider, model, hosts: toModelHosts(choice), key };
}

/** Without what may stand in front of the host: a user name and a password. */
function toProxyHost({ egress }: ToolsPlan): string | null {
  return egress.proxyUrl === undefined ? null : new URL(egress.proxyUrl).host;
}

function listMounts(loaded: Loaded, folders: UserFolders): Posture["mounts"] {
  return (["shared", "tmp", "vault"] as const).map((name) => ({
    root: `/${name}`,
    path: folders[name],
    origin: originOf(loaded, `user.mounts.${name}`),
  }));
}

/** Those of the configuration, set or not, and the key of web_search. */
function listSecrets({ config }: Loaded, tools: ToolsPlan): PostureSecret[] {
  const isSet = (name: string) => tools.secrets.some((secret) => secret.name === name);
  const own = Object.entries(config.secrets).map(([name, secret]) => ({
    name,
    hosts: secret.hosts,
    private: secret.private,
    variable: secret.env,
    set: isSet(name),
  }));
  const search = config.tools.web_search;
  if (search.provider !== "google") return own;
  const hosts = [...new Set(toSearchHosts(search).map(({ host }) => host))];
  const key = { name: "web_search", hosts, private: false, variable: search.api_key_env ?? null };
  return [...own, { ...key, set: isSet("web_search") }];
}

function listLayers(loaded: Loaded, { rules: [own = [], settings = []] }: ToolsPlan): PostureLayer[] {
  return [
    { name: "yours", origin: originOf(loaded, "policy.rules"), rules: own.map(toRule) },
    { name: "settings", origin: originOf(loaded, "tools.web_search.provider"), rules: settings.map(toRule) },
    { name: "shipped", origin: { layer: "default" }, rules: DEFAULT_POLICY.map(toRule) },
  ];
}

function toRule(rule: PolicyRule): PostureLayer["rules"][number] {
  const asks = rule.answer === "relayed" ? "asks anyone" : "asks the owner";
  return {
    id: rule.id,
    effect: rule.effect === "ask" ? asks : rule.effect,
    rule: describeRule(rule),
    ...(rule.most === undefined ? {} : { most: rule.most }),
    ...(rule.reason === undefined ? {} : { reason: rule.reason }),
  };
}

function originOf({ origins }: Loaded, key: string): Origin {
  return origins.get(key) ?? { layer: "default" };
}
