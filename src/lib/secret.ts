const MASK = "[secret]";

/**
 * A value that cannot be printed by accident: template strings, JSON, `console.log` and `Deno.inspect` show `[secret]`.
 * Only `reveal()` gives it away, so a search for that word finds every place that spends one.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. For the one place that spends it. */
  reveal(): string {
    return this.#value;
  }

  /** `[secret]`. */
  toString(): string {
    return MASK;
  }

  /** `"[secret]"`. */
  toJSON(): string {
    return MASK;
  }

  /** What `console.log` and `Deno.inspect` show. */
  [Symbol.for("Deno.customInspect")](): string {
    return MASK;
  }

  /** What `node:util` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return MASK;
  }
}
