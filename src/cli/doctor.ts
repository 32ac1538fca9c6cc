import { AppError } from "#/core/error.ts";
import type { Loaded } from "#/config/load.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import { probeLocalServers } from "#/provider/local_servers.ts";
import { readEndpoint } from "#/runner/endpoint.ts";
import { toBindPlan } from "#/runner/plan_bind.ts";
import { planAll } from "#/runner/plan_all.ts";
import { describeStart } from "#/runner/describe_start.ts";
import { describeBox } from "#/runner/guest_box.ts";
import { isDescribed, planStart, type StartPlan, toBoxSettings } from "#/runner/plan_start.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import { toWantedTier } from "#/runner/plan_shell.ts";
import { planTools } from "#/runner/plan_tools.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";
import { describeRule } from "#/sandbox/policy_rule.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import type { JsonOptions } from "#/cli/main.ts";
import { findPlace, openProgram } from "#/cli/place.ts";
import { toLogPlace } from "#/cli/read_log.ts";
import { checkTiers, type TierCheck, toTierLines } from "#/cli/tier_checks.ts";
import { checkWalls } from "#/cli/wall_checks.ts";

/** One thing that was looked at. */
interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Everything that `doctor` says; `--json` prints it as it is. */
interface Report {
  readonly version: string;
  readonly deno: string;
  readonly platform: string;
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** What was tried on this machine just now; one that is missing is no trouble unless it is the one that is configured. */
  readonly tiers: readonly TierCheck[];
  readonly model: { readonly provider: string; readonly model: string; readonly reason: string } | null;
  readonly workspace: string;
  readonly gateway: string;
  readonly processes: readonly (Omit<ProcessPlan, "env"> & { readonly environment: readonly string[] })[];
  readonly policy: readonly { readonly rule: string; readonly effect: string }[];
}

/** Looks at this machine and this configuration, and says what each process would be started with. Exit 0 when all is well, else the code of the first trouble. */
export async function runDoctor(options: JsonOptions, version: string): Promise<number> {
  const { report, code } = await examine(options, version);
  console.log(options.json ? toPrintableJson(report, 2) : toPrintable(toText(report)));
  return code;
}

async function examine(options: JsonOptions, version: string): Promise<{ report: Report; code: number }> {
  const program = await openProgram();
  const place = await findPlace(options);
  const { env, loaded, user } = place;
  const checks = new Checks();
  const box = toBoxSettings(loaded.config, user.tier);
  await checks.run("tier", async () => {
    const where = box === undefined ? "" : ` (${await describeBox(box, env, new AbortController().signal)})`;
    return { text: user.tier + where, value: null };
  });
  const folders = prepareWorkspace(user, loaded, place);
  await checks.run("children die with the runner", () => {
    if (program.setprivPath === null) {
      throw new AppError("internal", "setpriv (util-linux) was not found: children end when their stdin does");
    }
    return program.setprivPath;
  }, { optional: true });
  const plan = await checks.run("model", async () => {
    const start = planStart(loaded, env, await probeLocalServers(fetch));
    const names = [start.model, ...start.fallback].map(({ provider, model }) => `${provider}/${model}`);
    return { text: names.join(", then "), value: start };
  });
  if (plan !== undefined) await checks.run("model catalog", () => toKnown(plan, loaded));
  await checks.run("event log", () => toLogPlace(loaded, folders));
  const live = readEndpoint(folders.ipc);
  const tools = planTools(loaded.config, env);
  const bind = toBindPlan(loaded.config.gateway);
  const input = { program, env, folders, port: live?.port ?? 0, hosts: plan?.hosts ?? [], tools, bind };
  const wanted = toWantedTier(loaded.config);
  for (const wall of await checkWalls(input, { ...user, ...wanted })) {
    await checks.run(wall.name, () => {
      if (!wall.ok) throw new AppError("self_test_failed", wall.detail);
      return wall.detail;
    });
  }
  const tiers = await checkTiers({ program, env, user, image: wanted.image, folders, tools });
  const boxed = box === undefined ? {} : { box: { settings: box, user: user.id, denoDir: place.denoDir } };
  const processes = planAll({ ...input, ...boxed });
  const failed = checks.list.find((check) => !check.ok);
  return {
    code: failed === undefined ? EXIT.done : checks.code,
    report: {
      version,
      deno: Deno.version.deno,
      platform: `${Deno.build.os} ${Deno.build.arch}`,
      ok: failed === undefined,
      checks: checks.list,
      tiers,
      model: plan === undefined
        ? null
        : { provider: plan.model.provider, model: plan.model.model, reason: plan.model.reason },
      workspace: folders.root,
      gateway: live === null
        ? "not running"
        : [`127.0.0.1:${live.port}`, ...(bind.about === undefined ? [] : [bind.about])].join(" and "),
      processes: processes.map(({ env, ...rest }) => ({ ...rest, environment: Object.keys(env).sort() })),
      policy: DEFAULT_POLICY.map((rule) => ({
        rule: describeRule(rule),
        effect: rule.effect,
      })),
    },
  };
}

/** Where what is known about the models comes from. */
async function toKnown(plan: StartPlan, loaded: Loaded): Promise<{ text: string; value: null }> {
  const { plan: start, notes } = isDescribed(plan, loaded) ? { plan, notes: [] } : await describeStart(plan, loaded);
  const sources = [start.model, ...start.fallback].map(({ model, descriptor }) => `${model}: ${descriptor?.source}`);
  return { text: [...sources, ...notes.map((note) => `not used: ${note}`)].join(", "), value: null };
}

/** Checks in order; a failed one is told and the next one runs. */
class Checks {
  readonly list: Check[] = [];
  code: number = EXIT.done;

  async run<T>(
    name: string,
    check: () => string | Promise<{ text: string; value: T }>,
    { optional = false } = {},
  ): Promise<T | undefined> {
    try {
      const found = await check();
      this.list.push({ name, ok: true, detail: typeof found === "string" ? found : found.text });
      return typeof found === "string" ? undefined : found.value;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.list.push({ name, ok: optional, detail: error.message });
      if (!optional && this.code === EXIT.done) this.code = toExitCode(error.code);
      return undefined;
    }
  }
}

function toText(report: Report): string {
  const lines = [
    `oxydra ${report.version} on Deno ${report.deno}, ${report.platform}`,
    `workspace  ${report.workspace}`,
    `gateway    ${report.gateway}`,
    "",
    ...report.checks.map((check) => `${check.ok ? "✓" : "✗"} ${check.name}: ${check.detail}`),
    ...(report.model === null ? [] : [`  ${report.model.reason.replaceAll("\n", "\n  ")}`]),
    "",
    "TIERS (what this machine has for a shell, a browser and a guest)",
    ...toTierLines(report.tiers),
  ];
  for (const plan of report.processes) {
    lines.push(
      "",
      plan.name.toUpperCase(),
      ...plan.reach.map((line) => `  · ${line}`),
      `  $ ${[plan.command, ...plan.args].join(" ")}`,
    );
    if (plan.name !== "runner") lines.push(`  environment: ${plan.environment.join(" ") || "none"}`);
  }
  lines.push(
    "",
    "POLICY (what is not named is denied)",
    ...report.policy.map((rule) => `  ${rule.effect.padEnd(5)} ${rule.rule}`),
  );
  return lines.join("\n");
}
