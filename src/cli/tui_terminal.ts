import { KeyReader } from "#/cli/tui_keys.ts";
import type { Key } from "#/cli/tui_keys.ts";
import { LIMITS } from "#/core/limits.ts";

/** Pasted text comes in brackets (xterm, DEC mode 2004); the terminal is asked whether it speaks the kitty keyboard protocol. */
const ENTER = "\x1b[?2004h\x1b[?u";
const ENABLE_KITTY = "\x1b[>1u";
/** Gives a terminal back: also what Ink leaves behind when it is killed in a frame: synchronized output (2026), a hidden cursor (25), a style. */
export const LEAVE: string = "\x1b[?2026l\x1b[?2004l\x1b[0m\x1b[?25h";
const LEAVE_KITTY = "\x1b[<u";

/** What a terminal is for this process: raw keys in, bytes out. */
export interface TerminalDeps {
  readonly setRaw: (isRaw: boolean) => void;
  /** Writes at once: also while the process ends. Never throws. */
  readonly write: (text: string) => void;
}

/** A terminal whose keys this process reads itself. `leave` gives it back as it was; calling it twice does nothing. */
export class RawTerminal {
  readonly #deps: TerminalDeps;
  readonly #keys = new KeyReader();
  #isRaw = false;
  #hasKitty = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(deps: TerminalDeps) {
    this.#deps = deps;
  }

  /** Takes the terminal over. */
  enter(): void {
    this.#isRaw = true;
    this.#deps.setRaw(true);
    this.#deps.write(ENTER);
  }

  /** Gives it back: mode, cursor, colours. Never throws. */
  leave(): void {
    if (!this.#isRaw) return;
    this.#isRaw = false;
    clearTimeout(this.#timer);
    this.#deps.write(this.#hasKitty ? LEAVE_KITTY + LEAVE : LEAVE);
    try {
      this.#deps.setRaw(false);
    } catch {
      // The terminal is gone.
    }
  }

  /** Reads keys until the stream ends: the terminal was closed. */
  async read(stream: ReadableStream<Uint8Array>, onKey: (key: Key) => void): Promise<void> {
    const decoder = new TextDecoder();
    const take = (keys: readonly Key[]) => keys.forEach((key) => this.#take(key, onKey));
    for await (const bytes of stream) {
      clearTimeout(this.#timer);
      take(this.#keys.feed(decoder.decode(bytes, { stream: true })));
      // Escape begins every other key, so whether it was one is known a moment later.
      if (this.#keys.waits) this.#timer = setTimeout(() => take(this.#keys.flush()), LIMITS.escapeKeyMs);
    }
    clearTimeout(this.#timer);
  }

  #take(key: Key, onKey: (key: Key) => void): void {
    if (key.type !== "key" || key.name !== "kitty") return onKey(key);
    if (this.#hasKitty || !this.#isRaw) return;
    this.#hasKitty = true;
    this.#deps.write(ENABLE_KITTY);
  }
}
