import assert from "node:assert/strict";
import { decodeBody } from "#/sandbox/child_body.ts";

function bytesOf(...parts: (string | number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part),
  );
}

/** "Привет" and so on, as their encodings write them. */
const CYRILLIC = [0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2];
const SJIS = [0x93, 0xfa, 0x96, 0x7b];
const GB18030 = [0xd6, 0xd0, 0xce, 0xc4];
const CURLY = [0x93, 0xe9, 0x94];

Deno.test("decodeBody() takes the charset of the Content-Type", () => {
  const table: [contentType: string, bytes: Uint8Array, text: string, charset: string][] = [
    ["text/html; charset=utf-8", bytesOf("é😀"), "é😀", "utf-8"],
    ["text/plain;charset=windows-1251", bytesOf(CYRILLIC), "Привет", "windows-1251"],
    ['text/plain; charset="Shift_JIS"', bytesOf(SJIS), "日本", "shift_jis"],
    ["text/plain; charset='gb18030'", bytesOf(GB18030), "中文", "gb18030"],
    // Everyone who writes Latin-1 means windows-1252 (WHATWG Encoding, labels).
    ["text/html; charset=ISO-8859-1", bytesOf(CURLY), "“é”", "windows-1252"],
    ["text/html; boundary=x; CHARSET=koi8-r", bytesOf([0xf0]), "П", "koi8-r"],
    ["application/json", bytesOf('{"a":"é"}'), '{"a":"é"}', "utf-8"],
    ["application/activity+json; charset=utf-16le", bytesOf([0x61, 0, 0xe9, 0]), "aé", "utf-16le"],
  ];
  for (const [contentType, bytes, text, charset] of table) {
    assert.deepEqual(decodeBody(contentType, bytes), { text, charset }, contentType);
  }
});

Deno.test("decodeBody() believes a byte order mark more than anybody, and drops it", () => {
  const declared = "text/html; charset=windows-1251";
  assert.deepEqual(decodeBody(declared, bytesOf([0xef, 0xbb, 0xbf], "é")), { text: "é", charset: "utf-8" });
  assert.deepEqual(decodeBody(declared, bytesOf([0xff, 0xfe, 0x61, 0])), { text: "a", charset: "utf-16le" });
  assert.deepEqual(decodeBody("", bytesOf([0xfe, 0xff, 0, 0x61])), { text: "a", charset: "utf-16be" });
});

Deno.test("decodeBody() finds what a document says of itself in its first 1,024 bytes", () => {
  const cyrillic = (declaration: string, type = "text/html") => {
    const { text, charset } = decodeBody(type, bytesOf(declaration, CYRILLIC));
    return [text.slice(declaration.length), charset];
  };
  const found = ["Привет", "windows-1251"];
  assert.deepEqual(cyrillic("<meta charset=windows-1251>"), found);
  assert.deepEqual(cyrillic(`<!doctype html><META name=a><meta  CHARSET = "windows-1251" />`), found);
  assert.deepEqual(cyrillic(`<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">`), found);
  assert.deepEqual(cyrillic(`<?xml version="1.0" encoding="windows-1251"?>`, "application/rss+xml"), found);
  assert.deepEqual(cyrillic(`${" ".repeat(980)}<meta charset=cp1251>`), found);
  assert.equal(
    cyrillic(`${" ".repeat(1_010)}<meta charset=cp1251>`)[1],
    "utf-8",
    "behind the bytes that are looked at",
  );
  assert.equal(cyrillic("<!-- <meta charset=windows-1251> -->")[1], "utf-8", "in a comment");
  assert.equal(cyrillic("<meta charset=windows-1251>", "text/plain")[1], "utf-8", "not in a plain text");
});

Deno.test("decodeBody() passes over what cannot be right", () => {
  const html = (declaration: string) => decodeBody("text/html; charset=no-such-thing", bytesOf(declaration, "é"));
  assert.equal(html("<meta charset=windows-1252>").charset, "windows-1252", "an unknown label of the server");
  assert.equal(html("<meta charset=utf-16>").charset, "utf-8", "it was read as ASCII, so it is not UTF-16");
  assert.equal(html("<meta charset=iso-2022-kr>").charset, "utf-8", "an encoding that browsers refuse");
  assert.deepEqual(decodeBody("text/plain", bytesOf([0x61, 0xff, 0x62])), { text: "a\ufffdb", charset: "utf-8" });
  assert.deepEqual(decodeBody("text/plain", new Uint8Array()), { text: "", charset: "utf-8" });
});

Deno.test("decodeBody() does not decode what is no text", () => {
  for (const type of ["image/png", "application/pdf", "application/octet-stream", "video/mp4", "font/woff2", "what"]) {
    assert.deepEqual(decodeBody(type, bytesOf("abc")), { text: "", charset: "" }, type);
  }
  for (
    const type of ["text/x-python", "application/ld+json", "image/svg+xml", "application/javascript", "APPLICATION/XML"]
  ) {
    assert.equal(decodeBody(type, bytesOf("abc")).text, "abc", type);
  }
  assert.equal(decodeBody("", bytesOf("plain")).text, "plain");
  assert.equal(decodeBody("", bytesOf("a", [0], "b")).charset, "", "a NUL, and nobody says what it is");
});
