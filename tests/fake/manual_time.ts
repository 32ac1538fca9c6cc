/** Time that passes only when a test says so. */
export class ManualTime {
  #now: number;
  readonly #waiting = new Set<{ readonly at: number; readonly finish: () => void }>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  /** Integer ms UTC. */
  readonly now = (): number => this.#now;

  /** Resolves when the time has come, or at once when the signal fires. */
  readonly delay = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const entry = {
        at: this.#now + ms,
        finish: () => {
          this.#waiting.delete(entry);
          signal.removeEventListener("abort", entry.finish);
          resolve();
        },
      };
      this.#waiting.add(entry);
      signal.addEventListener("abort", entry.finish, { once: true });
    });

  /** Delays that have not ended. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Lets time pass and ends what was due, earliest first. */
  advance(ms: number): void {
    this.#now += ms;
    const due = [...this.#waiting].filter((entry) => entry.at <= this.#now).toSorted((a, b) => a.at - b.at);
    for (const entry of due) entry.finish();
  }
}
