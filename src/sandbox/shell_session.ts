import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { delay } from "#/lib/delay.ts";
import type { ShellCall, ShellResult } from "#/sandbox/shell.ts";
import { BoundedOutput } from "#/sandbox/shell_output.ts";
import { ShellRecords } from "#/sandbox/shell_records.ts";
import type { WalledProcess } from "#/sandbox/tier.ts";
import agent from "./shell_agent.sh" with { type: "text" };

/**
 * The process that stays while shells inside come and go: as long as it is there, the walls are. What it makes its pipe with is waited for: it
 * would be counted among the shell's own processes, and one in the background would not be told of.
 */
const KEEPER = `trap 'exit 0' TERM; exec 8<> <(:); wait "$!"
"$BASH" --norc --noprofile -c 'builtin eval "$1"; builtin shift; builtin unset BASH_EXECUTION_STRING; builtin eval "$__ox_loop"' bash "$1" 8<&-
exec </dev/null >/dev/null 2>&1
while :; do read -r -u 8 || sleep 86400; done`;

/** What a walled process runs to be a shell: bash alone, with a program of ours as text. Nothing else of ours needs to be inside. */
export const SHELL_ARGV: readonly string[] = ["/bin/bash", "--norc", "--noprofile", "-c", KEEPER, "bash", agent];

type Stop = "timeout" | "cancelled" | "question" | "exit" | "gone";

/** A question that waits at the end of an output: no newline follows it. */
const QUESTION =
  /(?:\[y(?:es)?\/no?\]|\(y(?:es)?\/no?[^)\n]*\)|\b(?:password|passphrase|passcode|username|login)\b[^\n]*:|\b(?:continue|proceed|overwrite|replace|remove|sure|want to)\b[^\n]*\?|\bpress (?:any key|enter|return)\b[^\n]*|\(END\)|--More--[^\n]*)\s*$/i;

const AS_BEFORE = "folder, variables and functions are as they were before it";
const NOTES: Readonly<Record<Stop, (timeoutMs: number) => string>> = {
  timeout: (timeoutMs) =>
    `It was ended after ${
      timeoutMs / 1_000
    } s with everything that it started; ${AS_BEFORE}. For more time give timeout_secs, or run it in ` +
    "the background with its output in a file",
  cancelled: () => "It was cancelled",
  question: () =>
    "Its output stands at what looks like a question, and there is no terminal and no input, so it was ended; " +
    `${AS_BEFORE}. Answer with an option (-y, --yes, --batch) or with input (printf 'y\\n' | …)`,
  exit: () => `It ended its shell (exit, or set -e); ${AS_BEFORE}`,
  gone: () => `Its shell was replaced or killed (exec, a signal, a crash), so its exit code is not known; ${AS_BEFORE}`,
};

const GONE = "its processes were ended";

interface Running {
  readonly output: BoundedOutput;
  readonly done: PromiseWithResolvers<string | undefined>;
  readonly onOutput: ShellCall["onOutput"] | undefined;
  stop?: Stop;
  exitCode?: number;
  /** A shell of before the command has taken over. */
  isRevived: boolean;
  looks: number;
  heardAt: number;
  wroteAt: number;
  timer?: ReturnType<typeof setTimeout>;
}

const encoder = new TextEncoder();

/** One bash behind walls, whose commands run one at a time. */
export class ShellSession {
  readonly #process: WalledProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #records = new ShellRecords();
  readonly #pumped: Promise<void>;
  readonly #errors = new BoundedOutput(0, LIMITS.shellBetweenBytesMax);
  #between = new BoundedOutput(0, LIMITS.shellBetweenBytesMax);
  #resumed = Promise.withResolvers<void>();
  #running: Running | undefined;
  #over: string | undefined;
  #cwd = "/";
  /** Processes that are there when nothing runs, and that are there now. */
  #own = 0;
  #processes = 0;

  private constructor(process: WalledProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.#pumped = this.#pump();
    void process.stderr.pipeTo(new WritableStream({ write: (chunk) => this.#errors.push(chunk) })).catch(() => {});
    void process.exited.then(async ({ reason }) => {
      if (this.#running === undefined) this.#over ??= reason ?? GONE;
      const waited = new AbortController();
      await Promise.race([this.#pumped, delay(LIMITS.killGraceMs, waited.signal)]);
      waited.abort();
      this.#over ??= reason ?? GONE;
      this.#running?.done.resolve(this.#over);
    });
  }

  /** Waits until it takes commands. Throws AppError `tier_unavailable`, `cancelled`; the process is gone then. */
  static async open(process: WalledProcess, signal: AbortSignal): Promise<ShellSession> {
    const session = new ShellSession(process);
    const lost = await session.#run("ready", {}, LIMITS.shellStartMs, signal, () => {});
    if (lost.why === undefined && lost.running.stop === undefined) {
      session.#own = session.#processes;
      return session;
    }
    await process.kill();
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const said = session.#errors.read().text.trim();
    throw new AppError("tier_unavailable", `The shell did not start${said === "" ? "" : `: ${said}`}`);
  }

  /** Why it takes no more commands; undefined while it does. */
  get over(): string | undefined {
    return this.#over;
  }

  /**
   * Runs one command; nothing else may run meanwhile. What it loses is a note of its result. Throws AppError `shell_ended` when there is no
   * shell any more, `cancelled`; then the command is gone.
   */
  async exec(call: Omit<ShellCall, "session" | "connect">, signal: AbortSignal): Promise<ShellResult> {
    if (this.#over !== undefined) throw new AppError("shell_ended", `The shell is gone: ${this.#over}`);
    if (this.#running !== undefined) throw new TypeError("a command runs already");
    const notes: string[] = [];
    const between = this.#between.read();
    if (between.bytes > 0) {
      notes.push(
        `Since the last command, background processes wrote ${between.bytes} bytes, at the end:\n${between.text}`,
      );
    }
    this.#between = new BoundedOutput(0, LIMITS.shellBetweenBytesMax);
    const nonce = crypto.randomUUID().replaceAll("-", "");
    const { running, why } = await this.#run(
      nonce,
      call,
      call.timeoutMs,
      signal,
      () => this.#send(`x${nonce}\0${call.command}\0`),
    );
    if (running.stop === "cancelled") throw new AppError("cancelled", "The command was cancelled");
    const { text, bytes, strange } = running.output.read();
    if (running.stop !== undefined) notes.push(NOTES[running.stop](call.timeoutMs));
    if (why !== undefined) {
      notes.push(
        `The shell was lost: ${why}. The next command gets a new one, without folder, variables and background processes`,
      );
    }
    if (strange > 0) notes.push(`${strange} characters of the output were no text and are shown as \ufffd`);
    const left = this.#processes - this.#own;
    if (left > 0 && why === undefined) {
      notes.push(`${left} background ${left === 1 ? "process runs" : "processes run"}`);
    }
    const code = running.exitCode === undefined || why !== undefined ? {} : { exitCode: running.exitCode };
    return { ...code, text, outputBytes: bytes, cwd: this.#cwd, notes };
  }

  /** What runs in it now counts as its own, and is not told of as left behind. */
  adopt(): void {
    this.#own = this.#processes;
  }

  /** Ends it with all that runs in it. */
  async kill(reason: string): Promise<void> {
    this.#over ??= reason;
    this.#resumed.resolve();
    await this.#process.kill();
  }

  async #run(
    nonce: string,
    { onOutput }: Pick<ShellCall, "onOutput">,
    timeoutMs: number,
    signal: AbortSignal,
    start: () => void,
  ): Promise<{ readonly running: Running; readonly why: string | undefined }> {
    const now = performance.now();
    const running: Running = {
      output: new BoundedOutput(LIMITS.shellHeadBytesMax, LIMITS.shellTailBytesMax),
      done: Promise.withResolvers(),
      onOutput,
      isRevived: false,
      looks: 0,
      heardAt: now,
      wroteAt: now,
    };
    const onAbort = () => this.#stop(running, "cancelled");
    const expiry = setTimeout(() => this.#stop(running, "timeout"), timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#running = running;
    this.#records.expect(nonce);
    this.#resumed.resolve();
    try {
      start();
      if (signal.aborted) onAbort();
      this.#look(running, LIMITS.shellLookMs);
      return { running, why: await running.done.promise };
    } finally {
      this.#running = undefined;
      this.#resumed = Promise.withResolvers();
      clearTimeout(expiry);
      clearTimeout(running.timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Asks whether it still runs: `exec` and a crash leave nobody who says so. */
  #look(running: Running, waitMs: number): void {
    running.timer = setTimeout(() => {
      const now = performance.now();
      if (running.looks > 3 && now - running.heardAt > LIMITS.shellSilentMs) return this.#lose("it does not answer");
      if (now - running.wroteAt > LIMITS.shellPromptMs && QUESTION.test(running.output.end)) {
        return this.#stop(running, "question");
      }
      running.looks++;
      this.#send("?\0");
      this.#look(running, Math.min(waitMs * 2, LIMITS.shellLookMsMax));
    }, waitMs);
  }

  #stop(running: Running, stop: Stop): void {
    if (running.stop !== undefined && running.stop !== "exit") return;
    running.stop = stop;
    this.#send("k\0");
    clearTimeout(running.timer);
    running.timer = setTimeout(() => this.#lose("it could not end the command"), LIMITS.shellEndMs);
  }

  #lose(why: string): void {
    this.#over ??= why;
    void this.#process.kill();
  }

  /** What cannot be written is lost with the process, and `exited` tells of that. */
  #send(text: string): void {
    this.#input.write(encoder.encode(text)).catch(() => {});
  }

  async #pump(): Promise<void> {
    const reader = this.#process.stdout.getReader();
    try {
      while (true) {
        if (this.#running === undefined && this.#between.bytes > LIMITS.shellUnreadBytesMax) {
          await this.#resumed.promise;
        }
        const { value, done } = await reader.read();
        if (done) return;
        for (const piece of this.#records.push(value)) {
          if (typeof piece === "string") this.#record(piece);
          else this.#write(piece);
        }
      }
    } catch {
      // It is gone: `exited` tells of that.
    }
  }

  #write(bytes: Uint8Array): void {
    const running = this.#running;
    if (running === undefined) return this.#between.push(bytes);
    running.output.push(bytes);
    running.wroteAt = performance.now();
    running.onOutput?.(bytes);
  }

  #record(text: string): void {
    const running = this.#running;
    if (running === undefined) return;
    const [what, code, processes, ...folder] = text.split(" ");
    running.heardAt = performance.now();
    if (what === "p") return;
    if (what === "x") {
      running.exitCode = Number(code);
      if (running.stop === undefined) this.#stop(running, "exit");
    } else if (what === "r") {
      running.isRevived = true;
      running.stop ??= "gone";
    } else {
      if (!running.isRevived) running.exitCode = Number(code);
      this.#cwd = folder.join(" ");
      this.#processes = Number(processes);
      // After a stop that came too late the command's own end counts.
      if (!running.isRevived && running.stop !== "cancelled") delete running.stop;
      running.done.resolve(undefined);
    }
  }
}
