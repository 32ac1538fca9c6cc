import { addUsage } from "#/core/cost.ts";
import type { Outcome } from "#/core/capability.ts";
import type { NewEvent, Progress, TurnEvent } from "#/core/event.ts";
import type { Usage } from "#/core/message.ts";
import { addSteering, type HistoryMessage } from "#/turn/history.ts";
import { toTokens } from "#/turn/budget.ts";
import type { Summary } from "#/turn/notes.ts";
import { CallStreak } from "#/turn/streak.ts";

/** What a turn has said, done and used so far. */
export class TurnState {
  /** Model calls begun. */
  steps = 0;
  /** Tool calls that reached the runner. */
  toolCalls = 0;
  /** Of these, refused by policy. */
  denied = 0;
  usage: Usage = {};
  tokens = 0;
  /** In US dollars; undefined as soon as the price of one call is not known. */
  cost: number | undefined = 0;
  /** The audit log's newest entry that a call of this turn brought back. */
  auditHead: Outcome["auditHead"];
  /** The last text that the person saw. */
  shownText = "";
  /** The last reply had neither text nor calls. */
  wasEmpty = false;
  /** Stands for what was said before the history. */
  summary: Summary | undefined;
  /** A summary was tried in this turn: one that failed is tried again in the next. */
  wasSummarised = false;
  readonly streak = new CallStreak();
  /** Of all replies. */
  readonly callIds = new Set<string>();
  readonly stepsMax: number;
  #history: HistoryMessage[];
  #lastSeq: number;

  /** `lastSeq` is the place of the session's newest event; the ones of this turn follow it without a gap. */
  constructor(history: readonly HistoryMessage[], lastSeq: number, stepsMax: number) {
    this.#history = [...history];
    this.#lastSeq = lastSeq;
    this.stepsMax = stepsMax;
  }

  /** The history with what this turn added. */
  get history(): readonly HistoryMessage[] {
    return this.#history;
  }

  /** Counts a durable event that is about to be yielded: the log numbers a session's events without gaps, and one turn runs at a time. */
  stamp(event: NewEvent): NewEvent {
    this.#lastSeq++;
    return event;
  }

  /** Adds the message of the event that was stamped last. */
  remember(message: HistoryMessage["message"]): void {
    this.#history.push({ seq: this.#lastSeq, message });
  }

  /** Adds what a person said meanwhile, by the event that was stamped last. */
  steer(text: string): void {
    addSteering(this.#history, this.#lastSeq, text);
  }

  /** Puts a summary in the place of what it stands for. */
  adopt(summary: Summary): void {
    this.summary = summary;
    this.#history = this.#history.filter(({ seq }) => seq > summary.toSeq);
  }

  /** Adds what one model call used; `estimate` counts, in tokens, when the vendor did not say. */
  spend(usage: Usage, estimate: number, cost: number | undefined): void {
    this.usage = addUsage(this.usage, usage);
    this.tokens += toTokens(usage, estimate);
    this.cost = this.cost === undefined || cost === undefined ? undefined : this.cost + cost;
  }

  /** Reads of one batch come back in any order. */
  sawAudit(head: Outcome["auditHead"]): void {
    if (head !== undefined && head.seq > (this.auditHead?.seq ?? 0)) this.auditHead = head;
  }

  /** A progress event of the current step or of another one, its text as the reference writes it: `[2/8] Executing tools: file_read`. */
  progress(progress: Progress, text: string, step: number = this.steps): TurnEvent {
    const { stepsMax } = this;
    return { type: "progress", payload: { progress, message: `[${step}/${stepsMax}] ${text}`, step, stepsMax } };
  }
}
