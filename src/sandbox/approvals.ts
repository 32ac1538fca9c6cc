import type { AnswerClass, ApprovalAnswer, ApprovalCard, ApprovalResolution, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { uuidv7 } from "#/core/id.ts";
import { LIMITS } from "#/core/limits.ts";
import { toOneLine } from "#/lib/printable.ts";
import {
  appliesTo,
  type ApprovalState,
  readApprovals,
  type Standing,
  writeApprovals,
} from "#/sandbox/approval_state.ts";

/** What approvals stand on. */
export interface ApprovalsOptions {
  /** File that only the runner writes; `<path>.new` lies beside it. */
  readonly path: string;
  /** Integer ms UTC. */
  readonly now: () => number;
  readonly waitMs?: number;
  readonly retryMs?: number;
  /** Writes an answer down before it counts; a throw of it means that it does not count. */
  readonly record: (resolution: ApprovalResolution, card: ApprovalCard) => void;
  /** Told of each card that was answered, by a person or by silence; after it is on disk. */
  readonly onResolved: (resolution: ApprovalResolution) => void;
}

/** What a person said to a call: `yes`, `no`, or nothing yet. */
export type ApprovalFinding =
  | {
    readonly kind: "yes" | "no";
    readonly answer: ApprovalAnswer;
    readonly by: Standing["by"];
    /** Takes a `once` or a `no` away, so that it counts for one run. Throws as `writeApprovals`. */
    spend(): void;
  }
  | { readonly kind: "open"; readonly card: ApprovalCard };

/** The cards of one user that wait for a person, and the answers that stand. */
export interface Approvals {
  /**
   * Looks for an answer to this very call, which is spent when the decision that it makes is in the audit log: a crash between the two loses
   * no answer. Without one the card is kept and comes back, with the same id for the same call. Throws AppError `queue_full` with
   * `approvalsPendingMax` cards open, and as `writeApprovals`.
   */
  find(card: Omit<ApprovalCard, "id" | "askedAt" | "expiresAt">): ApprovalFinding;
  /**
   * Takes an answer. Throws AppError `approval_unknown` for a card that is not open (answered, expired, never asked), `approval_refused`
   * when only the owner may answer it, `usage` for an `until` that is not in the future, and as `writeApprovals`.
   */
  answer(given: GivenAnswer, from: AnswerClass): void;
  /** An answer to this very call is left from an earlier process, which may have spent it: the audit log says. */
  isInherited(call: Pick<ApprovalCard, "session" | "turn" | "callId">): boolean;
  readonly pending: readonly ApprovalCard[];
  /** From now on this session has seen something private. Throws AppError as `writeApprovals`; it has all the same. */
  markPrivate(session: string): void;
  isPrivate(session: string): boolean;
  /**
   * A session is deleted: its open cards are a no that nobody hears of, and no answer given in it counts for another session of its name. What it has
   * seen stays known. Throws what `record` throws, and AppError as `writeApprovals`; then all is as it was.
   */
  forget(session: string): void;
  /** No card expires any more. */
  close(): void;
}

/** Opens the approvals of one user. Throws what the file system throws. */
export function openApprovals(options: ApprovalsOptions): Approvals {
  return new StoredApprovals(options);
}

class StoredApprovals implements Approvals {
  readonly #options: ApprovalsOptions;
  readonly #isWhole: boolean;
  readonly #private: Set<string>;
  readonly #inherited: ReadonlySet<Standing>;
  #state: ApprovalState;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
    const { state, isWhole } = readApprovals(options.path);
    this.#state = state;
    this.#isWhole = isWhole;
    this.#private = new Set(state.private);
    this.#inherited = new Set(state.standing);
    this.#arm();
  }

  get pending(): readonly ApprovalCard[] {
    return this.#state.pending;
  }

  find(asked: Omit<ApprovalCard, "id" | "askedAt" | "expiresAt">): ApprovalFinding {
    const now = this.#options.now();
    const found = this.#state.standing.filter((standing) => appliesTo(standing, asked, now));
    // A no is stronger than a yes, whichever came first.
    const standing = found.find(({ answer }) => answer === "never" || answer === "no") ?? found[0];
    if (standing !== undefined) {
      const { answer, by } = standing;
      const spend = () => {
        if (answer === "once" || answer === "no") this.#save({ standing: this.#without(standing) });
      };
      return { kind: answer === "no" || answer === "never" ? "no" : "yes", answer, by, spend };
    }
    const isSame = (card: ApprovalCard) =>
      card.key === asked.key && card.session === asked.session && card.turn === asked.turn &&
      card.callId === asked.callId;
    const open = this.#state.pending.find(isSame);
    if (open !== undefined) return { kind: "open", card: open };
    if (this.#state.pending.length >= LIMITS.approvalsPendingMax) {
      throw new AppError("queue_full", `${LIMITS.approvalsPendingMax} calls wait for an approval already`);
    }
    const waitMs = this.#options.waitMs ?? LIMITS.approvalWaitMs;
    const card = { ...asked, id: uuidv7(now), askedAt: now, expiresAt: now + waitMs };
    this.#save({ pending: [...this.#state.pending, card] });
    this.#arm();
    return { kind: "open", card };
  }

  isInherited({ session, turn, callId }: Pick<ApprovalCard, "session" | "turn" | "callId">): boolean {
    return this.#state.standing.some((one) =>
      one.session === session && one.turn === turn && one.callId === callId && this.#inherited.has(one)
    );
  }

  answer({ id, answer, until }: GivenAnswer, from: AnswerClass): void {
    // One that expired may still lie there: while the disk is full, nothing that came of it can be written down.
    const card = this.#state.pending.find((open) => open.id === id && open.expiresAt > this.#options.now());
    if (card === undefined) throw new AppError("approval_unknown", "There is no open approval of that id");
    if (card.answer === "owner" && from !== "owner") {
      throw new AppError("approval_refused", "Only the owner may answer this, in a terminal on this machine");
    }
    if ((answer === "until") !== (until !== undefined) || (until !== undefined && until <= this.#options.now())) {
      throw new AppError("usage", "An approval until a time needs a time that is still to come");
    }
    this.#resolve(card, answer, from, until);
  }

  markPrivate(session: string): void {
    if (this.#private.has(session) || this.#private.size >= LIMITS.privateSessionsMax) return;
    this.#private.add(session);
    this.#save({ private: [...this.#private] });
  }

  isPrivate(session: string): boolean {
    return !this.#isWhole || this.#private.has(session) || this.#private.size >= LIMITS.privateSessionsMax;
  }

  forget(session: string): void {
    const isOther = (one: { readonly session?: string }) => one.session !== session;
    const { pending, standing } = this.#state;
    for (const card of pending) if (!isOther(card)) this.#options.record(toResolution(card, "no", "silence"), card);
    const kept = { pending: pending.filter(isOther), standing: standing.filter(isOther) };
    if (kept.pending.length < pending.length || kept.standing.length < standing.length) this.#save(kept);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #resolve(card: ApprovalCard, answer: ApprovalAnswer, by: Standing["by"], until?: number): void {
    const { key, session, turn, callId } = card;
    const where = answer === "once" || answer === "no"
      ? { session, turn, callId }
      : answer === "session"
      ? { session }
      : {};
    const resolution = toResolution(card, answer, by);
    this.#options.record(resolution, card);
    const what = toOneLine(`${card.tool.name}: ${card.lines.join("; ")}`, LIMITS.approvalTextCharsMax);
    const to = until === undefined ? {} : { until };
    const standing = { key, answer, by, ...where, ...to, what, at: this.#options.now() };
    // A second answer to equal calls takes the place of the first.
    const others = this.#state.standing.filter((other) => !appliesTo(other, card, standing.at));
    this.#save({
      pending: this.#state.pending.filter((open) => open !== card),
      standing: [...others, standing].slice(-LIMITS.approvalsKeptMax),
    });
    this.#options.onResolved(resolution);
  }

  #without(standing: Standing): Standing[] {
    return this.#state.standing.filter((other) => other !== standing);
  }

  /** On disk first: what cannot be remembered does not happen. */
  #save(change: Partial<ApprovalState>): void {
    const state = { ...this.#state, ...change };
    writeApprovals(this.#options.path, state);
    this.#state = state;
  }

  /** Silence is a no. One timer, for the card that expires first, and not before `waitMsMin`. */
  #arm(waitMsMin = 0): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || this.#state.pending.length === 0) return;
    const next = Math.min(...this.#state.pending.map((card) => card.expiresAt)) - this.#options.now();
    this.#timer = setTimeout(() => this.#expire(), Math.max(waitMsMin, next));
  }

  #expire(): void {
    const now = this.#options.now();
    try {
      for (const card of this.#state.pending) if (card.expiresAt <= now) this.#resolve(card, "no", "silence");
      this.#arm();
    } catch (error) {
      // A full disk must not end the runner from a timer. Nobody can say yes any more; the no is written down when there is room.
      if (!(error instanceof AppError)) throw error;
      this.#arm(this.#options.retryMs ?? LIMITS.approvalRetryMs);
    }
  }
}

function toResolution(
  { id, session, turn, callId }: ApprovalCard,
  answer: ApprovalAnswer,
  by: Standing["by"],
): ApprovalResolution {
  return { id, session, turn, callId, answer, by };
}
