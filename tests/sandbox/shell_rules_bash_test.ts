/** What the parser names, compared with what a real Bash runs. */
import assert from "node:assert/strict";
import { delay } from "#/lib/delay.ts";
import { readShell } from "#/sandbox/shell_rules_names.ts";
import { join } from "../fixture/source_tree.ts";

const COMMANDS = 120;
const PROGRAMS = 8;
const BASH = "/bin/bash";
const WRAPPERS = ["env", "xargs", "find", "nice", "timeout", "nohup", "setsid", "stdbuf", "cat", "true", "sh", "bash"];

/** Numbers below `bound` that are the same in every run. */
function numbers(seed: number): (bound: number) => number {
  return (bound) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(seed / 2 ** 32 * bound);
  };
}

/** A command in which every program runs: each `p` succeeds, prints its name, and writes it down. */
class Generator {
  readonly used = new Set<string>();
  readonly #next: (bound: number) => number;

  constructor(next: (bound: number) => number) {
    this.#next = next;
  }

  list(depth: number): string {
    const count = 1 + this.#next(3);
    const parts = Array.from({ length: count }, () => this.#item(depth));
    return parts.slice(1).reduce(
      (all, part) => all + this.#pick(["; ", "\n", " && ", " & ", " | ", " |& "]) + part,
      parts[0]!,
    );
  }

  #item(depth: number): string {
    const shapes = [
      () => this.#simple(depth),
      () => this.#wrapped(),
      ...(depth === 0 ? [] : [
        () => `(${this.list(depth - 1)})`,
        () => `{ ${this.list(depth - 1)}; }`,
        () => `if ${this.#simple(depth - 1)}; then ${this.list(depth - 1)}\nfi`,
        () => `for x in a b; do ${this.list(depth - 1)}\ndone`,
        () => `while ${this.#simple(depth - 1)}; do ${this.list(depth - 1)}\nbreak\ndone`,
        () => `case x in y|x) ${this.list(depth - 1)}\n;; esac`,
        () => `until ${this.#simple(depth - 1)}; do :; done`,
        () => `f() { ${this.list(depth - 1)}\n}\nf`,
        () => `{ ! ${this.#simple(depth - 1)}; } || :`,
        () => `{ time ${this.#simple(depth - 1)}; }`,
        () => `((1 + $(${this.list(depth - 1)} > /dev/null; echo 1)))`,
        () => `[[ -n $(${this.list(depth - 1)}) || 1 ]]`,
        () => `cat <<E\n$(${this.list(depth - 1)})\nE\n:`,
        () => `cat <<< "$(${this.list(depth - 1)})"`,
        () => `bash -c '${this.#quotable(depth - 1)}'`,
        () => `eval '${this.#quotable(depth - 1)}'`,
      ]),
    ];
    return this.#pick(shapes)();
  }

  #simple(depth: number): string {
    const words = Array.from({ length: this.#next(3) }, () => this.#word(depth));
    return [this.#pick(["", "A=1 ", "A=1 B='x y' "]) + this.#name(), ...words].join(" ") +
      this.#pick(["", " 2>&1", " > /dev/null", " < /dev/null"]);
  }

  #word(depth: number): string {
    if (depth <= 0) return this.#pick(["a", "'a; p9'", '"$X"', "a\\;b", "$'\\n'", "a#b", "{a,b}", "*"]);
    const inner = this.#simple(depth - 1);
    return this.#pick([
      `$(${inner})`,
      `"a $(${inner}) b"`,
      `\`p0\``,
      `<(${inner})`,
      `\${X:-$(${inner})}`,
      `$((1 + $(${inner} >&2; echo 1)))`,
      `'$(p9)'`,
    ]);
  }

  #wrapped(): string {
    const name = this.#name();
    return this.#pick([
      `env A=1 ${name}`,
      `env -u A -- ${name} x`,
      `echo a | xargs ${name}`,
      `echo a | xargs -I% ${name} %`,
      `find . -maxdepth 0 -exec ${name} {} \\;`,
      `find . -maxdepth 0 -exec ${name} {} +`,
      `nice -n 1 timeout -s KILL 5 ${name}`,
      `nohup setsid -w ${name} > /dev/null`,
      `stdbuf -oL ${name}`,
      `command ${name}`,
      `(exec ${name})`,
      `sh -ec ${name}`,
      `trap ${name} USR1; kill -USR1 $BASHPID`,
      `coproc ${name}; wait`,
    ]);
  }

  /** A list without quotes of its own. */
  #quotable(depth: number): string {
    const text = new Generator(this.#next);
    for (;;) {
      const list = text.list(Math.max(0, depth));
      if (!list.includes("'") && !list.includes("$$")) {
        for (const name of text.used) this.used.add(name);
        return list;
      }
    }
  }

  #name(): string {
    const name = `p${this.#next(PROGRAMS)}`;
    this.used.add(name);
    return this.#pick([name, name, name, `'${name}'`, `"p"${name.slice(1)}`, `\\${name}`, `p\\\n${name.slice(1)}`]);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#next(choices.length)]!;
  }
}

Deno.test("readShell() names the programs that Bash runs, in commands of every shape", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const bin = join(dir, "bin");
    Deno.mkdirSync(bin);
    for (const name of WRAPPERS) Deno.symlinkSync(Deno.realPathSync(`/usr/bin/${name}`), join(bin, name));
    for (let at = 0; at < PROGRAMS; at++) {
      Deno.writeTextFileSync(
        join(bin, `p${at}`),
        '#!/bin/sh\necho "${0##*/}" >> "$LOG"\n',
      );
      Deno.chmodSync(join(bin, `p${at}`), 0o755);
    }
    const next = numbers(20_261_124);
    let [ran, refused] = [0, 0];
    for (let at = 0; at < COMMANDS; at++) {
      const generator = new Generator(next);
      const command = generator.list(2);
      const reading = readShell(command);
      if (!reading.readable) {
        const { success } = await runBash(["-n", "-c", command], { bin, log: "/dev/null" });
        if (success) refused++;
        continue;
      }
      const named = reading.programs.filter((name) => /^p\d$/.test(name));
      const log = join(dir, `${at}.log`);
      Deno.writeTextFileSync(log, "");
      const { success } = await runBash(["-c", `${command}\nwait`], { bin, log });
      const logged = new Set(Deno.readTextFileSync(log).split("\n").filter((name) => name !== ""));
      const where = `${JSON.stringify(command)} (${success})`;
      const hidden = [...logged].filter((name) => !named.includes(name));
      assert.deepEqual(hidden, [], `ran and was not named: ${where}`);
      const unused = named.filter((name) => !generator.used.has(name) && name !== "p0");
      assert.deepEqual(unused, [], `was named and is not there: ${where}`);
      ran += logged.size;
    }
    // `$((` that turns out to be no arithmetic, inside of arithmetic: Bash guesses again, the parser does not.
    assert.ok(refused <= COMMANDS / 20, `${refused} commands that Bash reads were refused`);
    assert.ok(ran > COMMANDS * 2, `only ${ran} programs ran`);
  } finally {
    // What a command left in the background may still write its name.
    for (let left = 50; left > 0; left--) {
      const isGone = await Deno.remove(dir, { recursive: true }).then(() => true, () => false);
      if (isGone) break;
      await delay(20, new AbortController().signal);
    }
  }
});

function runBash(args: readonly string[], { bin, log }: { readonly bin: string; readonly log: string }) {
  return new Deno.Command("/usr/bin/timeout", {
    args: ["-s", "KILL", "2", BASH, "--norc", ...args],
    clearEnv: true,
    env: { PATH: bin, LOG: log },
    cwd: bin,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
}
