import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { type Link, type LinkAnswer, openLink } from "#/lib/link.ts";
import { drain, spawnPiped, type SpawnPlan } from "#/lib/spawn_piped.ts";
import { endProcess } from "#/sandbox/ask_process.ts";
import { BrowserAnswer, type BrowserAsk, PipeAsk } from "#/sandbox/browser_frames.ts";
import { CHROMIUM_INSTALL } from "#/sandbox/browser_names.ts";
import { CHROMIUM_MISSING } from "#/sandbox/browser_plan.ts";
import type { WalledProcess } from "#/sandbox/tier.ts";

/** What came of an action: a stranger's words, and with a screenshot its PNG. */
export interface Browsed {
  readonly text: string;
  readonly picture: Uint8Array;
}

/** What an action may fail with and leave the browser as it is. Anything else ends it. */
const HARMLESS: ReadonlySet<ErrorCode> = new Set(["tool_args_invalid", "tool_failed"]);
const ENDED = "The browser has ended; the next navigate starts a new one";
const NOTHING = new Uint8Array(0);

/**
 * One browser and the driver that speaks with it, seen from the runner: it carries bytes from one to the other and reads none of them. When
 * one of the two ends, both do.
 */
export class BrowserProcess {
  readonly #child: Deno.ChildProcess;
  readonly #walled: WalledProcess | undefined;
  readonly #link: Link;
  #isDead = false;

  /** Starts a driver. Without `walled`, its plan has the address of a browser that the person runs. Throws what Deno throws when it cannot be started. */
  constructor(driver: SpawnPlan, walled: WalledProcess | undefined, onLog: (line: string) => void) {
    this.#walled = walled;
    this.#child = spawnPiped(driver);
    const io = { input: new ByteReader(this.#child.stdout), output: this.#child.stdin };
    const onRequest = walled === undefined ? undefined : toPipe(walled);
    const options = { contentBytesMax: LIMITS.browserPictureBytesMax };
    this.#link = openLink(io, onRequest === undefined ? {} : { onRequest }, options);
    void this.#link.closed.then(() => this.close());
    void walled?.exited.then(() => this.close());
    void drain(this.#child.stderr, onLog);
    // A Chromium grumbles all the time, and some of it are words of pages.
    if (walled !== undefined) void drain(walled.stderr, () => {});
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** True when it takes no more actions. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves when it answers. Throws AppError `tier_unavailable` with the command that would help, `tool_crashed`, `cancelled`. */
  async ready(signal: AbortSignal): Promise<void> {
    try {
      await this.run({ action: "health" }, signal);
    } catch (error) {
      await this.close();
      const code = this.#walled === undefined ? undefined : (await this.#walled.exited).code;
      if (code !== undefined && code !== CHROMIUM_MISSING) throw error;
      const text = code === undefined
        ? "No browser answers at tools.browser.cdp_url"
        : `No Chromium was found where the browser would run: ${CHROMIUM_INSTALL}`;
      throw new AppError("tier_unavailable", text, { cause: error });
    }
  }

  /** One action. Throws AppError `tool_args_invalid`, `tool_failed`, `tool_timeout`, `tool_crashed`, `cancelled`. */
  async run(ask: BrowserAsk, signal: AbortSignal): Promise<Browsed> {
    const late = AbortSignal.timeout(LIMITS.browserActionMs);
    try {
      const { body, content } = await this.#link.request(ask, AbortSignal.any([signal, late]));
      const { text } = BrowserAnswer.parse(body);
      return { text, picture: content };
    } catch (error) {
      if (signal.aborted) throw new AppError("cancelled", "The call was cancelled", { cause: error });
      if (error instanceof AppError && HARMLESS.has(error.code)) {
        // Said by a process that reads what strangers write: one line, and no more of it.
        const line = error.message.replace(/\s+/g, " ").slice(0, LIMITS.idCharsMax);
        throw new AppError(error.code, line, { cause: error });
      }
      await this.close();
      if (late.aborted) {
        throw new AppError("tool_timeout", "The browser did not answer and was ended", { cause: error });
      }
      const reason = (await this.#walled?.exited)?.reason;
      throw new AppError("tool_crashed", reason === undefined ? ENDED : `${ENDED} (${reason})`, { cause: error });
    }
  }

  /** Ends both; resolves when they are gone. */
  async close(): Promise<void> {
    this.#isDead = true;
    endProcess(this.#child);
    await Promise.all([this.#link.close(), this.#child.status, this.#walled?.kill()]);
  }
}

/** Serves a driver the pipe of its browser. A write that the browser does not take holds the driver, which holds its next one. */
function toPipe(walled: WalledProcess): (body: unknown) => Promise<LinkAnswer> {
  const reader = new ByteReader(walled.stdout);
  const writer = walled.stdin.getWriter();
  writer.closed.catch(() => {});
  const encoder = new TextEncoder();
  return async (body) => {
    const ask = PipeAsk.parse(body);
    if (ask.pipe === "read") return { body: null, content: await reader.read() ?? NOTHING };
    await writer.write(encoder.encode(`${ask.message}\0`));
    return { body: null, content: NOTHING };
  };
}
