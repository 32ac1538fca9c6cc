/** The count of clients as a promise of none, over restarts of the guest that counts them. */
export class Presence {
  #count = 0;
  /** Clients that a restart cut off and that are not back yet; 0 when the count is believed. */
  #expected = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: (() => void)[] = [];

  /** The guest says how many are connected. */
  set(count: number): void {
    this.#count = count;
    if (count >= this.#expected) this.#believe();
  }

  /** The guest is gone; whoever was connected counts as there until `release`. */
  hold(): void {
    clearTimeout(this.#timer);
    this.#expected = Math.max(this.#expected, this.#count);
    this.#count = 0;
  }

  /** A guest listens again: its clients have `ms` to come back. */
  release(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#expected > 0) this.#timer = setTimeout(() => this.#believe(), ms);
  }

  /** Resolves when nobody is connected, or on the way back. */
  whenNone(): Promise<void> {
    if (this.#isNone) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** There is no gateway any more, and so nobody connected. */
  close(): void {
    this.#count = 0;
    this.#believe();
  }

  get #isNone(): boolean {
    return this.#count === 0 && this.#expected === 0;
  }

  #believe(): void {
    clearTimeout(this.#timer);
    this.#expected = 0;
    if (this.#isNone) { for (const resolve of this.#waiting.splice(0)) resolve(); }
  }
}
