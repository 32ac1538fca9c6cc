import { AppError, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { HealthStatus } from "#/runner/control_frames.ts";
import { compareSettings, type RunnerSettings, type SettingsChange } from "#/runner/settings.ts";

/** What a configuration came to when it was read again. */
export interface Reloaded {
  readonly settings: RunnerSettings;
  /** What is not in force before the next start, in words. */
  readonly later: readonly string[];
}

/** What a reloader needs of its runner. */
export interface ReloaderDeps {
  /** Reads and checks the whole configuration, as a start does. Throws AppError for a bad one. */
  readonly load: () => Promise<Reloaded>;
  /** Puts the new settings in force. When it throws, the old ones are. */
  readonly apply: (change: SettingsChange, next: RunnerSettings) => Promise<void>;
  /** A line for the log, and for the person who looks on. */
  readonly onNote: (line: string) => void;
  /** Integer ms UTC. */
  readonly now: () => number;
}

/**
 * Keeps a runner at the last good configuration. One reload at a time; whoever asks while one runs has a second one follow it, however many
 * they are. A bad edit changes nothing and is told once.
 */
export class Reloader {
  readonly #deps: ReloaderDeps;
  #settings: RunnerSettings;
  #state: HealthStatus["config"];
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(deps: ReloaderDeps, settings: RunnerSettings) {
    this.#deps = deps;
    this.#settings = settings;
    this.#state = { state: "in_force", at: deps.now(), note: "" };
  }

  /** In force. */
  get settings(): RunnerSettings {
    return this.#settings;
  }

  /** What became of the last edit. */
  get state(): HealthStatus["config"] {
    return this.#state;
  }

  /** Reads the configuration again; resolves with what became of it. Never rejects. */
  async reload(): Promise<HealthStatus["config"]> {
    this.#next ??= this.#after(this.#running);
    await this.#next;
    return this.#state;
  }

  async #after(running: Promise<void> | undefined): Promise<void> {
    await running;
    this.#next = undefined;
    this.#running = this.#once();
    await this.#running;
    this.#running = undefined;
  }

  async #once(): Promise<void> {
    try {
      const { settings, later } = await this.#deps.load();
      const change = compareSettings(this.#settings, settings);
      if (change.what.length > 0) {
        this.#deps.onNote(`the configuration changes: ${change.what.join(", ")}`);
        await this.#deps.apply(change, settings);
        this.#settings = settings;
      }
      this.#tell("in_force", later.map((one) => `${one} takes effect at the next start`).join("\n"));
    } catch (error) {
      if (error instanceof AppError && error.code === "cancelled") return;
      this.#tell("refused", toPublicError(error, crypto.randomUUID()).message);
    }
  }

  #tell(state: HealthStatus["config"]["state"], text: string): void {
    const before = this.#state;
    const note = text.slice(0, LIMITS.configNoteCharsMax);
    this.#state = { state, at: this.#deps.now(), note };
    if (before.state === state && before.note === note) return;
    if (state === "refused") this.#deps.onNote(`the last edit of the configuration is refused: ${note}`);
    else if (note !== "") this.#deps.onNote(note);
    else if (before.state === "refused") this.#deps.onNote("the configuration is good again");
  }
}
