import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { fileDelete, FileDeleteArgs } from "#/tools/file_delete.ts";
import { fileEdit, FileEditArgs } from "#/tools/file_edit.ts";
import { fileList, FileListArgs } from "#/tools/file_list.ts";
import { fileRead, FileReadArgs } from "#/tools/file_read.ts";
import { fileSearch, FileSearchArgs } from "#/tools/file_search.ts";
import { fileWrite, FileWriteArgs } from "#/tools/file_write.ts";
import { pathArg, textArg } from "#/tools/path_arg.ts";

Deno.test("needs() of each file tool asks for the narrowest power, in canonical paths", () => {
  const path = "//shared/a.txt/";
  assert.deepEqual(fileRead.needs({ path }), [
    { kind: "fs.read", path: "/shared/a.txt", scope: "file", bytesMax: LIMITS.fileBytesMax },
  ]);
  assert.deepEqual(fileList.needs({}), [
    { kind: "fs.list", path: "/shared", scope: "dir", entriesMax: LIMITS.listEntriesMax },
  ]);
  assert.deepEqual(fileList.needs({ path: "/tmp", recursive: true }), [
    { kind: "fs.list", path: "/tmp", scope: "tree", entriesMax: LIMITS.listEntriesMax },
  ]);
  assert.deepEqual(fileSearch.needs({ pattern: "x" }), [
    { kind: "fs.read", path: "/shared", scope: "tree", bytesMax: LIMITS.searchBytesMax },
  ]);
  assert.deepEqual(fileWrite.needs({ path, content: "äb" }), [
    { kind: "fs.write", path: "/shared/a.txt", mode: "write", bytesMax: 3 },
  ]);
  assert.deepEqual(fileEdit.needs({ path, old_text: "a", new_text: "b" }), [
    { kind: "fs.read", path: "/shared/a.txt", scope: "file", bytesMax: LIMITS.fileBytesMax },
    { kind: "fs.write", path: "/shared/a.txt", mode: "write", bytesMax: LIMITS.fileBytesMax },
  ]);
  assert.deepEqual(fileDelete.needs({ path }), [{
    kind: "fs.write",
    path: "/shared/a.txt",
    mode: "delete",
    bytesMax: 0,
  }]);
});

Deno.test("needs() of each file tool refuses a path outside before anything is asked", () => {
  const path = "/etc/passwd";
  const refused = { code: "path_outside", message: /\/shared, \/tmp or \/vault/ };
  assert.throws(() => fileRead.needs({ path }), refused);
  assert.throws(() => fileList.needs({ path }), refused);
  assert.throws(() => fileSearch.needs({ pattern: "x", path }), refused);
  assert.throws(() => fileWrite.needs({ path, content: "" }), refused);
  assert.throws(() => fileEdit.needs({ path, old_text: "a", new_text: "" }), refused);
  assert.throws(() => fileDelete.needs({ path }), refused);
});

Deno.test("arguments are strict: a wrong type, a missing and an unknown field name their place", () => {
  const placeOf = (
    schema: { safeParse(value: unknown): { error?: { issues: { path: PropertyKey[] }[] } } },
    value: unknown,
  ) => schema.safeParse(value).error?.issues.map((issue) => issue.path.join("."));
  assert.deepEqual(placeOf(FileReadArgs, { path: 1, start_line: 0 }), ["path", "start_line"]);
  assert.deepEqual(placeOf(FileReadArgs, { path: "/shared/a", lines: 1 }), [""]);
  assert.deepEqual(placeOf(FileListArgs, { recursive: "yes" }), ["recursive"]);
  assert.deepEqual(placeOf(FileSearchArgs, { pattern: "", context: 99 }), ["pattern", "context"]);
  assert.deepEqual(placeOf(FileWriteArgs, { path: "/shared/a" }), ["content"]);
  assert.deepEqual(placeOf(FileWriteArgs, { path: "/shared/a", content: "\ud800" }), ["content"]);
  assert.deepEqual(placeOf(FileEditArgs, { path: "/shared/a", old_text: "", new_text: "\udc00" }), [
    "old_text",
    "new_text",
  ]);
  assert.deepEqual(placeOf(FileDeleteArgs, null), [""]);
});

Deno.test("pathArg() bounds the size, textArg() what UTF-8 can hold", () => {
  assert.ok(pathArg("p").safeParse("x".repeat(LIMITS.pathBytesMax)).success);
  assert.ok(!pathArg("p").safeParse("x".repeat(LIMITS.pathBytesMax + 1)).success);
  assert.ok(textArg("t").safeParse("😀\0").success);
  assert.match(textArg("t").safeParse("\ud83d").error?.message ?? "", /lone surrogate/);
});
