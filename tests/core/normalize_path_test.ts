import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";

const ACCEPTED: readonly [string, string][] = [
  ["/shared", "/shared"],
  ["/shared/", "/shared"],
  ["//shared//a///b/", "/shared/a/b"],
  ["/tmp/a b.txt", "/tmp/a b.txt"],
  ["/vault/ä/日本/😀.md", "/vault/ä/日本/😀.md"],
  ["/shared/..a/b..", "/shared/..a/b.."],
  ["/shared/.oxydra-notes/.oxydrax", "/shared/.oxydra-notes/.oxydrax"],
  ["/shared/~/x:y", "/shared/~/x:y"],
];

const REFUSED: readonly [string, "path_invalid" | "path_outside"][] = [
  ["", "path_invalid"],
  ["notes.txt", "path_invalid"],
  ["shared/notes.txt", "path_invalid"],
  ["./a", "path_invalid"],
  ["/shared/../etc/passwd", "path_invalid"],
  ["/shared/a/..", "path_invalid"],
  ["/shared/./a", "path_invalid"],
  ["/shared/a\0b", "path_invalid"],
  ["/shared/a\nb", "path_invalid"],
  ["/shared/a\x7f", "path_invalid"],
  ["/shared/a\u0085", "path_invalid"],
  ["/shared/\u202etxt.exe", "path_invalid"],
  ["/shared/\ud800", "path_invalid"],
  ["/shared\\a", "path_invalid"],
  ["..\\..\\etc", "path_invalid"],
  ["/etc/passwd", "path_outside"],
  ["/", "path_outside"],
  ["//", "path_outside"],
  ["/sharedx/a", "path_outside"],
  ["/Shared/a", "path_outside"],
  ["/ shared/a", "path_outside"],
  ["/proc/self/environ", "path_outside"],
  ["~/secrets", "path_outside"],
  ["~root", "path_outside"],
  ["file:///etc/passwd", "path_outside"],
  ["C:\\Windows", "path_outside"],
  ["https://example.org/a", "path_outside"],
  ["/shared/.oxydra/agent.toml", "path_outside"],
  ["/shared/a/.OXYDRA", "path_outside"],
  ["/tmp/.oxydra-tmp-1234", "path_outside"],
];

Deno.test("normalizeVirtualPath() gives one form to every spelling of a path", () => {
  for (const [path, canonical] of ACCEPTED) {
    assert.equal(normalizeVirtualPath(path), canonical, path);
    assert.equal(normalizeVirtualPath(canonical), canonical, `${path} twice`);
  }
});

Deno.test("normalizeVirtualPath() refuses the rest, and every reason names the roots and nothing of the host", () => {
  for (const [path, code] of REFUSED) {
    assert.throws(
      () => normalizeVirtualPath(path),
      (error: Error & { code: string }) => {
        assert.equal(error.code, code, JSON.stringify(path));
        assert.match(error.message, /below \/shared, \/tmp or \/vault/);
        assert.ok(!error.message.includes(Deno.cwd()));
        return true;
      },
      JSON.stringify(path),
    );
  }
});

Deno.test("normalizeVirtualPath() counts bytes: the limit passes, one more does not", () => {
  const longest = `/shared/${"é".repeat((LIMITS.pathBytesMax - 8) / 2)}`;
  assert.equal(normalizeVirtualPath(longest), longest);
  assert.throws(() => normalizeVirtualPath(`${longest}x`), { code: "path_invalid", message: /longer than 1024 bytes/ });
  assert.throws(() => normalizeVirtualPath(`/etc/${"x".repeat(5_000_000)}`), { code: "path_invalid" });
});

Deno.test("normalizeVirtualPath() shows at most the start of what it refuses", () => {
  assert.throws(() => normalizeVirtualPath(`/etc/${"x".repeat(900)}`), (error: Error) => error.message.length < 300);
});
