import assert from "node:assert/strict";
import posix from "node:path/posix";
import { fileURLToPath } from "node:url";
import { basename, dirname, isAbsolute, join, relative, resolve, toFilePath } from "#/lib/path.ts";

/** Deterministic: the same paths in every run. */
function* paths(count: number): Generator<string> {
  const pieces = ["a", "b", "..", ".", "", "/", "//", "/a", "a/", "...", ".a", "a.b", "ä b", "../..", "/..", "./"];
  let seed = 42;
  const next = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
  for (let n = 0; n < count; n++) {
    const length = next(5);
    yield Array.from({ length }, () => pieces[next(pieces.length)]!).join(next(2) ? "/" : "");
  }
}

Deno.test("join(), resolve(), dirname(), basename(), relative() and isAbsolute() are those of node:path/posix", () => {
  const all = [...paths(4_000), "", "/", "//", ".", "..", "/a/b/../c", "a//b", "/a/", "///a"];
  for (const [index, path] of all.entries()) {
    const other = all[(index * 7 + 3) % all.length]!;
    assert.equal(isAbsolute(path), posix.isAbsolute(path), `isAbsolute ${JSON.stringify(path)}`);
    assert.equal(join(path, other), posix.join(path, other), `join ${JSON.stringify([path, other])}`);
    assert.equal(join(path), posix.join(path), `join ${JSON.stringify(path)}`);
    assert.equal(resolve(path, other), posix.resolve(path, other), `resolve ${JSON.stringify([path, other])}`);
    assert.equal(relative(path, other), posix.relative(path, other), `relative ${JSON.stringify([path, other])}`);
    assert.equal(basename(path), posix.basename(path), `basename ${JSON.stringify(path)}`);
    assert.equal(dirname(path), posix.dirname(path), `dirname ${JSON.stringify(path)}`);
  }
  assert.equal(join(), posix.join());
  assert.equal(resolve(), posix.resolve());
});

Deno.test("toFilePath() is the path of a file URL and of no other", () => {
  for (const url of ["file:///a/b", "file:///a%20b/%C3%A4", "file:///"]) {
    assert.equal(toFilePath(new URL(url)), fileURLToPath(url));
  }
  assert.throws(() => toFilePath(new URL("http://h/a")), TypeError);
});
