import type { JsonOptions, TurnOptions } from "#/cli/options.ts";

/** A command line that needs no parser. */
export interface PlainTurn {
  readonly mode: "run" | "chat";
  /** Absent for `chat`. */
  readonly prompt?: string;
  readonly options: TurnOptions;
}

const COMMANDS: ReadonlySet<string> = new Set(["run", "chat", "ask"]);
type Valued = "session" | "saveMedia" | "model" | "config" | "user";
/** Options with a value; `--tier` has a closed list of values, which the parser knows. */
const VALUES: Readonly<Record<string, Valued>> = {
  "--session": "session",
  "--save-media": "saveMedia",
  "--model": "model",
  "--config": "config",
  "--user": "user",
};
const STATUS: ReadonlySet<string> = new Set(["--json", "--config", "--user"]);

/**
 * What `run`, `chat` and `ask` in their plain forms mean, the same as commander finds (tests/cli/plain_args_test.ts); null for everything
 * else, help and mistakes included, which is commander's. Pure. The parser and the modules under it cost 30 ms, a third of what
 * a start needs before its guest comes up.
 */
export function toPlainTurn(args: readonly string[]): PlainTurn | null {
  const [command, ...rest] = args;
  if (command === undefined || !COMMANDS.has(command)) return null;
  const plain = toPlain(rest);
  if (plain === null) return null;
  const { options, words } = plain;
  if (command === "chat" || (command === "ask" && words.length === 0)) {
    return command === "chat" && words.length > 0 ? null : { mode: "chat", options };
  }
  return words.length === 0 ? null : { mode: "run", prompt: words.join(" "), options };
}

/** The same for `status`, which scripts ask again and again. Pure. */
export function toPlainStatus([command, ...rest]: readonly string[]): JsonOptions | null {
  const plain = command === "status" ? toPlain(rest) : null;
  if (plain === null || plain.words.length > 0) return null;
  return rest.every((word) => !word.startsWith("--") || STATUS.has(word)) ? plain.options : null;
}

function toPlain(rest: readonly string[]): { readonly options: TurnOptions; readonly words: readonly string[] } | null {
  const options: Partial<Record<Valued, string>> = {};
  const words: string[] = [];
  let json = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at]!;
    const option = VALUES[word];
    if (word === "--") {
      words.push(...rest.slice(at + 1));
      break;
    }
    if (word === "--json") json = true;
    else if (option !== undefined && Object.hasOwn(VALUES, word)) {
      const value = rest[++at];
      if (value === undefined || value.startsWith("-")) return null;
      options[option] = value;
    } else if (word.startsWith("-")) return null;
    else words.push(word);
  }
  return { options: { ...options, ...(json ? { json } : {}) }, words };
}
