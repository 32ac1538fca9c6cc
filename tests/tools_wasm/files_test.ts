import assert from "node:assert/strict";
import { editFile } from "../../tools-wasm/files/edit.ts";
import { listFiles } from "../../tools-wasm/files/list.ts";
import { readFile } from "../../tools-wasm/files/read.ts";
import { toCanonicalPath, toLineStarts } from "../../tools-wasm/files/text.ts";
import { cutToBytes, utf8Bytes } from "../../tools-wasm/sdk/text.ts";
import { TOOLS } from "../../tools-wasm/files/tools.ts";
import { deleteFile, writeFile } from "../../tools-wasm/files/write.ts";
import { toExports, toFailure, ToolFailure } from "../../tools-wasm/sdk/execute.ts";
import { openMemoryHost } from "./memory_host.ts";

Deno.test("readFile() gives the text exactly, and a header only for a part", () => {
  const { host } = openMemoryHost({
    "/shared/a": "1\n2\r\n3",
    "/shared/empty": "",
  });
  assert.equal(readFile({ path: "/shared//a/" }, host), "1\n2\r\n3");
  assert.equal(
    readFile({ path: "/shared/a", start_line: 1, line_count: 9 }, host),
    "1\n2\r\n3",
  );
  assert.equal(
    readFile({ path: "/shared/a", start_line: 2 }, host),
    "[/shared/a: lines 2-3 of 3]\n2\r\n3",
  );
  assert.equal(
    readFile({ path: "/shared/a", start_line: 2, line_count: 1 }, host),
    "[/shared/a: line 2 of 3; go on with start_line 3]\n2\r\n",
  );
  assert.equal(
    readFile({ path: "/shared/empty" }, host),
    "[/shared/empty is empty]",
  );
});

Deno.test("readFile() refuses a start behind the end and says how many lines there are", () => {
  const { host } = openMemoryHost({ "/shared/a": "1\n2\n" });
  assert.throws(() => readFile({ path: "/shared/a", start_line: 3 }, host), {
    code: "tool_args_invalid",
    message: /has 2 lines/,
  });
});

Deno.test("readFile() cuts a long file at a line so that its parts make the whole", () => {
  const text = Array.from({ length: 3_000 }, (_, index) => `line ${index} äöü`)
    .join("\n");
  const { host } = openMemoryHost({ "/shared/a": text });
  let joined = "";
  for (let start = 1; start > 0;) {
    const part = readFile({ path: "/shared/a", start_line: start }, host);
    assert.ok(utf8Bytes(part) <= 16_384);
    joined += part.slice(part.indexOf("\n") + 1);
    start = Number(/start_line (\d+)\]/.exec(part)?.[1] ?? 0);
  }
  assert.equal(joined, text);
});

Deno.test("readFile() shows the start of a line that alone is too long", () => {
  const { host } = openMemoryHost({
    "/shared/a": `${"é".repeat(20_000)}\nend`,
  });
  const part = readFile({ path: "/shared/a" }, host);
  assert.match(
    part,
    /^\[\/shared\/a: the start of line 1 of 2, 7680 of 20001 characters; .*start_line 2\]\né+$/,
  );
});

Deno.test("listFiles() marks folders, sizes and the count, and stops when the output is full", () => {
  const { host } = openMemoryHost({
    "/shared/a.txt": "12",
    "/shared/docs.d": "",
  });
  assert.equal(
    listFiles({}, host),
    "/shared/a.txt (2 bytes)\n/shared/docs.d/\n[2 entries]",
  );
  assert.equal(listFiles({ path: "/tmp" }, host), "[/tmp is empty]");
  const many = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, index) => [`/shared/file-${index}`, ""]),
  );
  const listed = listFiles({}, openMemoryHost(many).host);
  assert.ok(utf8Bytes(listed) <= 16_384);
  const shown = listed.split("\n").length - 1;
  assert.match(
    listed,
    new RegExp(`\\[5000 entries; ${5_000 - shown} not shown`),
  );
});

Deno.test("writeFile() and deleteFile() say what they did", () => {
  const { host, content } = openMemoryHost({});
  assert.equal(
    writeFile({ path: "/shared/a", content: "ä" }, host),
    "Created /shared/a (2 bytes).",
  );
  assert.equal(
    writeFile({ path: "/shared/a", content: "" }, host),
    "Replaced /shared/a (0 bytes).",
  );
  assert.equal(
    deleteFile({ path: "/shared/a" }, host),
    "Deleted /shared/a (0 bytes).",
  );
  assert.equal(content.size, 0);
});

Deno.test("editFile() replaces one occurrence, or all when asked", () => {
  const { host, content } = openMemoryHost({ "/shared/a": "x = 1\ny = 1\n" });
  assert.equal(
    editFile(
      { path: "/shared/a", old_text: "y = 1", new_text: "y = $&" },
      host,
    ),
    "Edited /shared/a: 1 replacement at line 2 (12 bytes before, 13 after).",
  );
  assert.equal(content.get("/shared/a"), "x = 1\ny = $&\n");
  editFile({
    path: "/shared/a",
    old_text: " = ",
    new_text: ":",
    replace_all: true,
  }, host);
  assert.equal(content.get("/shared/a"), "x:1\ny:$&\n");
});

Deno.test("editFile() refuses an ambiguous snippet, with the lines, and writes nothing", () => {
  const { host, content } = openMemoryHost({ "/shared/a": "a\n".repeat(12) });
  assert.throws(
    () => editFile({ path: "/shared/a", old_text: "a", new_text: "b" }, host),
    {
      code: "tool_failed",
      message: /occurs 12 times in \/shared\/a, at lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more: .*replace_all/,
    },
  );
  assert.equal(content.get("/shared/a"), "a\n".repeat(12));
});

Deno.test("editFile() helps with a missing snippet", () => {
  const { host } = openMemoryHost({ "/shared/a": "one\n  two\nthree\n" });
  const edit = (old_text: string) => () => editFile({ path: "/shared/a", old_text, new_text: "" }, host);
  assert.throws(
    edit("\ttwo\n\tthree"),
    /its first line is at line 2: compare white space/,
  );
  assert.throws(
    edit("four"),
    /no line holds its first line: read the file again/,
  );
  assert.throws(edit("    "), /only white space/);
  assert.throws(
    () => editFile({ path: "/shared/a", old_text: "one", new_text: "one" }, host),
    /nothing to change/,
  );
});

Deno.test("editFile() means CRLF in a file with CRLF, and leaves mixed files alone", () => {
  const { host, content } = openMemoryHost({
    "/shared/a": "one\r\ntwo\r\n",
    "/shared/mixed": "one\r\ntwo\n",
  });
  editFile({ path: "/shared/a", old_text: "one\ntwo", new_text: "1\n2" }, host);
  assert.equal(content.get("/shared/a"), "1\r\n2\r\n");
  assert.throws(
    () =>
      editFile(
        { path: "/shared/mixed", old_text: "one\ntwo", new_text: "" },
        host,
      ),
    /not in/,
  );
});

Deno.test("editFile() passes the hash of what it read, so that a change meanwhile is refused", () => {
  const { host, content } = openMemoryHost({ "/shared/a": "one" });
  const racing = {
    ...host,
    read: {
      ...host.read,
      readText(path: string) {
        const read = host.read.readText(path);
        content.set(path, "changed");
        return read;
      },
    },
  };
  assert.throws(
    () => editFile({ path: "/shared/a", old_text: "one", new_text: "two" }, racing),
    (error) => toFailure(error).code === "file_changed",
  );
  assert.equal(content.get("/shared/a"), "changed");
});

Deno.test("toExports() turns every throw into a failure record", () => {
  const { host } = openMemoryHost({});
  const { execute, describe } = toExports({ name: "n", version: "1" }, {
    ...TOOLS,
    breaks: () => {
      throw new RangeError("boom");
    },
  }, host);
  const failureOf = (tool: string, args: string) => {
    try {
      return execute(tool, args);
    } catch (error) {
      assert.ok(!(error instanceof Error), "an Error would trap the instance");
      return error;
    }
  };
  assert.equal(JSON.parse(describe()).tools.length, 7);
  assert.deepEqual(failureOf("file_read", '{"path":"/shared/x"}'), {
    code: "file_not_found",
    message: "/shared/x does not exist",
  });
  assert.deepEqual(failureOf("toString", "{}"), {
    code: "tool_unknown",
    message: 'this component has no tool "toString"',
  });
  assert.deepEqual(failureOf("breaks", "{}"), {
    code: "tool_failed",
    message: "the tool broke: RangeError: boom",
  });
  assert.equal(
    (failureOf("file_read", "{") as { code: string }).code,
    "tool_failed",
  );
  assert.deepEqual(toFailure(new ToolFailure("tool_failed", "m")), {
    code: "tool_failed",
    message: "m",
  });
  assert.equal(toFailure(null).code, "tool_failed");
});

Deno.test("utf8Bytes() and cutToBytes() agree with the platform's encoder", () => {
  const encoder = new TextEncoder();
  for (
    const text of [
      "",
      "a",
      "é",
      "€",
      "😀",
      "a😀é€",
      "\ud83d",
      "\ude00\ud83d",
      "😀".repeat(100),
    ]
  ) {
    assert.equal(
      utf8Bytes(text),
      encoder.encode(text).length,
      JSON.stringify(text),
    );
    for (let max = 0; max < 12; max++) {
      const cut = cutToBytes(text, max);
      assert.ok(
        text.startsWith(cut) && encoder.encode(cut).length <= max,
        `${JSON.stringify(text)} to ${max}`,
      );
      const next = text.slice(
        cut.length,
        cut.length + ((text.codePointAt(cut.length) ?? 0) > 0xffff ? 2 : 1),
      );
      if (text.isWellFormed() && cut !== text) {
        assert.ok(encoder.encode(cut + next).length > max);
      }
    }
  }
});

Deno.test("toLineStarts() and toCanonicalPath()", () => {
  assert.deepEqual(toLineStarts(""), []);
  assert.deepEqual(toLineStarts("a"), [0]);
  assert.deepEqual(toLineStarts("a\n\nb\n"), [0, 2, 3]);
  assert.equal(toCanonicalPath("//shared///a//"), "/shared/a");
  assert.equal(toCanonicalPath("/"), "/");
});
