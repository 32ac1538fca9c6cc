import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { isNameable, isReservedName, isWithin, parseVirtualPath, toVirtualText } from "#/core/virtual_path.ts";

Deno.test("parseVirtualPath() takes canonical paths apart and toVirtualText() joins them", () => {
  for (
    const text of [
      "/shared",
      "/tmp/a",
      "/vault/a b/ü.txt",
      "/shared/...",
      "/shared/.hidden",
      `/shared/${"x".repeat(255)}`,
    ]
  ) {
    assert.equal(toVirtualText(parseVirtualPath(text)), text);
  }
  assert.deepEqual(parseVirtualPath("/shared/a/b.txt"), { root: "shared", parts: ["a", "b.txt"] });
});

Deno.test("parseVirtualPath() refuses what is not canonical and names the root", () => {
  const table: [string, string][] = [
    ["", "path_outside"],
    ["shared/a", "path_outside"],
    ["/", "path_outside"],
    ["/etc/passwd", "path_outside"],
    ["/sharedx/a", "path_outside"],
    ["/SHARED/a", "path_outside"],
    ["//shared/a", "path_outside"],
    ["/internal/log.db", "path_outside"],
    ["/shared/../etc", "path_invalid"],
    ["/shared/a/..", "path_invalid"],
    ["/shared/./a", "path_invalid"],
    ["/shared//a", "path_invalid"],
    ["/shared/a/", "path_invalid"],
    ["/shared/a\0b", "path_invalid"],
    ["/shared/a\nb", "path_invalid"],
    ["/shared/a\u202eb", "path_invalid"],
    ["/shared/a\\b", "path_invalid"],
    ["/shared/\ud800", "path_invalid"],
    [`/shared/${"x".repeat(256)}`, "path_invalid"],
    [`/shared/${"ü".repeat(128)}`, "path_invalid"],
    [`/shared/${"a/".repeat(600)}b`, "path_invalid"],
    [`/shared/${"a/".repeat(LIMITS.treeDepthMax)}b`, "path_invalid"],
    ["/shared/.oxydra/agent.toml", "path_outside"],
    ["/shared/.OXYDRA", "path_outside"],
    ["/shared/.oxydra.", "path_outside"],
    ["/shared/.oxy\u200bdra", "path_outside"],
    ["/shared/．oxydra", "path_outside"],
    ["/shared/OXYDRA~1", "path_outside"],
    ["/shared/a/.oxydra-tmp-1", "path_outside"],
  ];
  for (const [path, code] of table) {
    assert.throws(
      () => parseVirtualPath(path),
      (error) => error instanceof AppError && error.code === code,
      JSON.stringify(path),
    );
  }
  assert.throws(() => parseVirtualPath("/etc/passwd"), /outside \/shared, \/tmp, \/vault$/);
  assert.throws(() => parseVirtualPath("/tmp/../x"), /below \/tmp/);
});

Deno.test("parseVirtualPath() holds at the limits", () => {
  const deep = `/shared${"/a".repeat(LIMITS.treeDepthMax)}`;
  assert.equal(parseVirtualPath(deep).parts.length, LIMITS.treeDepthMax);
  assert.throws(() => parseVirtualPath(`${deep}/a`), /folders deep/);
  const segment = "x".repeat(250);
  const longest = `/shared/${[segment, segment, segment, segment].join("/")}/`.padEnd(LIMITS.pathBytesMax, "y");
  assert.equal(toVirtualText(parseVirtualPath(longest)), longest);
  assert.throws(() => parseVirtualPath(`${longest}y`), /longer than 1024 bytes/);
});

Deno.test("isWithin() compares whole segments", () => {
  assert.ok(isWithin("/shared", "/shared"));
  assert.ok(isWithin("/shared/a/b", "/shared/a"));
  assert.ok(!isWithin("/sharedx", "/shared"));
  assert.ok(!isWithin("/shared/ab", "/shared/a"));
  assert.ok(!isWithin("/shared", "/shared/a"));
});

Deno.test("isNameable() and isReservedName() agree on what a tool may name", () => {
  for (const name of ["a", "a.txt", ".git", "ünï", "a b", "-rf", "oxydra", "x.oxydra"]) {
    assert.ok(isNameable(name), name);
    assert.ok(!isReservedName(name), name);
  }
  for (const name of [".oxydra", ".Oxydra", ".oxydra-tmp-9", ".oxydra  "]) {
    assert.ok(!isNameable(name), name);
    assert.ok(isReservedName(name), name);
  }
  for (const name of ["", ".", "..", "a/b", "a\tb", "\ufffd\ud800"]) assert.ok(!isNameable(name), JSON.stringify(name));
});
