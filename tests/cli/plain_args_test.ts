import assert from "node:assert/strict";
import { toPlainStatus, toPlainTurn } from "#/cli/plain_args.ts";
import { reportError } from "#/cli/report_error.ts";
import { AppError } from "#/core/error.ts";
import { makeMachine, runOxydra } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

Deno.test("toPlainTurn() reads the plain forms of run, chat and ask", () => {
  const cases: readonly (readonly [string, ReturnType<typeof toPlainTurn>])[] = [
    ["run hello world", { mode: "run", prompt: "hello world", options: {} }],
    ["run --json hello", { mode: "run", prompt: "hello", options: { json: true } }],
    ["run hello --session s1 --model a/b", { mode: "run", prompt: "hello", options: { session: "s1", model: "a/b" } }],
    ["run hello --save-media out", { mode: "run", prompt: "hello", options: { saveMedia: "out" } }],
    ["run -- --json is text", { mode: "run", prompt: "--json is text", options: {} }],
    ["ask -- write it", { mode: "run", prompt: "write it", options: {} }],
    ["ask --", { mode: "chat", options: {} }],
    ["ask", { mode: "chat", options: {} }],
    ["chat --user u --config d", { mode: "chat", options: { user: "u", config: "d" } }],
  ];
  for (const [line, expected] of cases) assert.deepEqual(toPlainTurn(line.split(" ")), expected, line);
});

Deno.test("toPlainTurn() leaves help, mistakes and everything else to the parser", () => {
  const lines = [
    "",
    "--help",
    "--version",
    "run",
    "run --help",
    "run -h x",
    "run --nope x",
    "run --session",
    "run --session --json x",
    "run --model=a/b x",
    "chat hello",
    "run --tier process x",
    "doctor",
    "config show",
    "toString x",
    "run --constructor x",
    "run -",
  ];
  for (const line of lines) assert.equal(toPlainTurn(line === "" ? [] : line.split(" ")), null, line);
});

Deno.test("toPlainStatus() reads the plain forms of status and leaves the rest to the parser", () => {
  const cases: readonly (readonly [string, ReturnType<typeof toPlainStatus>])[] = [
    ["status", {}],
    ["status --json", { json: true }],
    ["status --user u --json --config d", { user: "u", json: true, config: "d" }],
  ];
  for (const [line, expected] of cases) assert.deepEqual(toPlainStatus(line.split(" ")), expected, line);
  const others = [
    "",
    "run",
    "status now",
    "status --help",
    "status -h",
    "status --tier process",
    "status --model a/b",
    "status --user",
    "status -- x",
    "status --session s",
  ];
  for (const line of others) assert.equal(toPlainStatus(line.split(" ")), null, line);
});

Deno.test("a plain command line and the same one through the parser do the same", async () => {
  const machine = await makeMachine();
  const plain = await runOxydra(["run", "--json", "list /shared"], machine);
  const parsed = await runOxydra(["run", "--json", "--tier", "process", "list /shared"], machine);
  const types = (out: string) =>
    out.trim().split("\n").map((line) => JSON.parse(line).type).filter((type) => type !== "text_delta");
  assert.deepEqual([plain.code, parsed.code], [0, 0], plain.err + parsed.err);
  assert.deepEqual(types(plain.out), types(parsed.out));
});

Deno.test("reportError() says our sentence, or an id and what it was", async () => {
  using realm = enterRealm({ cwd: await Deno.makeTempDir(), env: {} });
  assert.equal(reportError(new AppError("config_invalid", "a line\x1b[2J")), 2);
  assert.equal(realm.err(), "oxydra: a line\\x1b[2J\n");
  assert.equal(reportError(new Error("boom")), 1);
  assert.match(realm.err(), /internal error \([0-9a-f]{8}\)[\s\S]*boom/);
});
