import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { ShellSession } from "#/sandbox/shell_session.ts";
import { plainSpec, PlainTier } from "../fixture/plain_tier.ts";
import { QUIET, withShell } from "./shell_kit.ts";

Deno.test("exec() keeps folder, variables, functions, options and jobs from one command to the next", () =>
  withShell(async ({ run, dir }) => {
    await run(
      "mkdir sub; cd sub; x=5; export Y=6; declare -A m=([k]=v); f() { echo in f; }; shopt -s nullglob; sleep 100 & echo started",
    );
    const { text, cwd, exitCode, notes } = await run(
      'echo $x ${m[k]}; sh -c "echo \\$Y"; f; shopt nullglob; jobs; kill %1; wait; false',
    );
    assert.match(text, /^5 v\n6\nin f\nnullglob +\ton\n\[1\]\+ +Running +sleep 100 &\n/);
    assert.equal(cwd, `${dir}/sub`);
    assert.equal(exitCode, 1);
    assert.deepEqual(notes, []);
    assert.equal((await run("echo $?")).text, "1\n");
  }));

const CASES: readonly (readonly [command: string, exitCode: number | undefined, text: string | RegExp])[] = [
  ["", 0, ""],
  ["no_such_command", 127, "bash: line 1: no_such_command: command not found\n"],
  ["\n\nno_such_command", 127, "bash: line 3: no_such_command: command not found\n"],
  ["echo 'unterminated", 2, /line 1: unexpected EOF/],
  ["echo $(", 2, /unexpected EOF|syntax error/],
  ["cat <<E\nhello\nE", 0, "hello\n"],
  ["echo é 漢字 🎈", 0, "é 漢字 🎈\n"],
  ["echo out; echo err >&2; echo out", 0, "out\nerr\nout\n"],
  ["cat; read -r x; echo read $?", 0, "read 1\n"],
  ["exec 1>&-; echo x", 1, /Bad file descriptor/],
  ["exec >/dev/null 2>&1; echo x", 0, ""],
  ["exec 240>&- 241>&-; echo x", 0, "x\n"],
  ["return 3", 2, /can only `return'/],
  ["continue", 0, ""],
  ["stty -a", 1, /Inappropriate ioctl|not a tty/i],
  ["test -t 0 || test -t 1 || echo no terminal", 0, "no terminal\n"],
  ["printf() { :; }; read() { :; }; kill() { :; }; cd() { :; }; eval() { :; }; exit() { :; }; trap() { :; }", 0, ""],
  ["builtin() { :; }; echo redefined", 0, "redefined\n"],
  [
    "unset -f printf read kill cd eval exit trap; shopt -s expand_aliases; alias printf=false read=false kill=false eval=false; echo ok",
    0,
    "ok\n",
  ],
  ["unalias -a; IFS=xyz; set -f; set -x", 0, ""],
  ["echo /*; set +x +f; unset IFS", 0, /\/\*\n/],
  ["set -v; echo v; set +v", 0, /v\n/],
  ["trap 'echo debug' DEBUG; trap 'echo err' ERR; false; trap - DEBUG ERR", 0, /err/],
  ["LC_ALL=C; echo é; unset LC_ALL", 0, "é\n"],
  ["export BIG=$(head -c 3000000 /dev/zero | tr '\\0' a); /bin/true", 126, /Argument list too long/],
  ["unset BIG; unset PWD; PWD=/nowhere; echo ok", 0, "ok\n"],
  ["timeout -s INT 0.2 sleep 5", 124, ""],
  ["(exit 9)", 9, ""],
  ["sh -c 'kill -SEGV $$'", 139, /Segmentation fault/],
];

Deno.test("exec() answers whatever a command does to its shell, and the shell goes on", () =>
  withShell(async ({ run, dir }) => {
    await run("kept=1");
    for (const [command, exitCode, text] of CASES) {
      const result = await run(command);
      assert.equal(result.exitCode, exitCode, `${command}: ${JSON.stringify(result)}`);
      if (typeof text === "string") assert.equal(result.text, text, command);
      else assert.match(result.text, text, command);
      assert.equal(result.cwd, dir, command);
      assert.deepEqual(result.notes, [], command);
    }
    assert.equal((await run("echo $kept")).text, "1\n");
  }));

Deno.test("exec() tells what ended a shell, and goes on with one of before the command", () =>
  withShell(async ({ run }) => {
    await run("kept=1; cd /usr");
    for (
      const [command, exitCode, note] of [
        ["kept=2; cd /; sleep 99 & exit 7", 7, /ended its shell/],
        ["set -e; kept=2; false; echo never", 1, /ended its shell/],
        ["set -u; echo $nope", 1, /ended its shell/],
        ["break; echo never", 0, /ended its shell/],
        ["kept=2; exec ls /proc/self/cmdline", undefined, /replaced or killed/],
        ["kill -9 $BASHPID", undefined, /replaced or killed/],
        ["trap 'echo bye' EXIT; exit 3", undefined, /replaced or killed/],
      ] as const
    ) {
      const result = await run(command);
      assert.equal(result.exitCode, exitCode, command);
      assert.match(result.notes.join("\n"), note, command);
      assert.ok(!result.text.includes("never"), command);
      const after = await run("echo $kept; jobs; echo $-; no_such_command");
      assert.deepEqual([after.text, after.cwd, after.notes], [
        "1\nhBc\nbash: line 1: no_such_command: command not found\n",
        "/usr",
        [],
      ], command);
    }
    assert.equal(
      (await run("timeout -s INT 0.2 sleep 5")).exitCode,
      124,
      "the shell that took over takes signals as before",
    );
  }));

Deno.test("exec() ends what passes its time, with whatever it started and whatever that ignores; what ran before it goes on", () =>
  withShell(async ({ run }) => {
    await run("kept=1; sleep 1234 & old=$!");
    for (
      const command of [
        "trap '' TERM INT HUP; sleep 1000",
        "setsid sh -c 'trap \"\" TERM; sleep 1001' & (sleep 1002 & sleep 1003 &) ; sleep 1004",
        "while :; do :; done",
        "set -n",
      ]
    ) {
      const result = await run(command, { timeoutMs: 300 });
      assert.equal(result.exitCode, undefined);
      assert.match(result.notes[0]!, /ended after 0\.3 s/);
      const after = await run("echo $kept; kill -0 $old && ps -eo args | grep -c '[s]leep 100'");
      assert.deepEqual([after.text, after.exitCode], ["1\n0\n", 1], command);
    }
  }));

Deno.test("exec() shows head and tail of 1 GB of output, and holds neither", () =>
  withShell(async ({ run }) => {
    const before = Deno.memoryUsage().rss;
    const live: number[] = [];
    const { text, outputBytes, exitCode } = await run("echo first; head -c 1000000000 /dev/zero; echo; echo last", {
      timeoutMs: 120_000,
      onOutput: (bytes) => live.push(bytes.length),
    });
    assert.equal(exitCode, 0);
    assert.equal(outputBytes, 1_000_000_012);
    assert.ok(text.length < LIMITS.toolResultBytesMax);
    assert.match(text, /^first\n[^]*of 1000000012 bytes of output are left out[^]*\nlast\n$/);
    assert.equal(live.reduce((sum, count) => sum + count, 0), outputBytes);
    assert.ok(Deno.memoryUsage().rss - before < 200_000_000);
    assert.equal((await run("echo on")).text, "on\n");
  }));

Deno.test("exec() lets no record of an earlier request end a later one, late or forged", () =>
  withShell(async ({ run }) => {
    await run(
      "(sleep 0.2; for i in 1 2 3 4 5 6 7 8; do printf '\\0%s e 66 9 /forged\\0' \"$__ox_nonce\"; sleep 0.05; done) & disown",
    );
    const { exitCode, cwd } = await run("sleep 0.5; (exit 4)");
    assert.equal(exitCode, 4);
    assert.notEqual(cwd, "/forged");
  }));

Deno.test("exec() ends a command that forged its own end when the next one comes, which begins where that one did", () =>
  withShell(async ({ run }) => {
    await run("mkdir a; cd a; x=1; sleep 1003 &");
    for (const [round, next] of ["k", "?", "echo $x; pwd -P; kill -0 $!"].entries()) {
      const forged = await run(
        "x=2; cd /; trap '' TERM; sleep 1004 & printf '\\0%s e 66 9 /forged\\0' \"$__ox_nonce\"; while :; do sleep 1005; done",
      );
      assert.deepEqual([forged.exitCode, forged.cwd], [66, "/forged"]);
      const after = await run(next);
      assert.deepEqual(after.exitCode, round < 2 ? 127 : 0, JSON.stringify(after));
      if (round === 2) assert.match(after.text, /^1\n\S+\/a\n$/);
      assert.match(after.cwd, /\/a$/);
      const { text } = await run("ps -eo args | grep -c '^sleep'");
      assert.equal(text, "1\n", "what was left before it is there, and nothing of it");
    }
  }));

Deno.test("exec() goes on in the same shell after a command that defined builtin and unset", () =>
  withShell(async ({ run }) => {
    await run("x=1; builtin() { :; }; unset() { :; }; eval() { :; }");
    const { exitCode, text } = await run("echo $x; type -t builtin unset; shopt -qo posix");
    assert.deepEqual([exitCode, text], [1, "1\nbuiltin\nbuiltin\n"]);
  }));

Deno.test("exec() tells what came between two commands, and what runs on", () =>
  withShell(async ({ run, dir }) => {
    const first = await run("(sleep 0.2; echo late; touch told; sleep 99) &");
    assert.match(first.notes.join(), /2 background processes run|1 background process runs/);
    while (!await Deno.stat(`${dir}/told`).then(() => true, () => false)) await run("sleep 0.05");
    await run("yes & disown");
    const told = await run("kill %1 2>/dev/null; pkill yes; pkill sleep; sleep 0.1");
    const { notes } = await run("true");
    assert.match([...first.notes, ...told.notes, ...notes].join("\n"), /background/);
    assert.equal((await run("true")).notes.length, 0);
  }));

Deno.test("exec() is bounded by nothing that runs between two commands: who writes too much waits", () =>
  withShell(async ({ run }) => {
    await run("(head -c 50000000 /dev/zero; echo end) & bg=$!");
    const { notes } = await run("wait; echo waited", { timeoutMs: 30_000 });
    assert.ok(notes.length <= 3);
    assert.ok(notes.join("").length < LIMITS.shellBetweenBytesMax * 4);
    assert.equal((await run("echo on")).text, "on\n");
  }));

Deno.test("exec() ends a command that stands at a question, and says what to do; one without input reads its end", () =>
  withShell(async ({ run }) => {
    const { notes, exitCode } = await run("printf 'Install 3 packages? [y/N] '; sleep 1000", { timeoutMs: 20_000 });
    assert.equal(exitCode, undefined);
    assert.match(notes[0]!, /no terminal and no input.*-y/s);
    assert.equal((await run("read -p 'Password: ' -r x; echo got:$x")).text, "got:\n");
  }));

Deno.test("exec() rejects when it is cancelled, and the command is gone", () =>
  withShell(async ({ run }) => {
    const control = new AbortController();
    const command = run("kept=1; sleep 1005", { signal: control.signal });
    control.abort();
    await assert.rejects(command, { code: "cancelled" });
    assert.equal((await run("echo [$kept]; ps -eo args | grep -c '[s]leep 1005'")).text, "[]\n0\n");
  }));

Deno.test("exec() survives kill -9 -1, or says that the shell was lost", () =>
  withShell(async ({ run, shell }) => {
    const { notes } = await run("kill -9 -1; sleep 0.1; echo alive");
    if (shell.over === undefined) assert.equal((await run("echo on")).text, "on\n");
    else assert.match(notes.join(), /was lost/);
  }));

Deno.test("exec() says so when the walls fall with the command, and takes none after that", () =>
  withShell(async ({ run, shell, tier }) => {
    const command = run("echo begun; sleep 1000", { onOutput: () => void tier.opened[0]!.process.kill() });
    const { notes, text, exitCode } = await command;
    assert.deepEqual([text, exitCode], ["begun\n", undefined]);
    assert.match(notes[0]!, /^The shell was lost: its processes were ended/);
    assert.notEqual(shell.over, undefined);
    await assert.rejects(run("echo x"), { code: "shell_ended" });
  }));

Deno.test("exec() ends the shell whole when nothing in it obeys", () =>
  withShell(async ({ run, shell }) => {
    // The checkpoint is gone: nobody is there to end the command.
    const { notes } = await run('kill -9 "$__ox_fork"; sleep 1000', { timeoutMs: 300 });
    assert.match(notes.join("\n"), /was lost: it could not end the command/);
    assert.notEqual(shell.over, undefined);
  }));

Deno.test("exec() shows binary output as text, with a count of what was none", () =>
  withShell(async ({ run }) => {
    const { text, notes } = await run("printf 'a\\0b\\377\\001c\\033[31mred\\033[0m\\n10%%\\r100%%\\n'");
    assert.equal(text, "a\ufffdb\ufffd\ufffdcred\n100%\n");
    assert.deepEqual(notes, ["3 characters of the output were no text and are shown as \ufffd"]);
  }));

Deno.test("ShellSession.open() says why when nothing inside answers", async () => {
  const dir = await Deno.makeTempDir();
  const tier = new PlainTier();
  tier.argv = ["sh", "-c", "echo no bash here >&2; exit 3"];
  const process = await tier.open(plainSpec(dir, []), QUIET);
  await assert.rejects(ShellSession.open(process, QUIET), { code: "tier_unavailable", message: /no bash here/ });
  await Deno.remove(dir);
});
