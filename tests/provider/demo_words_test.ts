import assert from "node:assert/strict";
import { hideQuotes, isPathLike, isRootWord, takePath, toFolder, toPath, unhide } from "#/provider/demo_words.ts";

const CONTEXT = { quotes: ["my file.txt"], last: "/tmp/last" };

Deno.test("hideQuotes() and unhide() give the text back", () => {
  const quotes: string[] = [];
  const hidden = hideQuotes(`say "a" and “b” and 'c' and \`d\`, but don't or can't`, quotes);
  assert.deepEqual(quotes, ["a", "b", "c", "d"]);
  assert.equal(hidden, "say \ue000 and \ue001 and \ue002 and \ue003, but don't or can't");
  assert.equal(unhide(hidden, quotes), "say a and b and c and d, but don't or can't");
  assert.equal(unhide("\ue000", quotes, true), '"a"');
  assert.equal(unhide("\uefff", quotes), "");
});

Deno.test("toPath() and toFolder() make virtual paths", () => {
  assert.equal(toPath("it", CONTEXT), "/tmp/last");
  assert.equal(toPath("a.txt", CONTEXT), "/shared/a.txt");
  assert.equal(toPath("./a.txt", CONTEXT), "/shared/a.txt");
  assert.equal(toPath("vault/a", CONTEXT), "/vault/a");
  assert.equal(toPath("\ue000", CONTEXT), "/shared/my file.txt");
  assert.equal(toPath("word", CONTEXT), undefined);
  assert.equal(toPath("word", CONTEXT, true), "/shared/word");
  assert.equal(toFolder("tmp", CONTEXT), "/tmp");
  assert.equal(toFolder("/shared/notes/", CONTEXT), "/shared/notes");
  assert.equal(toFolder("/", CONTEXT), "/");
  assert.equal(toFolder("here", CONTEXT), "/shared");
  assert.equal(toFolder("it", CONTEXT), "/tmp/last");
});

Deno.test("isPathLike() and isRootWord() tell paths from words", () => {
  for (const path of ["/a", "a/b", "a.txt", "~", "\ue000"]) assert.ok(isPathLike(path), path);
  for (const word of ["a", "general", "end.", "..."]) assert.ok(!isPathLike(word), word);
  assert.ok(isRootWord("tmp") && isRootWord("/shared") && !isRootWord("notes"));
});

Deno.test("takePath() takes the path from the end of a clause", () => {
  assert.deepEqual(takePath(" about x to a.txt", CONTEXT), { rest: " about x", path: "/shared/a.txt" });
  assert.deepEqual(takePath(" about x in a.txt in tmp", CONTEXT), { rest: " about x", path: "/tmp/a.txt" });
  assert.deepEqual(takePath(" about life in general", CONTEXT), { rest: " about life in general" });
});
