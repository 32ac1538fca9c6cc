import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { openLogFile } from "#/runner/log_file.ts";

const linesOf = (path: string) => Deno.readTextFileSync(path).split("\n").filter((line) => line !== "");

Deno.test("openLogFile() appends lines with their time, mode 0600, over restarts", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  for (const line of ["one", "zwei 🌊"]) {
    const log = openLogFile(path);
    log.write(line);
    log.close();
  }
  const lines = linesOf(path);
  assert.deepEqual(lines.map((line) => line.slice(line.indexOf(" ") + 1)), ["one", "zwei 🌊"]);
  for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
});

Deno.test("openLogFile() keeps the newest lines, and both files together within the bound", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  const bytesMax = 2_000;
  let log = openLogFile(path, bytesMax);
  const size = (name: string) => {
    try {
      return Deno.statSync(name).size;
    } catch {
      return 0;
    }
  };
  for (let at = 0; at < 200; at++) {
    if (at === 100) {
      // A runner that starts again counts what is there already.
      log.close();
      log = openLogFile(path, bytesMax);
    }
    log.write(`line ${at}`);
    assert.ok(size(path) + size(`${path}.1`) <= bytesMax, `after ${at}`);
  }
  log.close();
  const numbers = [...linesOf(`${path}.1`), ...linesOf(path)].map((line) => Number(line.split(" ").at(-1)));
  assert.equal(numbers.at(-1), 199);
  numbers.forEach((number, at) => assert.equal(number, numbers[0]! + at, "in order, none lost between the two"));
  assert.ok(numbers.length > 20);
});

Deno.test("openLogFile() on a full disk loses lines, never the caller", () => {
  const log = openLogFile("/dev/full");
  log.write("nowhere to go");
  log.close();
});

Deno.test("openLogFile() goes on when its second file cannot be made", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  await Deno.mkdir(join(`${path}.1`, "in the way"), { recursive: true });
  const log = openLogFile(path, 200);
  for (let at = 0; at < 20; at++) log.write(`line ${at}`);
  assert.ok(linesOf(path).length > 0);
  assert.ok(Deno.statSync(path).size <= 200);
  log.close();
  log.close();
  log.write("after the end");
});

Deno.test("openLogFile() stays within its bound and can be closed when its second file cannot be made", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  await Deno.mkdir(join(`${path}.1`, "in the way"), { recursive: true });
  const log = openLogFile(path, 400);
  for (let at = 0; at < 50; at++) {
    log.write(`line ${at}`);
    assert.ok(Deno.statSync(path).size <= 200);
  }
  assert.match(linesOf(path).at(-1)!, /line 49$/);
  log.close();
  log.close();
});

Deno.test("openLogFile() writes what a guest says as text", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  const log = openLogFile(path);
  log.write("\x1b]0;owned\x07\u009b2J\r");
  log.close();
  assert.match(linesOf(path)[0]!, / \\x1b\]0;owned\\x07\\x9b2J\\x0d$/);
});

Deno.test("openLogFile() takes logLinesPerSecMax lines a second and counts the rest", async () => {
  const path = join(await Deno.makeTempDir(), "runtime.log");
  let at = 5_000;
  const log = openLogFile(path, undefined, () => at);
  for (let i = 0; i < LIMITS.logLinesPerSecMax + 7; i++) log.write("");
  assert.equal(linesOf(path).length, LIMITS.logLinesPerSecMax);
  at += 1_000;
  log.write("later");
  assert.deepEqual(linesOf(path).slice(-2), [
    "1970-01-01T00:00:05.000Z runner: 7 more lines in this second",
    "1970-01-01T00:00:06.000Z later",
  ]);
  for (let i = 0; i < LIMITS.logLinesPerSecMax; i++) log.write("");
  log.close();
  assert.match(linesOf(path).at(-1)!, /1 more lines in this second/);
});

Deno.test("openLogFile() in a folder that takes no file loses lines, never the caller", async () => {
  const log = openLogFile(join(await Deno.makeTempDir(), "none", "runtime.log"));
  log.write("nowhere to go");
  log.close();
});
