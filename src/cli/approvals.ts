import { join } from "#/lib/path.ts";
import type { ApprovalAnswer, ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { UserFolders } from "#/config/user.ts";
import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { checkFolders } from "#/runner/prepare.ts";
import { peekApprovals } from "#/sandbox/approval_state.ts";
import { toCardLines } from "#/cli/approval_prompt.ts";
import { answerApproval, ifReached, readApprovals } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { CommonOptions, JsonOptions } from "#/cli/main.ts";
import { findPlace } from "#/cli/place.ts";
import { toShortId } from "#/cli/sessions_text.ts";
import { toCount } from "#/cli/wording.ts";

/**
 * The least of an id that may stand for it: its time to the millisecond (RFC 9562 §5.7). With less, a call that asks after the person
 * looked could take the place of the one that they saw.
 */
const PREFIX_CHARS_MIN = 13;
const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Shows the calls that wait for an answer; without a runner those that will ask again when one starts. Exit 0. */
export async function runApprovalsList(options: JsonOptions): Promise<number> {
  const folders = await findPlaces(options);
  const live = await ifReached(readApprovals(toOwnSocket(folders)));
  const waiting = live ?? peekApprovals(join(folders.run, "approvals.json"))?.pending ?? [];
  if (options.json) {
    console.log(toPrintableJson({ live: live !== undefined, approvals: waiting }, 2));
    return EXIT.done;
  }
  const none = live === undefined
    ? "no oxydra runs in this workspace, and no call waits"
    : "no call waits for an answer";
  console.log(waiting.length === 0 ? none : toText(waiting, live !== undefined, Date.now()));
  return EXIT.done;
}

/**
 * Answers one call as the owner. Throws AppError `gateway_unreachable` without a runner, `approval_unknown` for an id that no open
 * call has, `usage` for one that could mean several and for a time that cannot be read.
 */
export async function runApprovalsAnswer(
  id: string,
  answer: ApprovalAnswer,
  options: CommonOptions & { readonly until?: string },
): Promise<number> {
  const given = toGiven(answer, options.until, Date.now());
  const folders = await findPlaces(options);
  const waiting = await ifReached(readApprovals(toOwnSocket(folders)));
  if (waiting === undefined) {
    const reason = "no oxydra runs in this workspace, so nobody can take an answer; start one first";
    throw new AppError("gateway_unreachable", reason);
  }
  const card = findCard(waiting, id);
  await answerApproval(toOwnSocket(folders), { ...given, id: card.id });
  console.log(toOneLine(`answered ${answer}: ${card.tool.name}, ${card.lines.join("; ")}`, 2_000));
  return EXIT.done;
}

/** Nothing is made, and no link leads to another workspace's runner. */
async function findPlaces(options: CommonOptions): Promise<UserFolders> {
  const place = await findPlace(options);
  return checkFolders(place.user, place.loaded, place);
}

/** The one open call that the text means. Throws AppError `approval_unknown`, `usage`. Pure. */
export function findCard(waiting: readonly ApprovalCard[], text: string): ApprovalCard {
  const exact = waiting.find(({ id }) => id === text);
  if (exact !== undefined) return exact;
  if (text.length < PREFIX_CHARS_MIN) {
    const reason = `an id needs its first ${PREFIX_CHARS_MIN} characters, as \`oxydra approvals\` shows them`;
    throw new AppError("usage", reason);
  }
  const found = waiting.filter(({ id }) => id.startsWith(text));
  if (found.length > 1) throw new AppError("usage", `${found.length} calls have an id that begins so; give more of it`);
  if (found[0] !== undefined) return found[0];
  const open = waiting.length === 0 ? "no call waits" : `${waiting.length} others wait`;
  throw new AppError("approval_unknown", `no open call has this id: it was answered, or its time is over; ${open}`);
}

/** The start of each id that means it and no other of them, and no later one. Pure. */
export function toPrefixes(ids: readonly string[]): readonly string[] {
  return ids.map((id) => toShortId(id, ids, PREFIX_CHARS_MIN));
}

/** An answer without its id. `now` in ms UTC. Throws AppError `usage`. Pure. */
export function toGiven(answer: ApprovalAnswer, until: string | undefined, now: number): Omit<GivenAnswer, "id"> {
  if (answer !== "until") {
    if (until === undefined) return { answer };
    throw new AppError("usage", `--until goes with the answer \`until\`, not with \`${answer}\``);
  }
  if (until === undefined) throw new AppError("usage", "`until` needs a time: --until 8h, or --until 2030-01-31T18:00");
  const time = toTime(until, now);
  if (time === undefined) {
    throw new AppError("usage", "--until: a time such as 90m, 8h, 2d or 2030-01-31T18:00 (of this machine's clock)");
  }
  if (time <= now) throw new AppError("usage", "--until: this time is over already");
  return { answer, until: time };
}

function toTime(text: string, now: number): number | undefined {
  const span = /^([1-9]\d{0,3})([mhd])$/.exec(text);
  if (span !== null) return now + Number(span[1]) * UNITS[span[2]!]!;
  // A date alone would be midnight in London, with a time it is the clock on this wall (ECMA-262 §21.4.1.32).
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function toText(waiting: readonly ApprovalCard[], isLive: boolean, now: number): string {
  const count = `${toCount(waiting.length, "call waits", "calls wait")} for an answer`;
  const prefixes = toPrefixes(waiting.map(({ id }) => id));
  const cards = waiting.map((card, i) => {
    const [first, ...rest] = toCardLines(card, now);
    const who = card.answer === "owner"
      ? "only you, the owner, can answer"
      : "whoever watches the session can answer, too";
    const from = toOneLine(`session ${card.session}, agent ${card.principal.agent.join(" › ")}; ${who}`, 400);
    return [toOneLine(prefixes[i]!, 100), `  ${first}`, ...rest.map((line) => `  ${line}`), `    ${from}`].join("\n");
  });
  const last = isLive
    ? "oxydra approvals answer ID once|session|until|no|never"
    : "no oxydra runs in this workspace; they can be answered when one does";
  return [count, "", cards.join("\n\n"), "", last].join("\n");
}
