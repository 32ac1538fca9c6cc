import assert from "node:assert/strict";
import { parsePrompt } from "#/provider/demo_parse.ts";
import type { DemoStep } from "#/provider/demo_rules.ts";

const LAST = "/shared/last.txt";
const haiku = (topic: string, path: string): DemoStep => ({ do: "compose", piece: "haiku", topic, path });
const read = (path: string): DemoStep => ({ do: "read", path });
const list = (path: string, recursive = false): DemoStep => ({ do: "list", path, recursive });
const search = (pattern: string, path = "/shared", regex = false): DemoStep => ({ do: "search", path, pattern, regex });
const write = (text: string, path: string): DemoStep => ({ do: "write", path, text });
const remove = (path: string): DemoStep => ({ do: "delete", path });
const replace = (from: string, to: string, path: string): DemoStep => ({ do: "replace", path, from, to });

const CASES: readonly (readonly [prompt: string, ...steps: DemoStep[]])[] = [
  [
    "write a haiku about rivers to /shared/haiku.txt, then read it back",
    haiku("rivers", "/shared/haiku.txt"),
    read("/shared/haiku.txt"),
  ],
  [
    "Write a haiku on mountains to /shared/m.txt. Then read it back.",
    haiku("mountains", "/shared/m.txt"),
    read("/shared/m.txt"),
  ],
  ["Write a haiku", haiku("", "/shared/haiku.txt")],
  ["write a haiku about rivers in haiku.txt", haiku("rivers", "/shared/haiku.txt")],
  ["write a haiku about life in general to general.txt", haiku("life in general", "/shared/general.txt")],
  ["write a haiku about how to read to x.txt", haiku("how to read", "/shared/x.txt")],
  ["write a haiku on “big data” to 'my file.txt'", haiku("big data", "/shared/my file.txt")],
  ["write a haiku about rivers, to /shared/haiku.txt", haiku("rivers", "/shared/haiku.txt")],
  ["write a haiku about rivers into the folder /shared/poems as r.txt", haiku("rivers", "/shared/poems/r.txt")],
  [
    "Could you write a haiku about autumn in a file called leaves.txt in /shared/poems, then list /shared/poems?",
    haiku("autumn", "/shared/poems/leaves.txt"),
    list("/shared/poems"),
  ],
  [
    "please write me a short haiku about winter mornings, save it to /shared/w.txt and then read it back to me",
    haiku("winter mornings", "/shared/w.txt"),
    read("/shared/w.txt"),
  ],
  [
    'Write a haiku about the deep sea to /shared/notes/sea-42.txt, then replace "sea" with "ocean" in it, then search for "ocean" in /shared/notes, then read it back',
    haiku("the deep sea", "/shared/notes/sea-42.txt"),
    replace("sea", "ocean", "/shared/notes/sea-42.txt"),
    search("ocean", "/shared/notes"),
    read("/shared/notes/sea-42.txt"),
  ],
  ["write a poem about old war and peace to notes/x.md and then show it to me", {
    do: "compose",
    piece: "poem",
    topic: "old war and peace",
    path: "/shared/notes/x.md",
  }, read("/shared/notes/x.md")],
  ["write a note about buying milk", { do: "compose", piece: "note", topic: "buying milk", path: "/shared/note.txt" }],
  ['write "hello, then read it" to tmp/a.txt', write("hello, then read it", "/tmp/a.txt")],
  ['create a file called /shared/b.txt with "content"', write("content", "/shared/b.txt")],
  ["write hello world to /tmp/a.txt, read it back", write("hello world", "/tmp/a.txt"), read("/tmp/a.txt")],
  ["save `x = 1` as todo.list", write("x = 1", "/shared/todo.list")],
  ["read haiku.txt", read("/shared/haiku.txt")],
  ["read it back", read(LAST)],
  ["show me the contents of /shared/a.txt", read("/shared/a.txt")],
  ["what is in /shared/a.txt?", read("/shared/a.txt")],
  ["read /etc/passwd", read("/etc/passwd")],
  ["read ../../x", read("/shared/../../x")],
  ["read ~/.ssh/id", read("~/.ssh/id")],
  ["ls", list("/shared")],
  ["list tmp", list("/tmp")],
  ["list the files in /tmp/", list("/tmp")],
  ["what files are in /shared?", list("/shared")],
  ["list all files under /shared/notes recursively", list("/shared/notes", true)],
  ['search for "foo bar" in /shared/notes', search("foo bar", "/shared/notes")],
  ["search /shared for foo", search("foo")],
  ["grep needle /shared/n", search("needle", "/shared/n")],
  ["find the word river in /shared/haiku.txt", search("river", "/shared/haiku.txt")],
  ['search for the regex "^a.*b$" in the folder /shared', search("^a.*b$", "/shared", true)],
  ['replace "a" with "b" in /shared/a.txt', replace("a", "b", "/shared/a.txt")],
  ["change river to sea in haiku.txt", replace("river", "sea", "/shared/haiku.txt")],
  ['replace all "x" with "y" in it', replace("x", "y", LAST)],
  ['replace "x" with ""', replace("x", "", LAST)],
  ['edit /shared/a.txt: replace "x" with "y"', replace("x", "y", "/shared/a.txt")],
  ['edit /shared/a.txt, then replace "x" with "y"', replace("x", "y", "/shared/a.txt")],
  ['in /shared/a.txt replace "x" with "y"', replace("x", "y", "/shared/a.txt")],
  ["delete /shared/a.txt", remove("/shared/a.txt")],
  ["remove it", remove(LAST)],
  [
    "save a haiku about snow as /shared/s.txt; then read /shared/s.txt; then delete /shared/s.txt",
    haiku("snow", "/shared/s.txt"),
    read("/shared/s.txt"),
    remove("/shared/s.txt"),
  ],
];

Deno.test("parsePrompt() understands the stated requests, alone and joined", () => {
  for (const [prompt, ...steps] of CASES) {
    assert.deepEqual(parsePrompt(prompt, LAST), { understood: true, steps }, prompt);
  }
});

Deno.test("parsePrompt() understands any topic, file and folder", () => {
  const topics = [
    "rivers",
    "the 3rd of May",
    "déjà vu",
    "日本",
    "bread & butter",
    "a list of things",
    "reading",
    "C++",
    "my cat Tom",
  ];
  const paths = [
    "/shared/haiku.txt",
    "/shared/notes/rivers-42.txt",
    "/tmp/a/b/c.md",
    "/shared/x_y.z",
    "/shared/日本.txt",
    "/shared/plain",
  ];
  for (const topic of topics) {
    for (const path of paths) {
      const plan = parsePrompt(`write a haiku about ${topic} to ${path}, then read it back`);
      assert.deepEqual(plan, { understood: true, steps: [haiku(topic, path), read(path)] });
    }
  }
});

Deno.test("parsePrompt() does nothing when a part makes no sense, and names the part", () => {
  const table: readonly (readonly [prompt: string, part: string])[] = [
    ["", ""],
    ["hello", "hello"],
    ["make me a sandwich", "make me a sandwich"],
    ["what is the capital of France?", "what is the capital of France"],
    ['delete /shared/a.txt, then write "x" nowhere', 'write "x" nowhere'],
    ["edit /shared/a.txt", "edit /shared/a.txt"],
    ["read it back", "read it back"],
    ["write a limerick about cats to /shared/l.txt", "write a limerick about cats to /shared/l.txt"],
    ["save it to /shared/a.txt", "save it to /shared/a.txt"],
  ];
  for (const [prompt, part] of table) assert.deepEqual(parsePrompt(prompt), { understood: false, part }, prompt);
});

Deno.test("parsePrompt() bounds its steps, and comes to an end on what makes regular expressions explode", () => {
  const many = Array.from({ length: 20 }, () => "read a.txt").join(", then ");
  assert.equal(parsePrompt(many).understood, true);
  assert.equal(parsePrompt(`${many}, then read a.txt`).understood, false);
  const hostile = [
    "“".repeat(20_000),
    '"'.repeat(19_999),
    "write a haiku about " + "to in as ".repeat(200),
    "replace " + "a with b in c ".repeat(140),
    "search " + "in the folder ".repeat(140),
    "write " + "file called ".repeat(160),
    "then ".repeat(390),
    "x".repeat(400_000),
    "\ue000\ue001\uefff",
    "read \u0000\ud800.txt",
  ];
  for (const prompt of hostile) {
    assert.equal(typeof parsePrompt(prompt, LAST).understood, "boolean", prompt.slice(0, 30));
  }
});
