import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { endMarkdown, feedMarkdown, MARKDOWN_START, type MarkdownState, peekMarkdown } from "#/cli/tui_markdown.ts";
import type { Line } from "#/cli/tui_text.ts";

const toText = (lines: readonly Line[]) => lines.map((line) => line.map((span) => span.text).join(""));

function render(source: string, width = 60): string[] {
  const { state, lines } = feedMarkdown(MARKDOWN_START, source, width);
  return toText([...lines, ...endMarkdown(state, width)]);
}

const SAMPLE = `# Title

Some **bold**, *italic*, \`code\` and [a link](https://example.org/x).
- one
  - two with **bold**
1. first
> quoted *text*

\`\`\`ts
const a = 1; // **not bold**
\`\`\`
| name | size |
|------|-----:|
| a | 1 |
| long name | 22 |

---
2 * 3 * 4 and snake_case_name, __init__ and ~~old~~ \\*star\\*
`;

Deno.test("feedMarkdown() renders headings, lists, quotes, code, tables and rules so that they read without colour", () => {
  assert.deepEqual(render(SAMPLE, 64), [
    "Title",
    "",
    "Some bold, italic, `code` and [a link](https://example.org/x).",
    "• one",
    "  • two with bold",
    "1. first",
    "│ quoted text",
    "",
    "  ts",
    "    const a = 1; // **not bold**",
    "name       size",
    "─────────  ────",
    "a          1",
    "long name  22",
    "",
    "────────────────────────────────────────",
    "2 * 3 * 4 and snake_case_name, init and old *star*",
  ]);
});

Deno.test("feedMarkdown() gives the same lines however the text is cut", () => {
  const whole = render(SAMPLE, 40);
  for (const size of [1, 2, 3, 7, 50]) {
    let state: MarkdownState = MARKDOWN_START;
    const lines: Line[] = [];
    for (let at = 0; at < SAMPLE.length; at += size) {
      const step = feedMarkdown(state, SAMPLE.slice(at, at + size), 40);
      lines.push(...step.lines);
      state = step.state;
    }
    assert.deepEqual(toText([...lines, ...endMarkdown(state, 40)]), whole, String(size));
  }
});

Deno.test("peekMarkdown() never takes back what it showed of a line: each look begins like the one before", () => {
  const lines = [
    "Some **bold word** and `code here` and *it*, done",
    "## A heading",
    "- item **b** x",
    "> a quote",
    "12. go",
  ];
  for (const line of lines) {
    let before = "";
    for (let end = 1; end <= line.length; end++) {
      const state = feedMarkdown(MARKDOWN_START, line.slice(0, end), 200).state;
      const now = toText(peekMarkdown(state, 200)).join("\n");
      const kept = before.replace(/[`*_~]+$/, "").trimEnd();
      assert.ok(now.startsWith(kept), `${JSON.stringify(before)} became ${JSON.stringify(now)}`);
      before = now;
    }
    assert.deepEqual(
      render(`${line}\n`, 200),
      toText(peekMarkdown(feedMarkdown(MARKDOWN_START, line, 200).state, 200)),
    );
  }
});

Deno.test("peekMarkdown() shows no mark that may still become something else", () => {
  for (const start of ["#", "##", "-", "``", "```", "1.", "> "]) {
    assert.deepEqual(peekMarkdown(feedMarkdown(MARKDOWN_START, start, 40).state, 40), [], start);
  }
  const open = feedMarkdown(MARKDOWN_START, "```js\nlet a", 40).state;
  assert.deepEqual(toText(peekMarkdown(open, 40)), ["    let a"]);
  assert.deepEqual(peekMarkdown(feedMarkdown(open, "\n```", 40).state, 40), []);
});

Deno.test("a table that is too wide wraps its cells, and in a narrow terminal becomes a list", () => {
  const table = "| a name | what it is |\n|---|---|\n| one | a rather long text that does not fit into the row |\n";
  assert.deepEqual(render(table, 40), [
    "a name  what it is",
    "──────  ───────────────────",
    "one     a rather long text",
    "        that does not fit",
    "        into the row",
  ]);
  assert.deepEqual(render(table, 24), [
    "a name: one",
    "what it is: a rather",
    "  long text that does",
    "  not fit into the row",
  ]);
  assert.deepEqual(render("| no table\n"), ["| no table"]);
});

Deno.test("a line that does not end is cut at its limit, at a blank where it has one", () => {
  const long = "word ".repeat(LIMITS.tuiTailCharsMax / 5 + 10);
  const { state, lines } = feedMarkdown(MARKDOWN_START, long, 80);
  assert.ok(state.tail.length <= LIMITS.tuiTailCharsMax && lines.length > 0);
  const all = toText([...lines, ...endMarkdown(state, 80)]).join(" ");
  assert.equal(all.match(/word/g)!.length, LIMITS.tuiTailCharsMax / 5 + 10);
  const solid = feedMarkdown(MARKDOWN_START, "x".repeat(3 * LIMITS.tuiTailCharsMax), 80);
  assert.equal(toText([...solid.lines, ...endMarkdown(solid.state, 80)]).join("").length, 3 * LIMITS.tuiTailCharsMax);
});

Deno.test("feedMarkdown() takes hostile Markdown in its stride: marks without end, escapes, deep lists", () => {
  for (
    const source of [
      "*_".repeat(1_900),
      "[".repeat(3_000),
      "`".repeat(3_000),
      "|".repeat(3_000),
      "> ".repeat(1_000),
      "**".repeat(1_999),
    ]
  ) {
    assert.ok(render(`${source}\nend`, 80).join("").includes("end"), source.slice(0, 9));
  }
  // deno-lint-ignore no-control-regex -- what must not arrive
  assert.doesNotMatch(render("\x1b]0;x\x07**\x9b2J**`\x1b[2J`\n").join(""), /[\x00-\x1f\x7f-\x9f]/);
});
