import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { readShell } from "#/sandbox/shell_rules_names.ts";
import { assertLinear } from "../fixture/linear.ts";

function names(command: string): Record<"programs" | "functions" | "operators" | "dynamic", readonly string[]> {
  const reading = readShell(command);
  assert.ok(reading.readable, `${command}: ${JSON.stringify(reading)}`);
  return reading;
}

const PROGRAMS: readonly (readonly [command: string, programs: string])[] = [
  ["ls -la /shared", "ls"],
  ["A=1 B=2 ls", "ls"],
  ["A=1", ""],
  ["r\\m 'l's \"x\"", "rm"],
  ["'r'm; \"l\"s; $'\\x63at'", "rm ls cat"],
  ["r\\\nm x", "rm"],
  ["a | b |& c && d || e; f & g\nh", "a b c d e f g h"],
  ["(a; b) && { c; }", "a b c"],
  ["if a; then b; elif c; then d; else e; fi", "a b c d e"],
  ["while a; do b; done; until c; do d; done", "a b c d"],
  ["for x in $(a) `b`; do c; done; for ((i=$(d); i; i)); do e; done", "a b c d e"],
  ["case $(a) in $(b)) c;; *) d;; esac", "a b c d"],
  ["select x in 1; do a; done", "a"],
  ["! a; time -p b; coproc c; coproc N { d; }", "a b c d"],
  ["x=$(a) y=`b` c", "c a b"],
  ["x=(1 $(a)); x[$(b)]=1; x+=($(c))", "a b c"],
  ['echo "a $(a) ${x:-$(b)} ${y/$(c)/`d`} ${z[$(e)]}" $((1 + $(f))) $[ $(g) ]', "echo a b c d e f g"],
  ["((x[$(a)])); [[ $(b) == $(c) ]]", "a b c"],
  ["a <(b) >(c)", "a b c"],
  ["a > $(b) < `c` 2>&1", "a b c"],
  ["cat <<E\n$(a) `b` ${x:-$(c)}\nE\nd", "cat a b c d"],
  ["cat <<'E'\n$(a) `b`\nE", "cat"],
  ["cat <<< $(a)", "cat a"],
  ["a `b \\`c\\``", "a b c"],
  ["echo 'no $(a) `b`' \"no \\$(c)\" # $(d)", "echo"],
  ["echo ${ a; } ${| b; }", "echo a b"],
  ["echo {a,$(b)} @(x|$(c))", "echo b c"],
];

Deno.test("readShell() finds every program word, wherever it stands", () => {
  for (const [command, programs] of PROGRAMS) assert.equal(names(command).programs.join(" "), programs, command);
});

const WRAPPED: readonly (readonly [command: string, programs: string])[] = [
  ["env -i -- A=1 ls", "env ls"],
  ['env -u X -C / --chdir=/ - A="$(x)" ls', "env ls x"],
  ["env A=1 B=/x ls", "env ls"],
  ["command -p ls; command -v rm; builtin echo; exec -a rm ls; exec 2>&1", "command ls builtin echo exec"],
  [
    "nohup nice -n 5 ionice -c3 timeout -k 1 --signal=KILL 5 setsid -w stdbuf -oL rm x",
    "nohup nice ionice timeout setsid stdbuf rm",
  ],
  ["/usr/bin/env /bin/rm", "/usr/bin/env /bin/rm"],
  ["sudo -u root A=1 rm x; doas -u root rm", "sudo rm doas"],
  ["busybox rm x; busybox sh -c 'ls; rm'", "busybox rm sh ls"],
  ["xargs; xargs -0r -n 1 -P4 rm; xargs -I% echo %; xargs -d '\\n' --max-args=1 cat", "xargs rm echo cat"],
  ["find . -name '*.x' -exec rm {} \\; -execdir ls {} + -ok cat {} ';'", "find rm ls cat"],
  [
    "sh -c 'a; b'; bash -lc \"c | d\" x y; bash -o pipefail -c 'e'; bash -oc pipefail f; dash -ec g",
    "sh a b bash c d e f dash g",
  ],
  ["bash --norc script.sh; sh; bash -s", "bash sh"],
  ["eval 'a; b' c; eval -- d; trap 'e; f' EXIT; trap - EXIT; trap -p", "eval a b d trap e f"],
  ["sh -c 'sh -c \"sh -c rm\"'", "sh rm"],
  ["time env rm", "env rm"],
];

Deno.test("readShell() looks through what plainly runs another program", () => {
  for (const [command, programs] of WRAPPED) {
    assert.equal(names(command).programs.join(" "), programs, command);
    assert.deepEqual(names(command).dynamic, [], command);
  }
});

Deno.test("readShell() says which program words only the shell will know", () => {
  const cases = [
    "$X a",
    '"$X"',
    "$(ls) a",
    "`ls`",
    "l* a",
    "l?",
    "[l]s",
    "{ls,-la}",
    '$"ls"',
    '"" a',
    "a$X",
    "env $X",
    "env A=$X ls",
    'env A="$@" ls',
    "nice -n $X ls",
    "timeout $X ls",
    "env -S 'rm x'",
    "env --spl='rm x'",
    "env --unknown ls rm",
    "command $X",
    "exec $X",
    "nice --adj 5 rm",
    "timeout $X rm",
    "xargs env",
    "xargs sh -c",
    "xargs bash",
    "xargs -I{} {} x",
    "xargs -I @ sh -c 'rm @'",
    "find . -exec {} \\;",
    "find . -exec sh -c 'rm {}' \\;",
    'sh -c "$X"',
    "sh $X",
    'eval "rm $X"',
    'trap "$X" EXIT',
    "echo ${x@P}",
    "let 'a[$(rm)]'",
    "x='a[`rm`]'; ((x))",
    "[[ 'a[$(rm)]' -eq 0 ]]",
    "sh -c '\"$@\"' x rm y",
  ];
  for (const command of cases) assert.notDeepEqual(names(command).dynamic, [], command);
});

Deno.test("readShell() knows one simple command from everything else", () => {
  for (
    const command of [
      "ls -la",
      "A=1 ls 'a;b' \"c|d > e\"",
      "ls\n",
      "ls # a; b",
      "echo $((1+1)) $X ${Y:-z}",
      "! ls",
      "env ls",
    ]
  ) {
    assert.deepEqual(names(command).operators, [], command);
  }
  const cases = [
    "a|b",
    "a&&b",
    "a||b",
    "a;b",
    "a\nb",
    "a&",
    "a>b",
    "a<b",
    "a 2>&1",
    "a<<E\nE\n",
    "a<<<b",
    "a $(b)",
    "a `b`",
  ];
  const compound = [
    "(a)",
    "{ a; }",
    "if a; then b; fi",
    "f() { a; }",
    "a <(b)",
    "for x in y; do a; done",
    "coproc a",
    "[[ a ]]",
  ];
  for (
    const command of [...cases, ...compound, "sh -c 'a;b'", "case x in y) a;; esac", "while a; do b; done", "((1))"]
  ) {
    assert.notDeepEqual(names(command).operators, [], command);
  }
});

Deno.test("readShell() counts the body of a function and not its call, where the definition is sure to stand", () => {
  const { programs, functions } = names("f() { rm x; }; f; function g { ls; }; g");
  assert.deepEqual([programs, functions], [["rm", "ls"], ["f", "g"]]);
  for (
    const command of [
      "f; f() { ls; }",
      "if a; then f() { ls; }; fi; f",
      "(f() { ls; }); f",
      "f() { ls; } & f",
      "f() { ls; }; unset -f f; f",
      "f() { ls; }; command f",
      "f() { ls; } | a; f",
    ]
  ) assert.ok(names(command).programs.includes("f"), command);
});

Deno.test("readShell() refuses what it cannot read to the end", () => {
  const cases = [
    "",
    "  \n",
    "(",
    "a)",
    "if a",
    "echo 'a",
    'echo "a',
    "echo $(a",
    "echo `a",
    "a |",
    "&& a",
    "a\0b",
    "${",
    "echo $((",
    "{ a",
    "esac",
  ];
  for (const command of cases) assert.equal(readShell(command).readable, false, JSON.stringify(command));
  assert.equal(readShell("sh -c 'a; ('").readable, false);
});

Deno.test("readShell() is bounded: names, their length, scripts inside of scripts, nesting", () => {
  const many = (count: number) => readShell(Array.from({ length: count }, (_, at) => `p${at}`).join(";")).readable;
  assert.deepEqual([many(LIMITS.shellRulesNamesMax), many(LIMITS.shellRulesNamesMax + 1)], [true, false]);
  const long = (chars: number) => readShell("p".repeat(chars)).readable;
  assert.deepEqual([long(LIMITS.shellRulesWordCharsMax), long(LIMITS.shellRulesWordCharsMax + 1)], [true, false]);
  const deep = (count: number) => readShell(`${"env ".repeat(count)}ls`).readable;
  assert.deepEqual([deep(LIMITS.shellRulesDepthMax), deep(LIMITS.shellRulesDepthMax + 2)], [true, false]);
  for (const piece of ["$(", "((", "{ ", "${a:-", '"$(', "if a; then ", "<("]) {
    assert.equal(readShell(piece.repeat(20_000)).readable, false, piece);
  }
});

Deno.test("readShell() takes time linear in the command", () => {
  for (
    const piece of ["a ", "a;", "'a' ", "$((1)) ", "a=b ", "a[", "a[$", "'a[b'", "{a,b} ", "<<<a ", "# a\n", "a\\\n"]
  ) {
    assertLinear(piece, readShell);
  }
});
