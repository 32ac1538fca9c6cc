import assert from "node:assert/strict";
import type { Capability, Grant, HttpMethod } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { covers, describeCapability, GrantMeter, intersect, narrow, toCommandText } from "#/sandbox/grant.ts";
import type { HostCall } from "#/sandbox/host_call.ts";

const grantOf = (...capabilities: Capability[]): Grant => ({ id: "g", capabilities, source: "test", expiresAt: 2_000 });
const readTree = (path: string, bytesMax = 100): Capability => ({ kind: "fs.read", path, scope: "tree", bytesMax });
const readFile = (path: string, bytesMax = 100): Capability => ({ kind: "fs.read", path, scope: "file", bytesMax });

const PATHS = ["/shared", "/sharedx", "/shared/a", "/shared/a/b", "/shared/ab", "/tmp", "/tmp/a", "/vault/a"];

const URLS = [
  "https://a.com/",
  "https://a.com/x?q=1",
  "https://a.com/x/y",
  "http://a.com/",
  "https://a.com:8443/",
  "https://b.com/x",
];

function httpOf(url: string, scope: "exact" | "tree", methods: readonly HttpMethod[] = ["GET"]): Capability {
  return toHttpNeed(url, { methods, scope, bytesUpMax: 3, bytesDownMax: 10, redirectsMax: 1 });
}

function fetchOf(url: string, rest: Partial<Extract<HostCall, { fn: "http.fetch" }>> = {}): HostCall {
  return { fn: "http.fetch", method: "GET", url, headers: [], body: "", secrets: [], ...rest };
}

function allCalls(): HostCall[] {
  return PATHS.flatMap((path): HostCall[] => [
    { fn: "fs-read.read-text", path },
    { fn: "fs-read.scan", path, glob: "", cursor: "" },
    { fn: "fs-read.list", path, recursive: false },
    { fn: "fs-read.list", path, recursive: true },
    { fn: "fs-write.write-text", path, text: "" },
    { fn: "fs-write.remove", path },
  ]).concat(
    URLS.flatMap((url) => [fetchOf(url), fetchOf(url, { method: "POST" })]),
    [{ fn: "config.get", key: "web_search.provider" }, { fn: "log.write", level: "info", message: "m" }],
  );
}

function allCapabilities(): Capability[] {
  const others: Capability[] = [
    ...URLS.flatMap((
      url,
    ) => [httpOf(url, "exact"), httpOf(url, "tree", ["GET", "POST"]), httpOf(url, "tree", ["POST"])]),
    { kind: "config", section: "web_search" },
    { kind: "config", section: "web" },
    { kind: "log" },
    { kind: "clock" },
    { kind: "secret", name: "k", hosts: ["a.com"] },
  ];
  return PATHS.flatMap((path): Capability[] => [
    readFile(path, 10),
    readTree(path, 20),
    { kind: "fs.list", path, scope: "dir", entriesMax: 3 },
    { kind: "fs.list", path, scope: "tree", entriesMax: 4 },
    { kind: "fs.write", path, mode: "write", bytesMax: 5 },
    { kind: "fs.write", path, mode: "delete", bytesMax: 0 },
  ]).concat(others);
}

Deno.test("covers() opens what the capability says and nothing beside it", () => {
  const table: [Capability, HostCall, boolean][] = [
    [readFile("/shared/a"), { fn: "fs-read.read-text", path: "/shared/a" }, true],
    [readFile("/shared/a"), { fn: "fs-read.read-text", path: "/shared/a/b" }, false],
    [readFile("/shared/a"), { fn: "fs-read.scan", path: "/shared/a", glob: "", cursor: "" }, false],
    [readTree("/shared"), { fn: "fs-read.read-text", path: "/shared/a/b" }, true],
    [readTree("/shared"), { fn: "fs-read.read-text", path: "/sharedx" }, false],
    [readTree("/shared"), { fn: "fs-read.list", path: "/shared", recursive: false }, false],
    [readTree("/shared/a"), { fn: "fs-read.scan", path: "/shared", glob: "", cursor: "" }, false],
    [{ kind: "fs.list", path: "/shared", scope: "dir", entriesMax: 1 }, {
      fn: "fs-read.list",
      path: "/shared",
      recursive: true,
    }, false],
    [{ kind: "fs.list", path: "/shared", scope: "dir", entriesMax: 1 }, {
      fn: "fs-read.list",
      path: "/shared/a",
      recursive: false,
    }, false],
    [{ kind: "fs.list", path: "/shared", scope: "tree", entriesMax: 1 }, {
      fn: "fs-read.list",
      path: "/shared/a",
      recursive: true,
    }, true],
    [{ kind: "fs.write", path: "/tmp/a", mode: "write", bytesMax: 1 }, {
      fn: "fs-write.write-text",
      path: "/tmp/a",
      text: "",
    }, true],
    [
      { kind: "fs.write", path: "/tmp/a", mode: "write", bytesMax: 1 },
      { fn: "fs-write.remove", path: "/tmp/a" },
      false,
    ],
    [{ kind: "fs.write", path: "/tmp", mode: "write", bytesMax: 1 }, {
      fn: "fs-write.write-text",
      path: "/tmp/a",
      text: "",
    }, false],
    [
      { kind: "fs.write", path: "/tmp/a", mode: "delete", bytesMax: 0 },
      { fn: "fs-write.remove", path: "/tmp/a" },
      true,
    ],
  ];
  for (const [capability, call, expected] of table) {
    assert.equal(
      covers(grantOf(capability), call) !== undefined,
      expected,
      `${describeCapability(capability)} ~ ${JSON.stringify(call)}`,
    );
  }
  assert.equal(covers(grantOf(), { fn: "fs-write.remove", path: "/tmp/a" }), undefined);
});

Deno.test("intersect() and narrow() never give more than either side, for every pair", () => {
  const calls = allCalls();
  const sizeOf = (capability: Capability) =>
    "entriesMax" in capability ? capability.entriesMax : "bytesMax" in capability ? capability.bytesMax : 0;
  for (const a of allCapabilities()) {
    for (const b of allCapabilities()) {
      const both = intersect(a, b);
      const narrowed = narrow(grantOf(a), [b]);
      assert.deepEqual(narrowed.capabilities, both === undefined ? [] : [both]);
      if (both !== undefined) assert.equal(sizeOf(both), Math.min(sizeOf(a), sizeOf(b)));
      for (const call of calls) {
        const expected = covers(grantOf(a), call) !== undefined && covers(grantOf(b), call) !== undefined;
        assert.equal(covers(narrowed, call) !== undefined, expected, JSON.stringify([a, b, call]));
      }
    }
  }
});

Deno.test("narrow() keeps who granted and until when", () => {
  const { capabilities: _, ...rest } = narrow(grantOf(readTree("/shared")), []);
  assert.deepEqual(rest, { id: "g", source: "test", expiresAt: 2_000 });
});

Deno.test("GrantMeter counts bytes over all host calls of a call", () => {
  const meter = new GrantMeter(grantOf(readTree("/shared", 100)));
  const call: HostCall = { fn: "fs-read.read-text", path: "/shared/a" };
  const first = meter.take(call, 0);
  assert.equal(first.allowance.bytesMax, 100);
  first.spend(70);
  assert.equal(meter.take(call, 0).allowance.bytesMax, 30);
  first.spend(70);
  assert.equal(meter.take(call, 0).allowance.bytesMax, 0);
});

Deno.test("GrantMeter refuses what is not granted, too late, or one call too many", () => {
  const meter = new GrantMeter(grantOf(readFile("/shared/a")));
  const call: HostCall = { fn: "fs-read.read-text", path: "/shared/a" };
  assert.throws(() => meter.take({ fn: "fs-write.remove", path: "/shared/a" }, 0), { code: "tool_denied" });
  assert.throws(() => meter.take(call, 2_000), { code: "tool_timeout" });
  for (let i = 2; i < LIMITS.hostCallsMax; i++) meter.take(call, 1_999);
  assert.throws(() => meter.take(call, 0), { code: "quota_exceeded" });
});

Deno.test("GrantMeter bounds what goes up, what comes down, and where a secret goes", () => {
  const http = httpOf("https://a.com/x", "tree", ["POST"]);
  const secret: Capability = { kind: "secret", name: "k", hosts: ["a.com"] };
  const meter = new GrantMeter(grantOf(http, secret));
  const post = (rest: Partial<Extract<HostCall, { fn: "http.fetch" }>>) =>
    meter.take(fetchOf("https://a.com/x/1", { method: "POST", ...rest }), 0);
  post({ body: "ä", secrets: [{ header: "x-key", name: "k" }] }).spend(4);
  assert.equal(post({ body: "b" }).allowance.bytesMax, 6);
  assert.throws(() => post({ body: "c" }), { code: "quota_exceeded" });
  assert.throws(() => post({ secrets: [{ header: "x-key", name: "other" }] }), { code: "tool_denied" });
  const elsewhere = new GrantMeter(grantOf(httpOf("https://b.com/", "tree"), secret));
  const leak = fetchOf("https://b.com/", { secrets: [{ header: "x-key", name: "k" }] });
  assert.throws(() => elsewhere.take(leak, 0), { code: "tool_denied" });
});

Deno.test("a shell's command and a connection are granted as they are, or not at all", () => {
  const command = { kind: "shell", command: "ls -l" } as const;
  const target = { kind: "connect", host: "::1", port: 443 } as const;
  assert.deepEqual(intersect(command, command), command);
  assert.equal(intersect(command, { ...command, command: "ls" }), undefined);
  assert.deepEqual(intersect(target, target), target);
  assert.equal(intersect(target, { ...target, port: 80 }), undefined);
  assert.equal(intersect(command, target), undefined);
  assert.equal(describeCapability(command), "shell ls -l");
  assert.equal(describeCapability(target), "connect [::1]:443");
});

Deno.test("toCommandText() hides nothing of a command: no line, no direction, no invisible character, and says what a cut leaves out", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["ls -la", "ls -la"],
    ["true\nconnect evil.example:443", "true ⏎ connect evil.example:443"],
    ["a\tb", "a\\tb"],
    ["\u001b[2Jx\u0007", "\\u{1b}[2Jx\\u{7}"],
    ["echo \u202eevil\u202c", "echo \\u{202e}evil\\u{202c}"],
    ["a\u200bb\u2028c\u00a0d\u{e0041}e\u3164f", "a\\u{200b}b\\u{2028}c\\u{a0}d\\u{e0041}e\\u{3164}f"],
    ["echo é 漢 🎈", "echo é 漢 🎈"],
  ];
  for (const [command, shown] of cases) {
    assert.equal(toCommandText(command), shown);
    assert.equal(describeCapability({ kind: "shell", command }), `shell ${shown}`);
  }
  const whole = "x".repeat(LIMITS.shellCommandCharsMax);
  assert.equal(toCommandText(whole), whole);
  const max = LIMITS.shellShownCharsMax;
  assert.equal(toCommandText(" ⏎".repeat(max / 2)).length, max);
  assert.match(
    toCommandText("\u200b".repeat(8_000)),
    /^[^⟪]{12288} ⟪… cut: 8000 characters, most of them invisible, sha256 [0-9a-f]{64}⟫$/,
  );
});
