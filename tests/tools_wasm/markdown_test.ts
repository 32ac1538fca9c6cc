import assert from "node:assert/strict";
import { Blocks } from "../../tools-wasm/web/blocks.ts";
import { isHidden } from "../../tools-wasm/web/elements.ts";
import { collapse, inSlices, toMarked, toTidy } from "../../tools-wasm/web/inline.ts";
import { toPage } from "../../tools-wasm/web/markdown.ts";
import { Table } from "../../tools-wasm/web/table.ts";

const URL_OF_PAGE = "https://example.com/docs/page.html";

function toMarkdown(html: string): string {
  return toPage(html, { url: URL_OF_PAGE, charsMax: 1_000_000 }).text;
}

const TABLE: [html: string, markdown: string][] = [
  // Headings and paragraphs
  ["<h1>One <em>two</em></h1><h3>Three</h3>text", "# One *two*\n\n### Three\n\ntext"],
  ["<h2>a<br>b</h2>", "## a b"],
  ["<p>a<p>b<div>c</div>d", "a\n\nb\n\nc\n\nd"],
  ["<p>  a \n\t b  </p>", "a b"],
  ["a<br>b<br/><br>c", "a\nb\nc"],
  ["a<hr>b", "a\n\n---\n\nb"],
  // Inline
  ["<b>a</b> <strong>b <i>c</i></strong> <del>d</del>", "**a** **b *c*** ~~d~~"],
  ["<b> a </b>b<i> </i>", "**a** b"],
  ["<b><b>a</b></b><b></b>", "**a**"],
  ["<b>a<p>b</b>c", "**a**\n\n**b**c"],
  ["<code>a</code> <kbd>`</kbd>", "`a` `` ` ``"],
  // Links and pictures
  [`<a href="../x?a=1&amp;b=2">l <b>b</b></a>`, "[l **b**](https://example.com/x?a=1&b=2)"],
  [`<a href="javascript:x">l</a><a>m</a><a href="#a">n</a>`, "lmn"],
  [`<a href="/a">x<a href="/b">y</a>`, "[x](https://example.com/a)[y](https://example.com/b)"],
  [`<a href="/a"><h3>T</h3><p>d</p></a>`, "### [T](https://example.com/a)\n\nd"],
  [`<a href="/a (1)">x</a>`, "[x](https://example.com/a%20%281%29)"],
  [`<img src="i.png" alt=" an  image "><img src=x><img alt="">`, "![an image](https://example.com/docs/i.png)"],
  [`<img alt="a" src="data:image/png;base64,AAAA">`, "a"],
  [`<base href="/deep/er/"><a href="x">l</a><base href="/no/">`, "[l](https://example.com/deep/er/x)"],
  // Lists
  ["<ul><li>a<li>b<ul><li>c</ul><li>d</ul>e", "- a\n- b\n  - c\n- d\n\ne"],
  ["<ol start=3><li>a</li><li><p>b</p><p>c</p></li></ol>", "3. a\n4. b\n\n   c"],
  ["<ol start=x><li>a</ol>", "1. a"],
  ["<ul><li></li><li><pre>x\ny</pre></ul>", "- ```\n  x\n  y\n  ```"],
  ["<dl><dt>t<dd>d<dt>u<dd>e</dl>", "t\n\n: d\n\nu\n\n: e"],
  ["<blockquote><p>a<p>b<blockquote>c</blockquote></blockquote>d", "> a\n\n> b\n\n> > c\n\nd"],
  // Code
  [`<pre><code class="hl language-js">a &lt; b;\n\n  c();\n</code></pre>`, "```js\na < b;\n\n  c();\n```"],
  ["<pre>\n  a\r\n<b>b</b><br>c</pre>", "```\n  a\nb\nc\n```"],
  ["<pre>```\nx</pre>", "````\n```\nx\n````"],
  // Tables
  [
    "<table><caption>C</caption><thead><tr><th>A<th>B<tbody><tr><td>1|2<td><p>x</p><p>y</p></table>",
    "C\n\n| A | B |\n| --- | --- |\n| 1\\|2 | x y |",
  ],
  [
    "<table><tr><td>a</td><td>b</td><td>c</td></tr><tr><td>d</td></tr></table>",
    "| a | b | c |\n| --- | --- | --- |\n| d |",
  ],
  ["<table><tr><th colspan=2>a<tr><td>b<td>c</table>", "| a | |\n| --- | --- |\n| b | c |"],
  ["<table><tr><td>only</td><td>layout</td></tr></table>", "only\n\nlayout"],
  [
    "<table><tr><td>menu<td><table><tr><td>1<td>2<tr><td>3<td>4</table><p>text<tr><td>x<td>y</table>",
    "menu\n\n| 1 | 2 |\n| --- | --- |\n| 3 | 4 |\n\ntext\n\nx\n\ny",
  ],
  // What no reader sees
  ["<script>x</script><style>y</style>a<nav><a href=/>Home</a></nav><svg><title>t</title>z</svg>b", "ab"],
  [
    "<noscript>n</noscript><button>b</button><select><option>o</select><textarea>t</textarea>a<template>q</template>",
    "a",
  ],
  [`<p hidden>a</p><div style="color:red;Display: None">b<p>c</p></div><p style='visibility:hidden'>d</p>e`, "e"],
  [`<div hidden>a<div>b</div>c</div>d<p hidden="until-found">e</p>`, "d\n\ne"],
  [`<span hidden>a<span>b</span>c</span>d<p hidden>e<p>f<p hidden>g<div>h</div>`, "d\n\nf\n\nh"],
  [`<body style="display:none"><p>a`, "a"],
  ["<body><nav>a<div>b</div></body>c", "c"],
  ["a\0b\x07c", "abc"],
];

Deno.test("toPage() writes Markdown", () => {
  for (const [html, markdown] of TABLE) assert.equal(toMarkdown(html), markdown, html);
});

Deno.test("toPage() finds the title, once, and not that of a picture", () => {
  const page = toPage("<svg><title>no</title></svg><head><title> T &amp;\n U </title></head><title>second</title>x", {
    url: URL_OF_PAGE,
    charsMax: 100,
  });
  assert.deepEqual(page, { title: "T & U", text: "x", isCut: false });
});

Deno.test("toPage() as plain text has no marks, links or pictures", () => {
  const html =
    `<h1>T</h1><p><b>a</b> <a href=/x>l</a><img src=i alt=p><code>c</code><blockquote>q</blockquote><pre>x\n y</pre><ul><li>i</ul>`;
  const { text } = toPage(html, { url: URL_OF_PAGE, charsMax: 1_000, isPlain: true });
  assert.equal(text, "T\n\na lc\n\nq\n\nx\n y\n\n- i");
});

Deno.test("toPage() reads no further than it has to, and what it wrote is what the whole begins with", () => {
  const html = "<p>paragraph with <b>bold</b> text</p><ul><li>item</ul>".repeat(2_000);
  const whole = toPage(html, { url: URL_OF_PAGE, charsMax: 1_000_000 });
  assert.equal(whole.isCut, false);
  for (const charsMax of [1, 100, 5_000]) {
    const part = toPage(html, { url: URL_OF_PAGE, charsMax });
    assert.ok(
      part.isCut && part.text.length >= charsMax && part.text.length < charsMax * 1.1 + 200,
      `${part.text.length}`,
    );
    assert.ok(whole.text.startsWith(part.text));
  }
});

Deno.test("Table decides what it is when it has been read", () => {
  const table = new Table();
  table.row();
  table.cell().add("a");
  table.cell().add("b");
  assert.deepEqual(table.toBlocks(), ["a", "b"]);
  table.row();
  table.cell().add("c");
  assert.deepEqual(table.toBlocks(), ["| a | b |\n| --- | --- |\n| c |"]);
  table.cell().add("x".repeat(1_001));
  assert.deepEqual(table.toBlocks(), ["a", "b", "c", "x".repeat(1_001)]);
});

Deno.test("Blocks stop to indent at a depth, so that no page can grow by its nesting", () => {
  const blocks = new Blocks();
  const containers = Array.from({ length: 100 }, () => blocks.enter("- ", "  "));
  blocks.add("a\nb");
  assert.equal(blocks.toString(), `${"- ".repeat(8)}a\n${"  ".repeat(8)}b`);
  blocks.leave(containers[1]!);
  blocks.add("c");
  assert.match(blocks.toString(), /\n\n {2}c$/);
  assert.equal(blocks.count, 2);
});

Deno.test("isHidden() looks at attributes, not at words that look like them", () => {
  for (const tag of [" hidden", ' class="x" HIDDEN="">', ` style="a:b;display :none"`]) {
    assert.ok(isHidden("p", tag), tag);
  }
  for (
    const tag of [
      "",
      ' class="hidden"',
      " data-hidden",
      ` title="display:none"`,
      " hidden=until-found",
      ' class="x hidden-xs"',
    ]
  ) {
    assert.ok(!isHidden("p", tag), tag);
  }
});

Deno.test("collapse(), toTidy() and toMarked()", () => {
  assert.equal(collapse(" a \n\t b\u00a0\x1b[1m "), " a b\u00a0[1m ");
  assert.equal(toTidy("  a  \n \n  b   c "), "a\nb c");
  assert.equal(toMarked("**", "a"), "**a**");
  const long = "a  b".repeat(40_000);
  assert.equal(toTidy(collapse(long)), "a b".repeat(40_000));
  assert.equal(inSlices(long, (slice) => slice.replaceAll("a", "")), "  b".repeat(40_000));
  assert.equal(toMarked("`", "a``b"), "``` a``b ```");
});
