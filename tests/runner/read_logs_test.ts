import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { LogsRequest } from "#/runner/control_frames.ts";
import { openLogFile } from "#/runner/log_file.ts";
import { parseSince, readLogs, toEntry, toFiles } from "#/runner/read_logs.ts";

const NOW = Date.parse("2030-01-31T18:00:00Z");
const at = (second: number) => new Date(NOW - 60_000 + second * 1_000).toISOString();

function makeLogs(files: Readonly<Record<string, string>>): string {
  const dir = Deno.makeTempDirSync({ prefix: "oxydra-logs-" });
  for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(join(dir, name), text);
  return dir;
}

function read(dir: string, request: Partial<LogsRequest> = {}, bytesMax?: number) {
  const { answer } = readLogs(dir, LogsRequest.parse(request), NOW, bytesMax);
  return { ...answer, messages: answer.entries.map(({ message }) => message) };
}

Deno.test("parseSince() takes RFC 3339 and durations, and refuses everything else", () => {
  const good: readonly (readonly [string, number])[] = [
    ["30s", NOW - 30_000],
    ["15m", NOW - 900_000],
    ["1h", NOW - 3_600_000],
    ["2d", NOW - 172_800_000],
    ["0s", NOW],
    ["2030-01-31T17:00:00Z", NOW - 3_600_000],
    ["2030-01-31T19:00:00.500+02:00", NOW - 3_599_500],
    // As clients of the reference may write it.
    ["2030-01-31T17:00:00", NOW - 3_600_000],
  ];
  for (const [text, expected] of good) assert.equal(parseSince(text, NOW), expected, text);
  const bad = [
    "",
    " ",
    "m",
    "15",
    "-1h",
    "1.5h",
    "1w",
    "15 m",
    "yesterday",
    "2030-01-31",
    "2030-13-45T00:00:00Z",
    "9999999999s",
    "\x1b[2J",
  ];
  for (const text of bad) assert.throws(() => parseSince(text, NOW), { code: "usage" }, text);
});

Deno.test("readLogs() puts the lines of all files in the order of their times, each with role and stream", () => {
  const dir = makeLogs({
    "runtime.log.1": `${at(1)} one\n`,
    "runtime.log": `${at(3)} three\n${at(5)} five\n`,
    "daemon.stdout.log": `${at(4)} four\n`,
    "daemon.stderr.log": "panicked\nat mod.ts\n",
    "sidecar.log": `${at(2)} two\n`,
  });
  assert.deepEqual(read(dir).messages, ["panicked", "at mod.ts", "one", "three", "four", "five"]);
  assert.deepEqual(read(dir, { role: "all", stream: "stderr" }).messages, [
    "panicked",
    "at mod.ts",
    "one",
    "two",
    "three",
    "five",
  ]);
  assert.deepEqual(read(dir, { stream: "stdout" }).entries, [
    { timestamp: at(4), source: "process_file", role: "runtime", stream: "stdout", message: "four" },
  ]);
  assert.deepEqual(read(dir, { role: "sidecar" }).messages, ["two"]);
  assert.deepEqual(read(dir).warnings, []);
});

Deno.test("readLogs() keeps lines without a time behind the one before them, and drops them with it", () => {
  const dir = makeLogs({
    "runtime.log": `${at(1)} old\n  of the old\n${at(30)} new\n  of the new\n`,
    "daemon.stdout.log": `${at(31)} last\n`,
  });
  assert.deepEqual(read(dir).messages, ["old", "  of the old", "new", "  of the new", "last"]);
  assert.deepEqual(read(dir, { since: "40s" }).messages, ["new", "  of the new", "last"]);
  assert.deepEqual(read(dir, { since: at(31) }).messages, ["last"]);
  assert.deepEqual(read(dir, { since: "0s" }), { entries: [], truncated: false, warnings: [], messages: [] });
});

Deno.test("readLogs() answers the newest `tail` lines, 200 unasked, never more than logTailMax, and says that others are there", () => {
  const lines = Array.from({ length: 1_500 }, (_, n) => `${at(n / 100)} ${n}\n`);
  const dir = makeLogs({ "runtime.log.1": lines.slice(0, 700).join(""), "runtime.log": lines.slice(700).join("") });
  for (
    const [tail, count] of [[undefined, 200], [3, 3], [900, 900], [LIMITS.logTailMax, 1_000], [1_000_000, 1_000], [
      0,
      0,
    ]] as const
  ) {
    const { messages, truncated } = read(dir, tail === undefined ? {} : { tail }, LIMITS.logShownBytesMax);
    assert.deepEqual(messages, Array.from({ length: count }, (_, n) => `${1_500 - count + n}`));
    assert.equal(truncated, true);
  }
  assert.equal(read(makeLogs({ "runtime.log": lines.slice(0, 200).join("") })).truncated, false);
});

Deno.test("readLogs() keeps an answer of the socket below the reference's frame, the newest lines of it", () => {
  const dir = makeLogs({
    "runtime.log": Array.from({ length: 300 }, (_, n) => `${at(n / 10)} ${'ü"'.repeat(500)} ${n}\n`).join(""),
  });
  const answer = read(dir, { tail: 1_000 });
  const { messages: _, ...payload } = answer;
  assert.ok(new TextEncoder().encode(JSON.stringify({ op: "logs", payload })).length <= 128 * 1024);
  assert.ok(new TextEncoder().encode(JSON.stringify(answer.entries)).length <= LIMITS.logAnswerBytesMax + 2);
  assert.ok(answer.truncated && answer.entries.length > 40);
  assert.ok(answer.messages.at(-1)!.endsWith(" 299"));
});

Deno.test("readLogs() survives a line without an end, an empty file, bytes that are no text, a folder and a pipe in a file's place", () => {
  const dir = makeLogs({
    "daemon.stdout.log": "",
    "daemon.stderr.log": "x".repeat(5_000_000),
    "sidecar.log": "\xff\x00\x1b[31mred",
  });
  Deno.mkdirSync(join(dir, "runtime.log"));
  new Deno.Command("mkfifo", { args: [join(dir, "sidecar.stdout.log")] }).outputSync();
  const { entries } = read(dir, { role: "all" }, LIMITS.logShownBytesMax);
  assert.deepEqual(entries.map(({ message }) => message.length), [LIMITS.logLineBytesMax, entries[1]!.message.length]);
  assert.ok(!entries[1]!.message.includes("\x1b"));
  const nowhere = read(join(dir, "nowhere"), { role: "all" });
  assert.deepEqual([nowhere.entries, nowhere.warnings], [[], ["no sidecar has written anything here"]]);
});

Deno.test("readLogs() says which file cannot be read, and reads the others", () => {
  const dir = makeLogs({ "runtime.log": `${at(1)} one\n`, "daemon.stdout.log": `${at(2)} two\n` });
  const before = Deno.openSync;
  try {
    Deno.openSync = (path, options) => {
      if (String(path).endsWith("runtime.log")) throw new Deno.errors.PermissionDenied("not yours");
      return before(path, options);
    };
    const { messages, warnings } = read(dir);
    assert.deepEqual([messages, warnings], [["two"], ["runtime.log cannot be read: not yours"]]);
  } finally {
    Deno.openSync = before;
  }
});

Deno.test("readLogs() reads what openLogFile() wrote, over a turn of the page", () => {
  const dir = makeLogs({});
  const log = openLogFile(join(dir, "runtime.log"), 2_000, () => NOW);
  for (let n = 0; n < 40; n++) log.write(`line ${n}`);
  log.close();
  const { messages } = read(dir);
  assert.ok(messages.length > 20);
  assert.deepEqual(messages, Array.from({ length: messages.length }, (_, n) => `line ${40 - messages.length + n}`));
});

Deno.test("toFiles() and toEntry() choose and read by role and stream", () => {
  assert.deepEqual(toFiles({ role: "sidecar", stream: "stderr" }).map(({ name }) => name), ["sidecar.log"]);
  const [file] = toFiles({ role: "runtime", stream: "stderr" });
  const source = { source: "process_file", role: "runtime", stream: "stderr" };
  assert.deepEqual(toEntry("2030-01-31T18:00:00.123456789Z text", file!), {
    timestamp: "2030-01-31T18:00:00.123456789Z",
    ...source,
    message: "text",
  });
  assert.deepEqual(toEntry("no time", file!), { ...source, message: "no time" });
});
