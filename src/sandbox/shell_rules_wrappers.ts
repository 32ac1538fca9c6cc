/** A word of a command: as it is written, and what it is, where that can be read from it. */
export interface Argument {
  readonly source: string;
  readonly text: string | undefined;
}

/** A command inside of another one. `replaced`: text that is something else by the time it runs (`{}` of find and xargs). `appended`: more words follow. */
export interface Command {
  readonly words: readonly Argument[];
  readonly replaced?: string;
  readonly appended?: boolean;
}

/** What a program runs in its turn: a command, a script, something that cannot be read, nothing. */
export type Inner =
  | ({ readonly kind: "command" } & Command)
  | { readonly kind: "script"; readonly text: string }
  | { readonly kind: "dynamic"; readonly source: string }
  | { readonly kind: "nothing" };

/** Options of a program that runs the command behind them. Each option is known, or the command is not. */
interface Wrapper {
  /** Letters without a value, and whole long options. */
  readonly flags: string;
  readonly longFlags?: readonly string[];
  /** Letters and long options with a value. */
  readonly values?: string;
  readonly longValues?: readonly string[];
  /** Letters that make it print instead. */
  readonly quiet?: string;
  /** Words between the options and the command. */
  readonly operands?: number;
  readonly assignments?: boolean;
}

const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  command: { flags: "p", quiet: "vV" },
  builtin: { flags: "" },
  exec: { flags: "cl", values: "a" },
  nohup: { flags: "" },
  time: { flags: "pvaq", values: "fo" },
  env: {
    flags: "i0v",
    longFlags: ["ignore-environment", "null", "debug"],
    values: "uC",
    longValues: ["unset", "chdir"],
    assignments: true,
  },
  timeout: {
    flags: "v",
    longFlags: ["preserve-status", "foreground", "verbose"],
    values: "sk",
    longValues: ["signal", "kill-after"],
    operands: 1,
  },
  nice: { flags: "0123456789", values: "n", longValues: ["adjustment"] },
  ionice: { flags: "t", values: "cn", longFlags: ["ignore"], longValues: ["class", "classdata"] },
  setsid: { flags: "cfw", longFlags: ["ctty", "fork", "wait"] },
  stdbuf: { flags: "", values: "ioe", longValues: ["input", "output", "error"] },
  sudo: { flags: "AbEHknPS", values: "ugCDhprTU", assignments: true },
  doas: { flags: "nL", values: "uC" },
  busybox: { flags: "" },
  toybox: { flags: "" },
  xargs: {
    flags: "0rtpxoeil",
    longFlags: ["null", "no-run-if-empty", "verbose", "interactive", "exit", "open-tty", "replace", "max-lines", "eof"],
    values: "adEILnPs",
    longValues: ["arg-file", "delimiter", "max-args", "max-procs", "max-chars"],
  },
};

const SHELLS: ReadonlySet<string> = new Set(["sh", "bash", "dash", "ash", "zsh", "ksh", "rbash"]);
const FIND_EXEC: ReadonlySet<string> = new Set(["-exec", "-execdir", "-ok", "-okdir"]);
const NOTHING: Inner = { kind: "nothing" };

/** What a command runs beside itself, as far as that is plain: none of it says that there is nothing else. Pure. */
export function lookThrough({ name: path, ...command }: Command & { readonly name: string }): readonly Inner[] {
  const { words, replaced } = command;
  const name = path.slice(path.lastIndexOf("/") + 1);
  // What replaces it is not in the command.
  if (replaced !== undefined && path.includes(replaced)) return [toDynamic(words[0]!)];
  const rest = { ...command, words: words.slice(1) };
  if (name === "find") return toFindCommands(rest.words);
  if (name === "eval") return [joinScript(rest)];
  if (name === "trap") return [toTrapScript(rest)];
  if (SHELLS.has(name)) return [toShellScript(rest)];
  const wrapper = Object.hasOwn(WRAPPERS, name) ? WRAPPERS[name]! : undefined;
  if (wrapper === undefined) return [NOTHING];
  if (name === "xargs") return [toXargsCommand(wrapper, rest)];
  return [behindOptions(wrapper, rest)];
}

/** The command behind the options of a wrapper. */
function behindOptions(wrapper: Wrapper, { words, ...command }: Command): Inner {
  const at = skipOptions(wrapper, words);
  if (typeof at !== "number") return at;
  let start = at;
  while (wrapper.assignments && words[start]?.text?.includes("=")) start++;
  start += wrapper.operands ?? 0;
  // One word as it is written may be several, and the last of them the command.
  const unknown = words.slice(0, start).find(({ text }) => text === undefined);
  if (unknown !== undefined) return toDynamic(unknown);
  if (start < words.length) return { kind: "command", words: words.slice(start), ...command };
  // Words that follow later become the command.
  return command.appended ? { kind: "dynamic", source: "the words that xargs adds" } : NOTHING;
}

/** Where the options end; or what it is when one of them is unknown, or makes the program print only. */
function skipOptions(wrapper: Wrapper, words: readonly Argument[]): number | Inner {
  const { flags, values = "", longFlags = [], longValues = [], quiet = "" } = wrapper;
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (word.text === undefined) return toDynamic(word);
    if (word.text === "--") return at + 1;
    if (word.text === "-" && wrapper.assignments) continue;
    if (!word.text.startsWith("-") || word.text === "-") return at;
    if (word.text.startsWith("--")) {
      const [long = "", value] = word.text.slice(2).split("=", 2);
      if (longValues.includes(long)) at += value === undefined ? 1 : 0;
      else if (!longFlags.includes(long)) return toDynamic(word);
      continue;
    }
    const letters = word.text.slice(1);
    const end = [...letters].findIndex((letter) => !flags.includes(letter));
    if (end === -1) continue;
    const letter = letters[end]!;
    if (quiet.includes(letter)) return NOTHING;
    // `-e`, `-i` and `-l` of xargs take what follows in the same word.
    if (wrapper === WRAPPERS.xargs && end > 0 && "eil".includes(letters[0]!)) continue;
    if (!values.includes(letter)) return toDynamic(word);
    if (end === letters.length - 1) at++;
  }
  return at;
}

/** Without a command of its own xargs runs echo. Its input follows its command, or replaces a text in it. */
function toXargsCommand(wrapper: Wrapper, { words, ...command }: Command): Inner {
  const replaced = toReplaced(words) ?? command.replaced;
  const inner = behindOptions(wrapper, { words, ...(replaced === undefined ? {} : { replaced }), appended: true });
  return inner.kind === "dynamic" && skipOptions(wrapper, words) === words.length ? NOTHING : inner;
}

/** What `-I`, `-i` or `--replace` names; `{}` where one of them names nothing. */
function toReplaced(words: readonly Argument[]): string | undefined {
  for (const [at, { text = "" }] of words.entries()) {
    const named = /^-[0rtpxo]*[Ii](.*)$/.exec(text) ?? /^--replace=?(.*)$/.exec(text);
    if (named === null) continue;
    const inNext = /^-[0rtpxo]*I$/.test(text);
    return (inNext ? words[at + 1]?.text : named[1]) || "{}";
  }
  return undefined;
}

function toFindCommands(words: readonly Argument[]): readonly Inner[] {
  const found: Inner[] = [];
  for (const [at, { text }] of words.entries()) {
    if (text === undefined || !FIND_EXEC.has(text)) continue;
    const rest = words.slice(at + 1);
    const end = rest.findIndex((word) => word.text === ";" || word.text === "+");
    const inner = end === -1 ? rest : rest.slice(0, end);
    found.push({ kind: "command", words: inner, replaced: "{}" });
  }
  return found;
}

/** The script of `sh -c`. A file, or what comes on stdin, is not in the command: the shell's own name is all there is. */
function toShellScript({ words, ...command }: Command): Inner {
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word.text === undefined) return toDynamic(word);
    if (["--rcfile", "--init-file"].includes(word.text)) {
      at++;
      continue;
    }
    if (word.text.startsWith("--") && word.text !== "--") continue;
    if (!/^[-+]./.test(word.text) || word.text === "--") return command.appended ? toDynamic(word) : NOTHING;
    // The value of an `o` in the same word stands before the script.
    const next = at + (/[oO]/.test(word.text) ? 2 : 1);
    if (word.text.startsWith("-") && word.text.includes("c")) return toScript(words.slice(next), command);
    at = next - 1;
  }
  return command.appended ? { kind: "dynamic", source: "the script that xargs adds" } : NOTHING;
}

/** The first word behind `-c` that is no option, as a script. */
function toScript(words: readonly Argument[], { replaced, appended }: Omit<Command, "words">): Inner {
  let at = 0;
  for (; at < words.length; at++) {
    const { text } = words[at]!;
    if (text === undefined || !/^[-+]./.test(text)) break;
    if (text === "--") {
      at++;
      break;
    }
    if (/[oO]/.test(text)) at++;
  }
  const word = words[at];
  if (word === undefined) return appended ? { kind: "dynamic", source: "the script that xargs adds" } : NOTHING;
  if (word.text === undefined || (replaced !== undefined && word.text.includes(replaced))) return toDynamic(word);
  return word.text.trim() === "" ? NOTHING : { kind: "script", text: word.text };
}

function joinScript({ words }: Command): Inner {
  const all = words[0]?.text === "--" ? words.slice(1) : words;
  const unknown = all.find(({ text }) => text === undefined);
  if (unknown !== undefined) return toDynamic(unknown);
  const text = all.map((word) => word.text).join(" ");
  return text.trim() === "" ? NOTHING : { kind: "script", text };
}

function toTrapScript({ words }: Command): Inner {
  const [first] = words[0]?.text === "--" ? words.slice(1) : words;
  if (first === undefined) return NOTHING;
  if (first.text === undefined) return toDynamic(first);
  // `-l` and `-p` print, `-` and an empty one reset.
  return first.text.startsWith("-") || first.text.trim() === "" ? NOTHING : { kind: "script", text: first.text };
}

function toDynamic(word: Argument): Inner {
  return { kind: "dynamic", source: word.source };
}
