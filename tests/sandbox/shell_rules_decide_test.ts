import assert from "node:assert/strict";
import { decideShell, isRestricted, type ShellRulesConfig } from "#/sandbox/shell_rules_decide.ts";

const OPEN: ShellRulesConfig = { allow: ["*"], deny: [], replace_defaults: false, allow_operators: true };

function decide(
  found: { programs?: string; functions?: string; operators?: string; dynamic?: string },
  config: Partial<ShellRulesConfig>,
) {
  const split = (text = "") => text.split(" ").filter((one) => one !== "");
  const names = {
    programs: split(found.programs),
    functions: split(found.functions),
    operators: split(found.operators),
    dynamic: split(found.dynamic),
  };
  const verdict = decideShell(names, { ...OPEN, ...config });
  return verdict.allowed ? "" : verdict.reason;
}

Deno.test("isRestricted() is false for the defaults alone", () => {
  assert.equal(isRestricted(OPEN), false);
  assert.equal(isRestricted({ ...OPEN, allow: ["ls", "*"], replace_defaults: true }), false);
  for (const config of [{ allow: [] }, { allow: ["ls"] }, { deny: ["rm"] }, { allow_operators: false }]) {
    assert.equal(isRestricted({ ...OPEN, ...config }), true);
  }
});

Deno.test("decideShell() keeps to the allowed programs, with the reference's own where they are not replaced", () => {
  assert.equal(decide({ programs: "ls npm npx git" }, { allow: ["np*"] }), "");
  assert.equal(decide({ programs: "pytest mytests testing" }, { allow: ["*test*"], replace_defaults: true }), "");
  assert.match(
    decide({ programs: "wget" }, { allow: ["np*"] }),
    /^wget is not in tools\.shell\.allow \(awk, .*np\*\)$/,
  );
  assert.match(
    decide({ programs: "ls" }, { allow: ["git"], replace_defaults: true }),
    /^ls is not in tools\.shell\.allow \(git\)$/,
  );
  assert.match(decide({ programs: "ls" }, { allow: [], replace_defaults: true }), /\(nothing\)$/);
  assert.equal(decide({ programs: "GIT" }, { allow: ["gIt"], replace_defaults: true }), "");
});

Deno.test("decideShell() lets deny win, by name and by path", () => {
  assert.match(decide({ programs: "ls rm" }, { deny: ["rm"] }), /^rm is denied by tools\.shell\.deny \(rm\)$/);
  assert.match(decide({ programs: "rm" }, { allow: ["rm"], deny: ["r*"] }), /denied/);
  for (const program of ["/bin/rm", "./rm", "/shared/x/RM", "rm"]) {
    assert.match(decide({ programs: program }, { deny: ["rm"] }), /denied/, program);
  }
  assert.match(decide({ functions: "rm" }, { deny: ["rm"] }), /denied/);
  assert.match(decide({ programs: "cd" }, { deny: ["cd"] }), /denied/);
  assert.match(decide({ dynamic: "$X" }, { deny: ["*"] }), /denied/);
  assert.equal(decide({ programs: "rmdir", dynamic: "$X" }, { deny: ["rm"] }), "");
});

Deno.test("decideShell() takes a path for the program of that name only in the system's folders", () => {
  for (const program of ["/bin/ls", "/usr/bin/ls", "/usr/local/bin/ls", "/sbin/ls", "/usr/sbin/ls"]) {
    assert.equal(decide({ programs: program }, { allow: ["ls"] }), "", program);
  }
  for (const program of ["./ls", "/shared/ls", "/bin/../shared/ls", "~/ls", "/usr/bin/x/ls", "/usr/usr/bin/ls"]) {
    assert.match(decide({ programs: program }, { allow: ["ls"] }), /not in/, program);
  }
  assert.equal(decide({ programs: "./build.sh" }, { allow: ["./*"] }), "");
});

Deno.test("decideShell() refuses a program that cannot be read where programs are listed", () => {
  assert.match(decide({ dynamic: "$X" }, { allow: ["ls"] }), /which one \$X is/);
  assert.equal(decide({ dynamic: "$X" }, { allow: ["*"] }), "");
});

Deno.test("decideShell() counts the shell's own words as no programs", () => {
  assert.equal(decide({ programs: "cd export [ true command eval trap" }, { allow: [], replace_defaults: true }), "");
  for (const word of ["source", ".", "alias", "enable", "hash", "shopt", "mapfile", "complete", "env", "sh"]) {
    assert.match(decide({ programs: word }, { allow: [], replace_defaults: true }), /not in/, word);
  }
});

Deno.test("decideShell() wants one simple command when operators are off, before anything else", () => {
  assert.match(
    decide({ programs: "ls", operators: "|" }, { allow_operators: false }),
    /^tools\.shell\.allow_operators is off: .* without \|$/,
  );
  assert.equal(decide({ programs: "ls" }, { allow_operators: false }), "");
  assert.equal(decide({ programs: "ls", operators: "| &" }, {}), "");
});

Deno.test("decideShell() matches a pattern with many stars at once", () => {
  const pattern = "*a".repeat(2_000);
  assert.match(decide({ programs: "a".repeat(1_999) }, { allow: [pattern] }), /not in/);
  assert.equal(decide({ programs: "a".repeat(2_000) }, { allow: [pattern] }), "");
  assert.match(decide({ programs: "aa" }, { allow: ["a*a*a"], replace_defaults: true }), /not in/);
  assert.equal(decide({ programs: "a+b" }, { allow: ["a+*"], replace_defaults: true }), "");
  assert.match(decide({ programs: "aab" }, { allow: ["a+b"], replace_defaults: true }), /not in/);
});
