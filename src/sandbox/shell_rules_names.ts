import { type Assignment, forEachChild, parse, type Script, type SyntaxNode, type Word, type WordPart } from "unbash";
import { LIMITS } from "#/core/limits.ts";
import type { ShellNames } from "#/sandbox/shell_rules_decide.ts";
import { type Argument, type Inner, lookThrough } from "#/sandbox/shell_rules_wrappers.ts";

/** What a parser answers: the names, or why there are none. */
export type ShellReading =
  | ({ readonly readable: true } & ShellNames)
  | { readonly readable: false; readonly why: string };

/** A script that cannot be read to its end: what it would run is anybody's guess. */
class Unreadable extends Error {}

/**
 * The names in a command of Bash: every program word, through pipes, lists, groups, functions, substitutions and here-documents, and through
 * programs and builtins that plainly run another one (`env`, `xargs`, `find -exec`, `sh -c`). Pure. Never throws.
 */
export function readShell(command: string): ShellReading {
  const reader = new NameReader();
  try {
    if (command.includes("\0")) throw new Unreadable("it has a NUL character");
    if (command.trim() === "") throw new Unreadable("it is empty");
    reader.read(command, 0);
    return { readable: true, ...reader.names() };
  } catch (error) {
    if (error instanceof Unreadable) return { readable: false, why: error.message };
    // A stack that is full, or a fault of the parser: either way nobody knows what the command is.
    return { readable: false, why: "it is too deeply nested" };
  }
}

/** A function of the command itself, from where it is defined on. */
interface Defined {
  readonly name: string;
  readonly from: number;
}

class NameReader {
  readonly #programs = new Set<string>();
  readonly #operators = new Set<string>();
  readonly #functions = new Set<string>();
  readonly #dynamic = new Set<string>();

  names(): ShellNames {
    return {
      programs: [...this.#programs],
      functions: [...this.#functions],
      operators: [...this.#operators],
      dynamic: [...this.#dynamic],
    };
  }

  read(text: string, depth: number): void {
    if (depth > LIMITS.shellRulesDepthMax) throw new Unreadable("it has too many scripts inside of scripts");
    const script = parse(text);
    const defined = toDefined(script, text);
    const visit = (node: SyntaxNode): void => {
      this.#note(node);
      if (node.type === "Command") this.#readCommand(node, defined, depth);
      forEachChild(node, visit);
      if (this.#programs.size + this.#functions.size + this.#dynamic.size > LIMITS.shellRulesNamesMax) {
        throw new Unreadable(`it names more than ${LIMITS.shellRulesNamesMax} programs`);
      }
    };
    visit(script);
  }

  #readCommand(node: SyntaxNode & { type: "Command" }, defined: readonly Defined[], depth: number): void {
    if (node.name === undefined) return;
    const words = [node.name, ...node.args].map(toArgument);
    const [name] = words;
    if (name?.text !== undefined && defined.some((one) => one.name === name.text && one.from <= node.pos)) return;
    this.#follow({ kind: "command", words }, depth);
  }

  #follow(inner: Inner, depth: number): void {
    switch (inner.kind) {
      case "nothing":
        return;
      case "dynamic":
        return void this.#dynamic.add(inner.source.slice(0, LIMITS.shellRulesWordCharsMax));
      case "script":
        return this.read(inner.text, depth + 1);
      case "command": {
        const [name] = inner.words;
        if (name?.text === undefined || name.text === "") {
          return this.#follow({ kind: "dynamic", source: name?.source ?? "" }, depth);
        }
        if (name.text.length > LIMITS.shellRulesWordCharsMax) {
          throw new Unreadable("it names a program by a very long word");
        }
        this.#programs.add(name.text);
        if (depth > LIMITS.shellRulesDepthMax) throw new Unreadable("it has too many commands inside of commands");
        for (const next of lookThrough({ ...inner, name: name.text })) this.#follow(next, depth + 1);
      }
    }
  }

  /** What is more than one simple command, and what was not understood. */
  #note(node: SyntaxNode): void {
    switch (node.type) {
      case "Script":
        if (node.errors !== undefined && node.errors.length > 0) throw new Unreadable(node.errors[0]!.message);
        if (node.commands.length > 1) this.#operators.add("a list of commands");
        return;
      case "Statement":
        if (node.background) this.#operators.add("&");
        return;
      case "AndOr":
      case "Pipeline":
        for (const operator of node.operators) this.#operators.add(operator);
        return;
      case "Redirect":
      case "HereString":
      case "HereDoc":
        return void this.#operators.add(node.operator);
      case "CommandExpansion":
      case "ArithmeticCommandExpansion":
      case "ProcessSubstitution":
        if (node.script === undefined) throw new Unreadable(`it has ${node.text.slice(0, 40)}, which is not a command`);
        return void this.#operators.add(node.type === "ProcessSubstitution" ? `${node.operator}(…)` : "$(…)");
      case "ArithmeticExpansion":
      case "ArithmeticCommand":
        if (node.expression === undefined && /[$`]/.test(node.type === "ArithmeticCommand" ? node.body : node.text)) {
          throw new Unreadable("it has arithmetic that is none");
        }
        if (node.type === "ArithmeticCommand") this.#operators.add("((…))");
        return;
      case "Transform":
        // Runs what the variable holds.
        if (node.operand.value.includes("P")) this.#follow({ kind: "dynamic", source: `@${node.operand.text}` }, 0);
        return;
      case "Word":
        if (SUBSCRIPT.test(node.value)) this.#follow({ kind: "dynamic", source: node.text }, 0);
        return;
      case "Unknown":
        throw new Unreadable("it has an expansion that is unknown here");
      case "Function":
        if (node.name.text.length > LIMITS.shellRulesWordCharsMax) {
          throw new Unreadable("it names a function by a very long word");
        }
        this.#functions.add(node.name.text);
        return void this.#operators.add("a function");
      default: {
        const word = COMPOUND[node.type];
        if (word !== undefined) this.#operators.add(word);
      }
    }
  }
}

/** Text that runs a command where Bash takes it for arithmetic, also as the value of a variable: `let 'a[$(id)]'`. */
const SUBSCRIPT = /[\w[]\[[^[\]]*(?:\$\(|`)/;

const COMPOUND: Readonly<Partial<Record<SyntaxNode["type"], string>>> = {
  If: "if",
  For: "for",
  ArithmeticFor: "for",
  Select: "select",
  While: "while",
  Case: "case",
  Subshell: "(…)",
  BraceGroup: "{…}",
  TestCommand: "[[…]]",
  Coproc: "coproc",
};

/** A call of a function needs no entry in a list, for its body is looked at. Only plain definitions count: none that may not happen, or is undone. */
function toDefined(script: Script, text: string): readonly Defined[] {
  if (text.includes("unset")) return [];
  return script.commands.flatMap(({ command, background }) =>
    command.type === "Function" && !background ? [{ name: command.name.text, from: command.pos }] : []
  );
}

/** `text` is absent when the shell would make something else of the word than what is written. */
function toArgument(node: Word | Assignment): Argument {
  const source = node.text;
  const { parts, value } = node.type === "Word" ? node : { parts: undefined, value: source };
  if (parts === undefined) return { source, text: node.type === "Word" || isPlain(source) ? value : undefined };
  if (parts.every(isLiteral)) return { source, text: value };
  // For `env A="$X" ls`: an assignment whatever it holds, and one word.
  const isAssigned = /^[A-Za-z_]\w*=/.test(source) && !source.includes("@");
  const isWhole = parts.every((part) => isLiteral(part) || part.type === "DoubleQuoted");
  return { source, text: isAssigned && isWhole ? source : undefined };
}

function isLiteral(part: WordPart): boolean {
  if (part.type === "DoubleQuoted") return part.parts.every(({ type }) => type === "Literal");
  return part.type === "Literal" || part.type === "SingleQuoted" || part.type === "AnsiCQuoted";
}

/** An assignment among the arguments: nothing in it stands for something else. */
function isPlain(text: string): boolean {
  return /^[\w=.,:/%+-]*$/.test(text);
}
