/** `[tools.shell]` as far as it says which commands may run. */
export interface ShellRulesConfig {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly replace_defaults: boolean;
  readonly allow_operators: boolean;
}

/** What a parser found in one command. */
export interface ShellNames {
  /** Program words as the shell would see them, each once. */
  readonly programs: readonly string[];
  /** Functions that it defines: what they run is among the programs, and their names count for deny alone. */
  readonly functions: readonly string[];
  /** What makes it more than one simple command, as it is written, each once: `|`, `;`, `>`, `$(…)`, `if`. */
  readonly operators: readonly string[];
  /** Program words that only the shell itself will know, as they are written: `$X`, `$(…)`, `r*`. */
  readonly dynamic: readonly string[];
}

/** What the rules say of a command. `reason` is for the model and the audit log. */
export type ShellVerdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

/** The reference's list, which `allow` is added to unless `replace_defaults` is set. */
const DEFAULT_ALLOW =
  ("awk cat cargo cp curl cut echo env find git go grep head jq ls mkdir mv node printf pwd python python3 rustc sed " +
    "sleep sort stat tail touch tr uniq wc which").split(" ");

/** Words of the shell that change or ask its own state, and those whose command is looked at itself: no programs, so no list has to name them. */
const SHELL_WORDS: ReadonlySet<string> = new Set(
  (": true false test [ cd read exit return break continue shift set unset export local declare typeset readonly let wait " +
    "umask getopts times type dirs pushd popd jobs fg bg disown ulimit command builtin exec eval trap").split(" "),
);

/** A program there is the one of that name; anywhere else it is any file that somebody called so. */
const SYSTEM_DIR = /^\/(?:usr\/(?:local\/)?)?s?bin\/(?=[^/]+$)/;

/** Whether a configuration keeps any command out. If not, none has to be parsed. Pure. */
export function isRestricted(config: ShellRulesConfig): boolean {
  return !config.allow_operators || config.deny.length > 0 || !allowsEverything(config);
}

/**
 * Whether a command may run. Deny wins over allow; `*` in a pattern stands for any text, and names are compared without regard to case, as in the
 * reference. Where a list of allowed programs holds, a program outside of the system's folders is compared by its whole path,
 * and a program word that is not literal is refused. Pure. It is a convenience, not a wall: an allowed interpreter runs anything.
 */
export function decideShell(names: ShellNames, config: ShellRulesConfig): ShellVerdict {
  const refuse = (reason: string): ShellVerdict => ({ allowed: false, reason });
  const [operator] = names.operators;
  if (!config.allow_operators && operator !== undefined) {
    return refuse(`tools.shell.allow_operators is off: one simple command only, without ${operator}`);
  }
  for (const program of [...names.programs, ...names.functions]) {
    const forms = [program, baseName(program)];
    const pattern = config.deny.find((one) => forms.some((form) => matches(one, form)));
    if (pattern !== undefined) return refuse(`${program} is denied by tools.shell.deny (${pattern})`);
  }
  if (config.deny.includes("*")) return refuse("every command is denied by tools.shell.deny (*)");
  if (allowsEverything(config)) return { allowed: true };
  const [dynamic] = names.dynamic;
  if (dynamic !== undefined) {
    return refuse(`tools.shell.allow lists programs, and which one ${dynamic} is cannot be read from the command`);
  }
  const allow = config.replace_defaults ? config.allow : [...DEFAULT_ALLOW, ...config.allow];
  const other = names.programs.find((program) => {
    const name = program.replace(SYSTEM_DIR, "");
    return !SHELL_WORDS.has(name) && !allow.some((one) => matches(one, name) || matches(one, program));
  });
  if (other === undefined) return { allowed: true };
  return refuse(`${other} is not in tools.shell.allow (${allow.join(", ") || "nothing"})`);
}

function allowsEverything({ allow }: ShellRulesConfig): boolean {
  return allow.includes("*");
}

function baseName(program: string): string {
  return program.slice(program.lastIndexOf("/") + 1);
}

/** Matched by hand: each piece between two `*` is looked for once, so no pattern takes long. */
function matches(pattern: string, name: string): boolean {
  const pieces = pattern.toLowerCase().split("*");
  const text = name.toLowerCase();
  const [first, last] = [pieces[0]!, pieces.at(-1)!];
  if (pieces.length === 1) return text === first;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}
