import assert from "node:assert/strict";
import { searchFiles } from "../../tools-wasm/files/search.ts";
import { openMemoryHost } from "./memory_host.ts";

const FILES = {
  "/shared/a.txt": "alpha\nbeta\n",
  "/shared/b.txt": "beta\r\ngamma",
  "/shared/c.txt": "x\nbeta",
};

Deno.test("searchFiles() names path, line and text, and counts over all pages", () => {
  const { host } = openMemoryHost(FILES);
  assert.equal(
    searchFiles({ pattern: "beta" }, host),
    "/shared/a.txt:2: beta\n/shared/b.txt:1: beta\n/shared/c.txt:2: beta\n" +
      "[3 matching lines in 3 files; 3 files searched below /shared; 1 skipped (binary, too large or unreadable)]",
  );
});

Deno.test("searchFiles() says when max_results ended it, and only then", () => {
  const { host } = openMemoryHost(FILES);
  assert.match(
    searchFiles({ pattern: "beta", max_results: 2 }, host),
    /^[^\n]*\n[^\n]*\n\[2 .*stopped early: max_results \(2\) reached\]$/,
  );
  assert.doesNotMatch(
    searchFiles({ pattern: "beta", max_results: 3 }, host),
    /stopped/,
  );
});

Deno.test("searchFiles() keeps what it found when the host stops it, and fails when it stops the first page", () => {
  const found = searchFiles(
    { pattern: "beta" },
    openMemoryHost(FILES, { failAt: "2" }).host,
  );
  assert.match(
    found,
    /b\.txt:1: beta\n\[2 matching lines.*stopped early: the search stopped after its bytes\]$/,
  );
  assert.throws(
    () =>
      searchFiles(
        { pattern: "beta" },
        openMemoryHost(FILES, { failAt: "" }).host,
      ),
    /payload/,
  );
});

Deno.test("searchFiles() takes a single file", () => {
  const { host } = openMemoryHost(FILES);
  assert.match(
    searchFiles({ pattern: "gamma", path: "/shared/b.txt" }, host),
    /^\/shared\/b\.txt:2: gamma\n/,
  );
  assert.throws(
    () =>
      searchFiles(
        { pattern: "x", path: "/shared/none" },
        openMemoryHost({}, { failAt: "" }).host,
      ),
    /payload/,
  );
});

Deno.test("searchFiles() shows lines around a match once, with a mark where lines are left out", () => {
  const text = Array.from(
    { length: 12 },
    (_, index) => `l${index + 1}${[3, 4, 11].includes(index + 1) ? " hit" : ""}`,
  )
    .join("\n");
  const found = searchFiles(
    { pattern: "hit", context: 1 },
    openMemoryHost({ "/shared/a": text }).host,
  ).split("\n");
  assert.deepEqual(
    found.slice(0, -1).map((line) => line.replace("/shared/a", "")),
    [
      "-2- l2",
      ":3: l3 hit",
      ":4: l4 hit",
      "-5- l5",
      "--",
      "-10- l10",
      ":11: l11 hit",
      "-12- l12",
    ],
  );
});

Deno.test("searchFiles() cuts a long line around its match, never inside a character", () => {
  const line = `${"😀".repeat(500)}needle${"😀".repeat(500)}`;
  const found = searchFiles(
    { pattern: "needle" },
    openMemoryHost({ "/shared/a": line }).host,
  ).split("\n")[0]!;
  assert.match(found, /^\/shared\/a:1: …😀+needle😀+…$/u);
  assert.ok(found.length < 300 && found.isWellFormed());
});

Deno.test("searchFiles() stops when its output is full", () => {
  const text = `${"m".repeat(100)}\n`.repeat(1_000);
  const found = searchFiles(
    { pattern: "m", max_results: 1_000 },
    openMemoryHost({ "/shared/a": text }).host,
  );
  assert.ok(new TextEncoder().encode(found).length <= 16_384);
  assert.match(found, /stopped early: the output is full: narrow it/);
});

Deno.test("searchFiles() hints at regex when a literal pattern looks like one and nothing was found", () => {
  const { host } = openMemoryHost(FILES);
  assert.match(searchFiles({ pattern: "be.*a" }, host), /no match.*set regex/);
  assert.doesNotMatch(searchFiles({ pattern: "zeta" }, host), /set regex/);
});
