import { isStored, isTurnEnd, type SessionEvent, type StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";

/**
 * One turn as its client shows it, over connections that break: every recorded event once and in order, and the text of each step once. After a
 * reconnect the gateway tells again what is recorded, between what happens meanwhile; what comes too early is kept until its place has come.
 */
export class TurnFeed {
  /** Place of the last recorded event that was shown; 0 before the first. */
  #last = 0;
  #held: SessionEvent[] = [];
  #mayLack = false;
  /** All that is recorded is being told again, in order, up to the end. */
  #isReplay = false;
  #step = new StepText();

  /** The connection broke and there is another one: some events may come again, and others may have been missed. */
  reconnected(): void {
    this.#mayLack = true;
    this.#isReplay = false;
    this.#step.cut();
  }

  /** Takes an event as it came; returns what can be shown now. */
  take(event: SessionEvent): readonly SessionEvent[] {
    if (this.#mayLack && isStored(event) && event.seq > 0 && event.seq <= this.#last) return [];
    if (!this.#isNext(event)) {
      // More than that is no turn of ours: its end is told again in any case.
      if (this.#held.length < LIMITS.clientFramesMax || isTurnEnd(event)) this.#held.push(event);
      return [];
    }
    return [...this.#show(event), ...this.#release()];
  }

  /** Its end has come, and something before it has not: all of it has to be told again. */
  get lacksSome(): boolean {
    return this.#held.some(isTurnEnd);
  }

  /** From now on everything is told again, from the first event to the end; what is kept is in it. */
  expectReplay(): void {
    this.#held = [];
    this.#isReplay = true;
    this.#step.cut();
  }

  /** What is kept, in its order: nobody can tell what lies between. */
  flush(): readonly SessionEvent[] {
    const places = this.#held.filter(isStored).toSorted((left, right) => left.seq - right.seq);
    this.#held = [];
    this.#mayLack = false;
    return places.flatMap((event) => this.take(event));
  }

  #isNext(event: SessionEvent): boolean {
    if (!this.#mayLack || this.#isReplay) return true;
    if (!isStored(event)) return this.#held.length === 0 && this.#last > 0;
    // An end that could not be recorded has no place.
    if (event.seq === 0) return true;
    return this.#last === 0 ? event.type === "user_message" : event.seq === this.#last + 1;
  }

  #show(event: SessionEvent): SessionEvent[] {
    if (event.type === "text_delta") return toDeltas(this.#step.add(event.payload.text));
    if (!isStored(event)) return [event];
    this.#last = Math.max(this.#last, event.seq);
    if (event.type !== "model_result") return [event];
    // A summary is said to nobody.
    if (event.payload.purpose !== undefined) return [event];
    const rest = this.#mayLack ? this.#step.finish(textOf(event)) : "";
    this.#step = new StepText();
    return [...toDeltas(rest), event];
  }

  #release(): SessionEvent[] {
    const shown: SessionEvent[] = [];
    for (;;) {
      const at = this.#held.findIndex((event) => isStored(event) && event.seq === this.#last + 1);
      if (at === -1) break;
      // Live events before it belong to what is recorded by now.
      const [event] = this.#held.splice(0, at + 1).slice(-1);
      shown.push(...this.#show(event!));
      this.#held = this.#held.filter((held) => !isStored(held) || held.seq > this.#last);
    }
    if (this.#held.some(isStored)) return shown;
    return [...shown, ...this.#held.splice(0).flatMap((event) => this.#show(event))];
  }
}

/** The text of one model call, of which pieces may come twice: a call that a crash cut off is made again. */
class StepText {
  #shown = "";
  /** What came since the connection broke, while it may be what was shown before. */
  #again: string | undefined;

  /** From here on the text may begin anew. */
  cut(): void {
    if (this.#shown !== "" || this.#again !== undefined) this.#again = "";
  }

  /** Returns what of this piece is new. */
  add(piece: string): string {
    if (this.#again === undefined) {
      this.#shown += piece;
      return piece;
    }
    this.#again += piece;
    if (!this.#again.startsWith(this.#shown)) return "";
    const fresh = this.#again.slice(this.#shown.length);
    if (fresh === "") return "";
    this.#shown = this.#again;
    this.#again = undefined;
    return fresh;
  }

  /** The whole text is known: returns what of it was not shown, on a line of its own when something else was. */
  finish(whole: string): string {
    if (whole.startsWith(this.#shown)) return whole.slice(this.#shown.length);
    return this.#again === undefined ? "" : `\n${whole}`;
  }
}

function toDeltas(text: string): SessionEvent[] {
  return text === "" ? [] : [{ type: "text_delta", payload: { text } }];
}

function textOf(event: Extract<StoredEvent, { type: "model_result" }>): string {
  return typeof event.payload.text === "string" ? event.payload.text : "";
}
