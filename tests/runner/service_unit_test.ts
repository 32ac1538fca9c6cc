import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { type ServiceInput, toLaunchdPlist, toServiceName, toSystemdUnit } from "#/runner/service_unit.ts";

const ODD = `/opt/a b/100%/it's "x" \\n $HOME ü`;
const INPUT: ServiceInput = {
  command: ["/bin/true", "run", ODD, "", "--user", "a"],
  folder: "/tmp",
  user: "default",
  env: { DENO_DIR: ODD },
};

/** Settings of a section, read as systemd.syntax(7) says. */
function settingsOf(unit: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of unit.split("\n")) {
    if (line === "" || line.startsWith("#") || line.startsWith("[")) continue;
    const cut = line.indexOf("=");
    assert.ok(cut > 0 && /^[A-Za-z]+$/.test(line.slice(0, cut)), line);
    found.set(line.slice(0, cut), [...found.get(line.slice(0, cut)) ?? [], line.slice(cut + 1)]);
  }
  return found;
}

/** Words of a value: quotes, C escapes, then specifiers. */
function wordsOf(value: string): string[] {
  const words: string[] = [];
  const word = /"((?:[^"\\]|\\.)*)"(?: |$)/gy;
  for (let match = word.exec(value); match !== null; match = word.exec(value)) {
    const text = match[1]!.replace(/\\(.)/g, (_, char) => (assert.ok(char === "\\" || char === '"', char), char));
    words.push(text.replace(/%(.?)/g, (_, char) => (assert.equal(char, "%"), "%")));
    if (word.lastIndex === value.length) return words;
  }
  throw new Error(`not to be read: ${value}`);
}

Deno.test("toSystemdUnit() starts exactly this command in exactly this folder, whatever is in their names", () => {
  for (const system of [undefined, { uid: 1000, gid: 1001, home: "/home/a%b" }]) {
    const unit = settingsOf(toSystemdUnit({ ...INPUT, folder: ODD, ...(system && { system }) }));
    const [start] = unit.get("ExecStart")!;
    assert.equal(start![0], ":", "no variable of the environment is looked up");
    assert.deepEqual(wordsOf(start!.slice(1)), INPUT.command);
    assert.equal(unit.get("WorkingDirectory")![0]!.replaceAll("%%", "%"), ODD);
    const variables = unit.get("Environment")!.flatMap(wordsOf);
    assert.deepEqual(variables, [...(system ? ["HOME=/home/a%b"] : []), `DENO_DIR=${ODD}`]);
    assert.deepEqual([unit.get("User"), unit.get("Group")], system ? [["1000"], ["1001"]] : [undefined, undefined]);
    assert.deepEqual(unit.get("WantedBy"), [system ? "multi-user.target" : "default.target"]);
  }
});

Deno.test("toSystemdUnit() waits longer than a drain, starts again after a failure and not after a mistake, and breaks no sandbox", () => {
  const unit = settingsOf(toSystemdUnit({ ...INPUT, system: { uid: 1, gid: 1, home: "/h" } }));
  assert.ok(Number(unit.get("TimeoutStopSec")) * 1_000 > LIMITS.drainMs + LIMITS.stopEndMs);
  assert.deepEqual([unit.get("Restart"), unit.get("RestartPreventExitStatus"), unit.get("KillMode")], [["on-failure"], [
    "2",
  ], ["mixed"]]);
  const breaking = [
    "RestrictNamespaces",
    "ProtectProc",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectHostname",
    "PrivateUsers",
    "SystemCallFilter",
    "MemoryDenyWriteExecute",
    "ProtectHome",
    "PrivateDevices",
  ];
  for (const name of breaking) assert.equal(unit.get(name), undefined, name);
  for (const name of ["NoNewPrivileges", "RestrictSUIDSGID", "LockPersonality"]) {
    assert.deepEqual(unit.get(name), ["yes"]);
  }
});

Deno.test("toSystemdUnit() is what systemd-analyze takes without a word", { ignore: !hasAnalyze() }, async () => {
  const dir = Deno.realPathSync(Deno.makeTempDirSync());
  const program = join(dir, `a b 100% $HOME`);
  Deno.symlinkSync("/bin/true", program);
  for (const system of [undefined, { uid: 1000, gid: 1000, home: "/home/a%b" }]) {
    const file = join(dir, "oxydra.service");
    Deno.writeTextFileSync(file, toSystemdUnit({ ...INPUT, command: [program, ODD], ...(system && { system }) }));
    const { code, stderr, stdout } = await new Deno.Command("systemd-analyze", { args: ["verify", "--man=no", file] })
      .output();
    assert.deepEqual([code, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr)], [0, ""]);
  }
});

Deno.test("toLaunchdPlist() holds the same command, with every name as text", () => {
  for (const system of [undefined, { uid: 501, gid: 20, home: "/Users/a" }]) {
    const plist = toLaunchdPlist({
      ...INPUT,
      user: "a--b<&>",
      command: ["/deno", "<a&b>", ODD],
      ...(system && { system }),
    });
    const [, list] = /<key>ProgramArguments<\/key>\s*<array>([^]*?)<\/array>/.exec(plist)!;
    assert.deepEqual([...list!.matchAll(/<string>([^<]*)<\/string>/g)].map(([, text]) => unescape(text!)), [
      "/deno",
      "<a&b>",
      ODD,
    ]);
    assert.match(plist, /<key>KeepAlive<\/key><dict><key>SuccessfulExit<\/key><false\/><\/dict>/);
    assert.equal(plist.includes("<key>UserName</key><string>501</string>"), system !== undefined);
    // XML: comments have no double hyphen, every tag that opens closes, nothing else is a tag.
    for (const [, comment] of plist.matchAll(/<!--([^]*?)-->/g)) assert.ok(!comment!.includes("--"), comment!);
    const open: string[] = [];
    for (
      const [, close, name, empty] of plist.replace(/<!--[^]*?-->|<[?!][^>]*>/g, "").matchAll(
        /<(\/?)(\w+)[^>]*?(\/?)>/g,
      )
    ) {
      if (close) assert.equal(open.pop(), name);
      else if (!empty) open.push(name!);
    }
    assert.deepEqual(open, []);
  }
});

Deno.test("toSystemdUnit() and toLaunchdPlist() refuse what would begin a line of its own", () => {
  const bad = "/tmp/a\nExecStartPre=/bin/evil";
  for (
    const input of [{ ...INPUT, folder: bad }, { ...INPUT, command: [bad] }, { ...INPUT, env: { A: bad } }, {
      ...INPUT,
      user: bad,
    }]
  ) {
    assert.throws(() => toSystemdUnit(input), { code: "usage" });
    if (input.user !== bad) assert.throws(() => toLaunchdPlist(input), { code: "usage" });
  }
});

Deno.test("toSystemdUnit() refuses a program that systemd would not start", () => {
  for (const path of [`/opt/it's`, `/opt/"a"`, "/opt/a\\b"]) {
    assert.throws(() => toSystemdUnit({ ...INPUT, command: [path] }), { code: "usage" });
  }
});

Deno.test("toServiceName() is a name of a file", () => {
  assert.deepEqual(["default", "a", "../a b"].map(toServiceName), ["oxydra", "oxydra-a", "oxydra-.._a_b"]);
});

function unescape(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

function hasAnalyze(): boolean {
  try {
    return new Deno.Command("systemd-analyze", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
