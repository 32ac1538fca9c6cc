import assert from "node:assert/strict";
import { never, openRealChildren, readArtefact } from "./child_kit.ts";
import { openComponent } from "#/sandbox/component.ts";
import { bodyOf, openWebChildren, toHostCalls, withWeb } from "./web_kit.ts";

const PAGE =
  `<!doctype html><html><head><title>Rivers &amp; lakes</title><style>p{}</style></head><body><nav><a href="/">Home</a></nav>
<h1>Rivers</h1><p>The <a href="../rhine?x=1&amp;y=2">Rhine</a> is <b>long</b>.</p><ul><li>one<li>two</ul></body></html>`;

/** "Река" in windows-1251. */
const CYRILLIC = new Uint8Array([0xd0, 0xe5, 0xea, 0xe0]);

function serve(request: Request): Response {
  const { pathname } = new URL(request.url);
  const html = (text: BodyInit, type = "text/html; charset=utf-8") =>
    new Response(text, { headers: { "content-type": type } });
  switch (pathname) {
    case "/docs/rivers":
      return html(PAGE);
    case "/moved":
      return Response.redirect(new URL("/docs/rivers", request.url), 302);
    case "/cyrillic":
      return html(new Blob(["<meta charset=windows-1251><p>", CYRILLIC]), "text/html");
    case "/data":
      return Response.json({ river: "Rhine", km: [1_233] });
    case "/picture":
      return html(new Uint8Array([137, 80, 78, 71]), "image/png");
    case "/long":
      return html("<p>A paragraph of some length.</p>".repeat(20_000));
    default:
      return new Response("<h1>Gone fishing</h1>", { status: 404, headers: { "content-type": "text/html" } });
  }
}

Deno.test("web_fetch gives a real page as Markdown, JSON as it is, and names what is no text", async () => {
  await withWeb(serve, async ({ run, base, seen }) => {
    const fetched = async (path: string, args = {}) => await run("web_fetch", { url: base + path, ...args });
    const page = await fetched("/docs/rivers");
    assert.equal(page.ok, true, page.text);
    assert.equal(
      bodyOf(page.text),
      `Title: Rivers & lakes\n\n# Rivers\n\nThe [Rhine](${base}/rhine?x=1&y=2) is **long**.\n\n- one\n- two`,
    );
    assert.match(
      (await fetched("/moved")).text,
      new RegExp(`^URL: ${base}/docs/rivers\nStatus: 200\nType: text/html \\(utf-8\\), `),
    );
    assert.equal(bodyOf((await fetched("/cyrillic")).text), "Река");
    assert.equal(bodyOf((await fetched("/data")).text), '{"river":"Rhine","km":[1233]}');
    assert.match((await fetched("/picture")).text, /\nType: image\/png, 4 bytes\nBody: not shown, it is no text$/);
    const long = await fetched("/long");
    assert.ok(long.outputBytes < 16_384);
    assert.match(long.text, /^Part: characters 0 to \d+; go on with start_char \d+$/m);
    const gone = await fetched("/none");
    assert.deepEqual([gone.ok, gone.code], [false, "tool_failed"]);
    assert.equal(gone.text, `${base}/none answered 404; it says "Gone fishing"`);
    assert.equal(seen.length, 7);
  });
});

Deno.test("each call has marks of its own", async () => {
  await withWeb(serve, async ({ run, base }) => {
    const marks = new Set<string | undefined>();
    for (let call = 0; call < 3; call++) {
      marks.add(/^>>>([0-9a-f]{16})$/m.exec((await run("web_fetch", { url: `${base}/data` })).text)?.[1]);
    }
    assert.ok(marks.size === 3 && !marks.has(undefined), `${[...marks]}`);
  });
});

const RESULT_PAGE =
  `<div class="result"><a class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Frhine.example%2F%3Fa%3D1">The Rhine</a>
<a class="result__snippet" href="#">A <b>river</b>.</a></div>`;

/** Services of the shape that each provider has. */
function serveSearch(request: Request): Response {
  const { pathname, searchParams } = new URL(request.url);
  const q = searchParams.get("q");
  if (pathname === "/html/") return new Response(RESULT_PAGE, { headers: { "content-type": "text/html" } });
  if (pathname === "/customsearch/v1") {
    return Response.json({
      items: [{ title: q, link: "https://g.example/", snippet: `cx ${searchParams.get("cx")}` }],
    });
  }
  if (pathname === "/good/search") {
    return Response.json({ results: [{ title: q, url: "https://s.example/", content: "c" }] });
  }
  return new Response("rate limit", { status: 429, headers: { "content-type": "text/plain" } });
}

Deno.test("web_search asks DuckDuckGo's page, follows its redirect links and shows results", async () => {
  await withWeb(serveSearch, async ({ run, seen, base }) => {
    const found = await run("web_search", { query: "rhine river" });
    assert.equal(bodyOf(found.text), "1. The Rhine\n   https://rhine.example/?a=1\n   A river.", found.text);
    assert.deepEqual(seen, [{ url: `${base}/html/?q=rhine%20river`, secrets: [] }]);
  }, (base) => ({ "web_search.base_url": `${base}/html/` }));
});

Deno.test("web_search asks Google with its key as a secret, which it never sees", async () => {
  await withWeb(
    serveSearch,
    async ({ run, seen }) => {
      const found = await run("web_search", { query: "rhine" });
      assert.equal(bodyOf(found.text), "1. rhine\n   https://g.example/\n   cx id");
      assert.deepEqual(seen.map(({ secrets }) => secrets), [["x-goog-api-key=web_search"]]);
    },
    (base) => ({
      "web_search.provider": "google",
      "web_search.engine_id": "id",
      "web_search.base_url": `${base}/customsearch/v1`,
    }),
  );
});

Deno.test("web_search goes on to the next SearXNG when one fails", async () => {
  await withWeb(serveSearch, async ({ run, seen, base }) => {
    const found = await run("web_search", { query: "rhine" });
    assert.equal(bodyOf(found.text), "1. rhine\n   https://s.example/\n   c");
    assert.deepEqual(seen.map(({ url }) => new URL(url).pathname), ["/bad/search", "/good/search"]);
    assert.ok(base.length > 0);
  }, (base) => ({ "web_search.provider": "searxng", "web_search.base_urls": `${base}/bad,${base}/good/` }));
});

Deno.test("a web tool without a grant for an interface ends with a denial, and the child serves the next call", async () => {
  await using children = await openWebChildren();
  const { onHostCall, seen } = toHostCalls();
  const call = (tool: string, args: unknown, interfaces: string[]) =>
    children.run({ tool, args, timeoutMs: 10_000, interfaces }, onHostCall, never());
  const noHttp = await call("web_fetch", { url: "http://127.0.0.1:1/" }, ["random"]);
  assert.deepEqual([noHttp.ok, noHttp.code, noHttp.text], [false, "tool_denied", "http is not granted to this call"]);
  const noConfig = await call("web_search", { query: "q" }, ["http", "random", "log"]);
  assert.deepEqual([noConfig.ok, noConfig.code, noConfig.text], [
    false,
    "tool_denied",
    "config is not granted to this call",
  ]);
  assert.deepEqual(seen, []);
});

Deno.test("the committed web component imports what its world names, and loads", async () => {
  const component = await openComponent(readArtefact("web"));
  assert.deepEqual([component.package, [...component.interfaces].sort()], ["web", ["config", "http", "log", "random"]]);
  await using children = await openRealChildren({ component });
  await children.warm();
  assert.equal(children.pids.length, 1);
});
