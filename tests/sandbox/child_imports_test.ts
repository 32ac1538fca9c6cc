import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type Ask, toImports } from "#/sandbox/child_imports.ts";
import type { HostCall } from "#/sandbox/host_call.ts";

type Functions = Record<string, Record<string, (...args: unknown[]) => unknown>>;

/** The import object over a fixed answer; `asked` holds the calls that went out. */
function openImports(value: unknown, content = "", open: readonly string[] = ["fs-read", "fs-write"]) {
  const asked: HostCall[] = [];
  const bytes = new TextEncoder().encode(content);
  const ask = ((call: HostCall) => {
    asked.push(call);
    return { value, content: bytes };
  }) as Ask;
  return { asked, functions: toImports(ask, (name) => open.includes(name)) as Functions };
}

Deno.test("toImports() asks for each function exactly what host_call.ts names", () => {
  const read = openImports({ bytes: 3, sha256: "s" }, "\ufeffé");
  assert.deepEqual(read.functions["oxydra:tool/fs-read"]!.readText!("/shared/a"), {
    text: "\ufeffé",
    bytes: 3,
    sha256: "s",
  });
  assert.deepEqual(read.asked, [{ fn: "fs-read.read-text", path: "/shared/a" }]);

  const entry = { path: "/shared/a", kind: "file", bytes: 1, modifiedAt: 2 };
  const list = openImports({ entries: [{ ...entry, extra: 1 }], truncated: true });
  assert.deepEqual(list.functions["oxydra:tool/fs-read"]!.list!("/shared", true), {
    entries: [entry],
    truncated: true,
  });
  assert.deepEqual(list.asked, [{ fn: "fs-read.list", path: "/shared", recursive: true }]);

  const page = {
    files: [{ path: "/shared/a", bytes: 2 }, { path: "/shared/b", bytes: 0 }, { path: "/shared/c", bytes: 3 }],
    next: "n",
    skipped: 4,
  };
  const scan = openImports(page, "aaccc");
  assert.deepEqual(scan.functions["oxydra:tool/fs-read"]!.scan!("/shared", "*.md", ""), {
    files: [{ path: "/shared/a", text: "aa" }, { path: "/shared/b", text: "" }, { path: "/shared/c", text: "ccc" }],
    next: "n",
    skipped: 4,
  });
  assert.deepEqual(scan.asked, [{ fn: "fs-read.scan", path: "/shared", glob: "*.md", cursor: "" }]);

  const write = openImports({ bytes: 1, created: true, sha256: "s" });
  const { writeText, remove } = write.functions["oxydra:tool/fs-write"]!;
  assert.deepEqual(writeText!("/shared/a", "x", undefined), { bytes: 1, created: true, sha256: "s" });
  writeText!("/shared/a", "x", "absent");
  assert.equal(remove!("/shared/a"), 1);
  assert.deepEqual(write.asked, [
    { fn: "fs-write.write-text", path: "/shared/a", text: "x" },
    { fn: "fs-write.write-text", path: "/shared/a", text: "x", expectSha256: "absent" },
    { fn: "fs-write.remove", path: "/shared/a" },
  ]);
});

const WEB = ["http", "config", "log", "clock", "random"];

Deno.test("toImports() sends a request as host_call.ts names it and gives the answer decoded", () => {
  const answer = {
    status: 200,
    url: "https://example.com/b",
    headers: [["Content-Type", "text/html; charset=utf-8"], ["x-a", "1"]],
    bytes: 2,
    truncated: true,
  };
  const { asked, functions } = openImports(answer, "é", WEB);
  const fetched = functions["oxydra:tool/http"]!.fetch!({
    method: "get",
    url: "https://example.com/a",
    headers: [{ name: "accept", value: "*/*", extra: 1 }],
    body: "",
    secrets: [{ header: "x-key", name: "web_search" }],
  });
  assert.deepEqual(fetched, {
    status: 200,
    url: "https://example.com/b",
    headers: [{ name: "Content-Type", value: "text/html; charset=utf-8" }, { name: "x-a", value: "1" }],
    contentType: "text/html; charset=utf-8",
    text: "é",
    charset: "utf-8",
    bytes: 2,
    truncated: true,
  });
  assert.deepEqual(asked, [{
    fn: "http.fetch",
    method: "GET",
    url: "https://example.com/a",
    headers: [["accept", "*/*"]],
    body: "",
    secrets: [{ header: "x-key", name: "web_search" }],
  }]);
});

Deno.test("toImports() asks for settings and writes the log, a line at most as long as a log has", () => {
  const { asked, functions } = openImports({ value: "v" }, "", WEB);
  assert.equal(functions["oxydra:tool/config"]!.get!("web_search.provider"), "v");
  functions["oxydra:tool/log"]!.write!("warn", "x".repeat(LIMITS.logLineCharsMax + 1));
  assert.deepEqual(asked, [
    { fn: "config.get", key: "web_search.provider" },
    { fn: "log.write", level: "warn", message: "x".repeat(LIMITS.logLineCharsMax) },
  ]);
  const unset = openImports({ value: null }, "", WEB);
  assert.equal(unset.functions["oxydra:tool/config"]!.get!("web_search.base_url"), undefined);
});

Deno.test("toImports() has clock and random itself, bounded, and asks nobody", () => {
  const { asked, functions } = openImports({}, "", WEB);
  const before = Date.now();
  const now = functions["oxydra:tool/clock"]!.nowMs!() as number;
  assert.ok(now >= before && now <= Date.now());
  const random = functions["oxydra:tool/random"]!.bytes! as (count: number) => Uint8Array;
  assert.equal(random(LIMITS.randomBytesMax).length, LIMITS.randomBytesMax);
  assert.notDeepEqual(random(16), random(16));
  assert.throws(() => random(LIMITS.randomBytesMax + 1), { code: "quota_exceeded" });
  assert.deepEqual(asked, []);
});

Deno.test("toImports() refuses each web interface that the call was not granted", () => {
  const { asked, functions } = openImports({}, "", []);
  for (const name of WEB) {
    for (const run of Object.values(functions[`oxydra:tool/${name}`]!)) {
      assert.throws(() => run({}), { code: "tool_denied", message: `${name} is not granted to this call` });
    }
  }
  assert.deepEqual(asked, []);
});

Deno.test("toImports() fails at once for an interface that the call was not granted, and asks nobody", () => {
  const { asked, functions } = openImports({}, "", ["fs-read"]);
  for (const run of Object.values(functions["oxydra:tool/fs-write"]!)) {
    assert.throws(() => run("/shared/a", "x"), {
      code: "tool_denied",
      message: "fs-write is not granted to this call",
    });
  }
  assert.deepEqual(asked, []);
});

Deno.test("toImports() refuses to read what is no UTF-8", () => {
  const ask = (() => ({ value: { bytes: 1, sha256: "" }, content: new Uint8Array([0xff]) })) as unknown as Ask;
  const functions = toImports(ask, () => true) as Functions;
  assert.throws(() => functions["oxydra:tool/fs-read"]!.readText!("/shared/a"), { code: "file_not_regular" });
});
