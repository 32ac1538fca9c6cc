import assert from "node:assert/strict";
import { decodeEntities } from "../../tools-wasm/web/entities.ts";
import { readAttributes, readHtml } from "../../tools-wasm/web/html.ts";
import { toResolver } from "../../tools-wasm/web/url.ts";

/** What a sink is told, as one text: `<a x>`, `</a>`, and text in brackets. */
function trace(html: string): string {
  let out = "";
  readHtml(html, {
    isFull: false,
    open: (name, tag) => out += `<${name}${tag}>`,
    close: (name) => out += `</${name}>`,
    text: (text) => out += `[${text}]`,
  });
  return out;
}

Deno.test("readHtml() reads tags and text as a browser does", () => {
  const table: [html: string, told: string][] = [
    ["a<B>b</B >c", "[a]<b>[b]</b>[c]"],
    ["<p title='>' x=\"a>b\">t", "<p title='>' x=\"a>b\">[t]"],
    ['<p a"b>t', '<p a"b>[t]'],
    ["1 < 2 && 3 > 2", "[1 <][ 2 && 3 > 2]"],
    ["a<<<b>c", "[a<<]<b>[c]"],
    ["<!-- <p> -->a<!doctype html>b<?php ?>c</ x>d<!>e", "[a][b][c][d][e]"],
    ["<script>if (a<b) '</p>'</SCRIPT >x", "<script></script>[x]"],
    ["<style></styles></style>x", "<style></style>[x]"],
    ["<title>a <b> &amp; c</title>d", "<title>[a <b> & c]</title>[d]"],
    ["<br/><img src=x/>", "<br/><img src=x/>"],
    ["&lt;p&gt;", "[<p>]"],
    ["", ""],
  ];
  for (const [html, told] of table) assert.equal(trace(html), told, html);
});

Deno.test("readHtml() drops what never closes, with the rest", () => {
  for (const html of ["a<!-- b <p>", "a<p title='b>c", "a<script>b</p>", "a<p b", "a</p", "a<textarea><p>"]) {
    assert.match(trace(html), /^\[a\](?:<(?:script|textarea)>)?$/, html);
  }
});

Deno.test("readHtml() stops when its sink is full", () => {
  let seen = 0;
  const sink = {
    get isFull() {
      return seen >= 3;
    },
    open: () => void seen++,
    close: () => void seen++,
    text: () => void seen++,
  };
  readHtml("<p>".repeat(1_000), sink);
  assert.equal(seen, 3);
});

Deno.test("readAttributes() takes the first of a name, any quotes, and decodes references", () => {
  const read = (tag: string) => Object.fromEntries(readAttributes(tag));
  assert.deepEqual(read(` HREF="/a?b=1&amp;c=2" href=x alt='it&#39;s' checked data-x = y&copy=1 z=`), {
    href: "/a?b=1&c=2",
    alt: "it's",
    checked: "",
    "data-x": "y&copy=1",
    z: "",
  });
  assert.equal(readAttributes(` ${"a=1 ".repeat(10_000)} late=1`).get("late"), undefined);
});

Deno.test("decodeEntities() knows names, numbers and what old pages leave out", () => {
  const table: [text: string, decoded: string][] = [
    ["&amp;&lt;&gt;&quot;&apos;&nbsp;&copy;&yuml;", "&<>\"'\u00a0©ÿ"],
    ["&alpha;&omega;&Omega;&sigmaf;&thetasym;", "αωΩς&thetasym;"],
    ["&mdash;&hellip;&euro;&rarr;&ensp;&check;", "—…€→\u2002✓"],
    ["&#65;&#x1F600;&#X41;", "A😀A"],
    ["&#128;&#150;", "€–"],
    ["&#0;&#xD800;&#x110000;&#99999999999999999999;", "\ufffd\ufffd\ufffd\ufffd"],
    ["a &amp b &lt c &unknown; &; & &#; &#x;", "a & b < c &unknown; &; & &#; &#x;"],
  ];
  for (const [text, decoded] of table) assert.equal(decodeEntities(text), decoded, text);
  assert.equal(decodeEntities("?a=1&copy=2&amp;b", true), "?a=1&copy=2&b");
});

Deno.test("toResolver() agrees with the platform on references of pages", () => {
  const references = [
    "a",
    "./a/../b?c=d#e",
    "../x/",
    "../../../x",
    "/",
    "/a/./b/../c",
    "?q=1",
    "//other.example/p?q",
    "https://example.org:8080/x",
    "HTTP://example.org/a",
    " a b ",
    "\\a\\b",
    "/a\n\tb",
    "a?b=/../c",
    "é",
    "..",
    ".",
    "a/..",
    "g;x=1/../y",
  ];
  for (
    const base of ["https://example.com/docs/guide/page.html?x=1#y", "http://example.com", "https://example.com/a"]
  ) {
    const resolve = toResolver(base);
    for (const reference of references) {
      const ours = resolve(reference);
      assert.equal(new URL(ours!).href, new URL(reference, base).href, `${reference} on ${base}: ${ours}`);
      assert.match(ours!, /^https?:\/\/[^\s<>"`()]+$/);
    }
  }
});

Deno.test("toResolver() gives nothing for what leads nowhere a tool could go", () => {
  const resolve = toResolver("https://example.com/a");
  for (
    const reference of [
      "",
      "#top",
      "javascript:alert(1)",
      "JaVaScRiPt:x",
      "java\nscript:x",
      "data:text/html,x",
      "mailto:a@b",
      "tel:1",
      "http:",
      "https:///x",
      "file:///etc/passwd",
      `/${"x".repeat(2_048)}`,
    ]
  ) {
    assert.equal(resolve(reference), undefined, reference.slice(0, 40));
  }
});
