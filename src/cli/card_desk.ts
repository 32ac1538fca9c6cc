import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { toPrintable } from "#/lib/printable.ts";
import { toAnswer, toCardText } from "#/cli/approval_prompt.ts";

/** What a desk reaches. */
export interface CardDeskDeps {
  /** The cards that the runner holds: never what came through the gateway. Throws AppError. */
  readonly read: () => Promise<readonly ApprovalCard[]>;
  /** Answers one as the owner. Throws AppError. */
  readonly answer: (given: GivenAnswer) => Promise<void>;
  /** The next line of the person; undefined when nobody can be asked here. */
  readonly nextLine: (() => Promise<string | undefined>) | undefined;
  readonly say: (text: string) => void;
  /** Integer ms UTC. */
  readonly now: () => number;
}

/**
 * Asks the person at this terminal about the cards of one turn, one after another; where nobody can be asked, says so and answers no. A
 * card that was answered elsewhere meanwhile is let go.
 */
export class CardDesk {
  readonly #deps: CardDeskDeps;
  readonly #gone = new Map<string, () => void>();
  #queue: Promise<void> = Promise.resolve();

  constructor(deps: CardDeskDeps) {
    this.#deps = deps;
  }

  /** A card of this id waits. Returns at once. */
  open(id: string): void {
    const gone = Promise.withResolvers<void>();
    this.#gone.set(id, gone.resolve);
    this.#queue = this.#queue.then(() => this.#handle(id, gone.promise)).catch((error) => this.#complain(error));
  }

  /** Somebody answered it, or its turn is over. */
  close(id: string): void {
    this.#gone.get(id)?.();
    this.#gone.delete(id);
  }

  /** The turn is over: nothing is asked any more. */
  closeAll(): void {
    for (const id of [...this.#gone.keys()]) this.close(id);
  }

  async #handle(id: string, gone: Promise<void>): Promise<void> {
    if (!this.#gone.has(id)) return;
    const deps = this.#deps;
    const card = (await deps.read()).find((open) => open.id === id);
    // The runner knows no such card: the guest made it up, or it was answered.
    if (card === undefined || !this.#gone.has(id)) return;
    if (deps.nextLine === undefined) {
      deps.say(`oxydra: nobody can be asked here, so the answer is no: ${toPrintable(card.lines.join("; "))}\n`);
      return await deps.answer({ id, answer: "no" });
    }
    for (;;) {
      deps.say(toCardText(card, deps.now()));
      const line = await Promise.race([deps.nextLine(), gone.then(() => null)]);
      if (line === null) return deps.say("\noxydra: answered elsewhere\n");
      const given = line === undefined ? { id, answer: "no" as const } : toAnswer(line, id, deps.now());
      if (given !== undefined) return await deps.answer(given);
      deps.say("oxydra: y, s, h, n or never\n");
    }
  }

  #complain(error: unknown): void {
    if (!(error instanceof AppError)) throw error;
    // Answered in the same moment somewhere else: nothing to do.
    if (error.code !== "approval_unknown") this.#deps.say(`oxydra: ${toPrintable(error.message)}\n`);
  }
}
