import { toFolders, type UserFolders } from "#/config/user.ts";
import type { AuditHead } from "#/core/audit.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { isRunnerLockHeld, type LockHolder, readLockHolder } from "#/runner/lock.ts";
import { checkFolders } from "#/runner/prepare.ts";
import type { Tier } from "#/sandbox/config.ts";
import { readAuditHead } from "#/cli/audit_head.ts";
import { toRow } from "#/cli/columns.ts";
import { ifReached, readHealth } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { CommonOptions, JsonOptions } from "#/cli/options.ts";
import { findPlace } from "#/cli/place.ts";
import { reportError } from "#/cli/report_error.ts";
import { toCount, toMinute } from "#/cli/wording.ts";

/** Where the text beside a label begins. */
const LABEL = 13;

/** What holds the shell or the browser, or why there is none and what would bring it. */
export type StatusPart = NonNullable<HealthStatus["tiers"]>["shell"];

/** How one user's oxydra is. `--json` prints it as it is; null is what nobody can say now. Times are integer ms UTC. */
export interface Status {
  readonly user: string;
  /** `starting`: as long as a start may take, something has the workspace and does not answer yet; later it is `not_answering`. */
  readonly state: "running" | "starting" | "not_answering" | "stopped";
  readonly tier: Tier;
  /** What holds the shell and the browser, as the runner found it: nothing is tried for this. */
  readonly shell: StatusPart | null;
  readonly browser: StatusPart | null;
  readonly workspace: string;
  /** Whoever has the workspace. */
  readonly runner: { readonly pid: number; readonly startedAt: number; readonly version: string | null } | null;
  readonly guest: { readonly pid: number; readonly up: boolean } | null;
  /** `127.0.0.1:PORT`; its token is in no answer. */
  readonly gateway: string | null;
  readonly clients: number | null;
  /** Turns that run or wait for their lane. */
  readonly turns: number | null;
  /** Guests that took the place of another since the runner started. */
  readonly restarts: number | null;
  /** What became of the last edit of the configuration; one that was refused changed nothing. */
  readonly config: HealthStatus["config"] | null;
  /** Calls that wait for an answer, or will ask again. */
  readonly waiting: number | null;
  /** As the log on disk says. */
  readonly auditHead: (AuditHead & { readonly at: number }) | null;
  /** False when the log on disk lacks what the runner wrote last. */
  readonly auditAgrees: boolean | null;
}

/**
 * Says whether this user's oxydra runs, and how it is. Makes and changes nothing. Exit 0 when it runs, 3 when it does not or not yet, 1
 * when the audit log is not what the runner wrote. Throws AppError `config_invalid`, `audit_failed`.
 */
export async function runStatus(options: JsonOptions): Promise<number> {
  const status = await readStatus(options, Date.now());
  console.log(options.json ? toPrintableJson(status, 2) : toPrintable(toStatusText(status)));
  if (status.auditAgrees === false) return EXIT.internal;
  return status.state === "running" && status.guest?.up ? EXIT.done : EXIT.notRunning;
}

/** A command line that needed no parser, from its options to its exit code. */
export async function runPlainStatus(options: JsonOptions): Promise<number> {
  try {
    return await runStatus(options);
  } catch (error) {
    return reportError(error);
  }
}

async function readStatus(options: JsonOptions, now: number): Promise<Status> {
  const { user, folders } = await findUser(options);
  const health = await ifReached(readHealth(toOwnSocket(folders)));
  const isThere = health !== undefined || isRunnerLockHeld(folders.run);
  const holder = isThere ? readLockHolder(folders.run) : null;
  // After the runner's word: the log only grows, so what was its last entry then is in it now.
  const auditHead = await readAuditHead(folders.audit);
  return {
    user: user.id,
    state: health !== undefined ? "running" : isThere ? toUnanswered(holder, now) : "stopped",
    tier: health?.sandbox_tier ?? user.tier,
    shell: health === undefined ? null : health.tiers?.shell ?? toUntold(health, health.shell_available),
    browser: health === undefined ? null : health.tiers?.browser ?? toUntold(health, health.browser_available),
    workspace: folders.root,
    runner: holder === null ? null : { ...holder, version: health?.version ?? null },
    guest: health === undefined ? null : { pid: health.runtime_pid, up: health.healthy },
    gateway: health?.gateway ?? null,
    clients: health?.clients ?? null,
    turns: health?.active_turns ?? null,
    restarts: health?.guest_restarts ?? null,
    config: health?.config ?? null,
    waiting: health?.approvals ?? await countKept(folders.run),
    auditHead,
    auditAgrees: health === undefined ? null : agrees(auditHead, health.audit_head),
  };
}

/** Calls that wait in the file. What reads it is not loaded for a runner that says it itself (10 ms). */
async function countKept(runDir: string): Promise<number | null> {
  const { peekApprovals }: typeof import("#/sandbox/approval_state.ts") = await import(
    new URL("../sandbox/approval_state.ts", import.meta.url).href
  );
  return peekApprovals(join(runDir, "approvals.json"))?.pending.length ?? null;
}

/**
 * Whose status it is, and where. While a runner lives, an edit that nobody can start with is told in its status: it is looked for where a start
 * without a configuration would have put it. Throws what is wrong with the configuration when none lives there.
 */
export async function findUser(
  options: CommonOptions,
): Promise<{ user: { id: string; tier: Tier }; folders: UserFolders }> {
  try {
    const place = await findPlace(options);
    return { user: place.user, folders: checkFolders(place.user, place.loaded, place) };
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith("config_")) throw error;
    const id = options.user ?? "default";
    const folders = toFolders(join(options.config === undefined ? ".oxydra" : options.config, "workspaces", id));
    const health = await ifReached(readHealth(toOwnSocket(folders)));
    if (health?.user_id !== id) throw error;
    return { user: { id, tier: health.sandbox_tier }, folders };
  }
}

/** A runner that says no more than clients of the reference are told. */
function toUntold({ startup_status: { degraded_reasons = [] } }: HealthStatus, available: boolean): StatusPart {
  if (available) return { available, about: "there is one", notes: [] };
  const reason = degraded_reasons.find(({ code }) => code.startsWith("sidecar_"))?.detail;
  return { available, about: "none", ...(reason === undefined ? {} : { reason }), notes: [] };
}

/** Without a holder it is just about to write itself down. */
function toUnanswered(holder: LockHolder | null, now: number): Status["state"] {
  return holder === null || now - holder.startedAt < LIMITS.guestStartMs ? "starting" : "not_answering";
}

function agrees(onDisk: AuditHead | null, written: AuditHead): boolean {
  if (onDisk === null || onDisk.seq < written.seq) return false;
  return onDisk.seq > written.seq || onDisk.sha256 === written.sha256;
}

/** What a person reads, in 80 columns but for a path. Pure. */
export function toStatusText(status: Status): string {
  const { tier, shell, browser, workspace, runner, gateway, clients, config, auditHead, auditAgrees } = status;
  const connected = clients === null ? "" : `, ${toCount(clients, "client")} connected`;
  return [
    toFirstLine(status),
    ...(runner === null ? [] : toRow("runner", LABEL, toRunner(runner))),
    ...toRows("guest", toGuest(status)),
    ...(gateway === null ? [] : toRow("gateway", LABEL, `${gateway}${connected}`)),
    ...(config === null || config.note === "" ? [] : toRows("config", toConfig(config))),
    ...toRow("tier", LABEL, tier),
    ...toPartRows("shell", shell),
    ...toPartRows("browser", browser),
    ...toRow("workspace", LABEL, workspace),
    ...toRow("waiting", LABEL, toWaiting(status)),
    ...(auditHead === null ? toRow("audit log", LABEL, "no entry yet") : [
      ...toRow("audit log", LABEL, `${toCount(auditHead.seq, "entry", "entries")}, the last ${toMinute(auditHead.at)}`),
      ...toRow("  head", LABEL, auditHead.sha256),
    ]),
    ...(auditAgrees === false
      ? toRow("", LABEL, "✗ it lacks what the runner wrote last: see `oxydra audit verify`")
      : []),
  ].join("\n");
}

function toFirstLine({ user, state }: Status): string {
  switch (state) {
    case "running":
      return `oxydra runs for ${user}`;
    case "starting":
      return `oxydra is starting for ${user}`;
    case "not_answering":
      return `oxydra does not answer for ${user}: it stops or hangs`;
    case "stopped":
      return `oxydra does not run for ${user}`;
  }
}

function toRows(label: string, text: string): string[] {
  return text === "" ? [] : toRow(label, LABEL, text);
}

function toPartRows(label: string, part: StatusPart | null): string[] {
  if (part === null) return [];
  const { available, about, reason, install, notes } = part;
  if (available) {
    return [toRow(label, LABEL, about), ...notes.map((note) => toRow("", LABEL, `· ${note}`, LABEL + 2))].flat();
  }
  return [
    ...toRow(label, LABEL, reason === undefined ? "none" : `none: ${reason}`),
    ...(install === undefined ? [] : toRow("", LABEL, `to get it: ${install}`)),
  ];
}

function toGuest({ guest, turns, restarts }: Status): string {
  if (guest === null) return "";
  const state = guest.up ? "up" : "no turn can run: it has ended, or restarts";
  const running = turns ? `, ${toCount(turns, "turn")} at work` : "";
  return `process ${guest.pid}, ${state}${running}${restarts ? `, restarted ${toCount(restarts, "time")}` : ""}`;
}

function toConfig({ state, at, note }: HealthStatus["config"]): string {
  const [first = "", ...more] = note.split("\n");
  const rest = more.length === 0 ? "" : ` (and ${toCount(more.length, "more line")})`;
  return state === "refused" ? `last edit refused (${toMinute(at)}): ${first}${rest}` : note.replaceAll("\n", "; ");
}

function toRunner({ pid, startedAt, version }: NonNullable<Status["runner"]>): string {
  return `process ${pid} since ${toMinute(startedAt)}${version === null ? "" : `, version ${version}`}`;
}

function toWaiting({ waiting, state }: Status): string {
  if (waiting === null) return "unknown: run/approvals.json is damaged";
  if (waiting === 0) return "no call";
  const calls = toCount(waiting, "call");
  return state === "running"
    ? `${calls} for your answer, see \`oxydra approvals\``
    : `${calls}, to be answered when it runs`;
}
