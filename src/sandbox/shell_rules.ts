import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { Lanes } from "#/lib/lane.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { spawnPiped, type SpawnPlan } from "#/lib/spawn_piped.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { endProcess } from "#/sandbox/ask_process.ts";
import { passEnv, underParent } from "#/sandbox/child_plan.ts";
import { decideShell, isRestricted, type ShellRulesConfig, type ShellVerdict } from "#/sandbox/shell_rules_decide.ts";

/** Which commands a configuration lets the model run. A convenience for the person, no wall: the walls are the shell's tier. */
export interface ShellRules {
  /**
   * Whether a command may run, before policy is asked and before anybody sees a card. What cannot be parsed, in time or at all, may not.
   * Throws AppError `cancelled`, nothing else.
   */
  check(command: string, signal: AbortSignal): Promise<ShellVerdict>;
  /** Process ids of the parser that lives. */
  readonly pids: readonly number[];
  /** Ends the parser. Later commands are refused. */
  close(): Promise<void>;
}

/** What decides the flags of the process that parses. */
export interface ShellRulesPlanInput {
  /** Real path of the running Deno. */
  readonly denoPath: string;
  /** `file:` or `http(s):` URL of src/sandbox/shell_rules_process.ts. */
  readonly entryUrl: string;
  /** Where its modules come from and that it finds none elsewhere: the guest's (`toModuleFlags`), for it has a package. */
  readonly moduleFlags: readonly string[];
  /** Path of `setpriv`, where it exists: the process dies with its parent (Linux). */
  readonly pdeathsig?: string;
  /** The runner's environment: only what Deno needs to find its cache is passed on. */
  readonly env: Readonly<Record<string, string>>;
}

/** The flags of the process that parses: no permission at all. Pure. */
export function planShellRules(input: ShellRulesPlanInput): SpawnPlan & { readonly reach: readonly string[] } {
  const heap = `--v8-flags=--max-old-space-size=${LIMITS.childHeapMbMax}`;
  const args = ["run", "-q", ...input.moduleFlags, heap, input.entryUrl];
  const env = { ...passEnv(input.env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "NPM_CONFIG_REGISTRY"]), NO_COLOR: "1" };
  return { ...underParent(input, args), env, reach: ["reads no file and no environment, connects to no host"] };
}

/** A configuration that keeps nothing out costs nothing: no process is started for it, and for others with the first command. */
export function openShellRules(
  config: ShellRulesConfig,
  plan: SpawnPlan,
  { answerMs = LIMITS.shellRulesMs }: { readonly answerMs?: number } = {},
): ShellRules {
  return isRestricted(config) ? new ParsedRules(config, plan, answerMs) : OPEN_RULES;
}

const OPEN_RULES: ShellRules = {
  check: () => Promise.resolve({ allowed: true }),
  pids: [],
  close: () => Promise.resolve(),
};

/** As a stranger's word: what parses a hostile text may be at its command. */
const Reading = z.discriminatedUnion("readable", [
  z.strictObject({
    readable: z.literal(true),
    programs: z.array(z.string()),
    functions: z.array(z.string()),
    operators: z.array(z.string()),
    dynamic: z.array(z.string()),
  }),
  z.strictObject({ readable: z.literal(false), why: z.string().max(LIMITS.logLineCharsMax) }),
]);
type Reading = z.infer<typeof Reading>;

class ParsedRules implements ShellRules {
  readonly #config: ShellRulesConfig;
  readonly #plan: SpawnPlan;
  readonly #answerMs: number;
  readonly #lane = new Lanes({ runningMax: 1, queuedMax: LIMITS.shellRulesWaitingMax });
  #parser: Parser | undefined;
  #closed = false;

  constructor(config: ShellRulesConfig, plan: SpawnPlan, answerMs: number) {
    this.#config = config;
    this.#plan = plan;
    this.#answerMs = answerMs;
  }

  get pids(): readonly number[] {
    return this.#parser === undefined || this.#parser.dead ? [] : [this.#parser.pid];
  }

  async check(command: string, signal: AbortSignal): Promise<ShellVerdict> {
    const reading = await this.#read(command, signal);
    if (reading.readable) return decideShell(reading, this.#config);
    const reason = `tools.shell restricts commands, and this one could not be read as one: ${reading.why}`;
    return { allowed: false, reason };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#parser?.close();
  }

  async #read(command: string, signal: AbortSignal): Promise<Reading> {
    try {
      const lease = await this.#lane.enter("parser", "parser", signal);
      try {
        return await this.#ask(encodeLengthJson(command, LIMITS.frameBytesMax), signal);
      } finally {
        lease.release();
      }
    } catch (error) {
      if (error instanceof AppError && error.code === "cancelled") throw error;
      return { readable: false, why: toWhy(error) };
    }
  }

  async #ask(question: Uint8Array, signal: AbortSignal): Promise<Reading> {
    if (this.#closed) return { readable: false, why: "the runner stops" };
    // It parsed hostile text before; what it is now is decided by whether it answers, in its form.
    if (this.#parser === undefined || this.#parser.dead) this.#parser = new Parser(this.#plan);
    const parser = this.#parser;
    const end = AbortSignal.any([signal, AbortSignal.timeout(this.#answerMs)]);
    const answer = await untilAborted(parser.ask(question), end).catch(() => null);
    const reading = Reading.safeParse(answer);
    if (reading.success) return reading.data;
    await parser.close();
    if (signal.aborted) throw new AppError("cancelled", "The call was cancelled");
    const why = answer === undefined ? `it was not parsed within ${this.#answerMs} ms` : "the parser failed";
    return { readable: false, why };
  }
}

function toWhy(error: unknown): string {
  if (!(error instanceof AppError)) return "the parser could not be started";
  return error.code === "queue_full" ? "too many commands wait for the parser" : "it is too long";
}

/** The process, one question at a time. */
class Parser {
  readonly #process: Deno.ChildProcess;
  readonly #input: ByteReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  dead = false;

  constructor(plan: SpawnPlan) {
    this.#process = spawnPiped(plan);
    this.#input = new ByteReader(this.#process.stdout);
    this.#writer = this.#process.stdin.getWriter();
    this.#writer.closed.catch(() => {});
    void this.#process.status.then(() => this.dead = true);
    void this.#process.stderr.pipeTo(new WritableStream()).catch(() => {});
  }

  get pid(): number {
    return this.#process.pid;
  }

  async ask(question: Uint8Array): Promise<unknown> {
    await this.#writer.write(question);
    return await readLengthJson(this.#input, LIMITS.frameBytesMax) ?? null;
  }

  async close(): Promise<void> {
    this.dead = true;
    endProcess(this.#process);
    await this.#process.status;
    await this.#input.cancel().catch(() => {});
    await this.#writer.abort().catch(() => {});
  }
}
