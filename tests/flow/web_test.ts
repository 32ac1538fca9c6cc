/** The web through the whole system: model, guest, runner, egress, child, and sites on real sockets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runOxydra } from "../fixture/system.ts";
import {
  allowSites,
  filesIn,
  filesWith,
  holds,
  openSite,
  openWebHouse,
  redirect,
  type Told,
  withTalk,
} from "../fixture/web_house.ts";

const PAGE = `<!doctype html><html><head><title>Rivers</title><script>alert(1)</script></head>
<body><h1>Of rivers</h1><p>They <b>run</b> to <a href="/sea">the sea</a>.</p></body></html>`;
const html = (body: string) => new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
const fetches = (url: string, more: object = {}): Told => ["web_fetch", { url, ...more }];

Deno.test("web_fetch brings a page as Markdown; redirects and addresses that lead inside are refused, with the reason", async () => {
  await using inside = openSite(() => new Response("inside"));
  await using unlisted = openSite(() => new Response("unlisted"));
  await using site = openSite((url) => {
    switch (url.pathname) {
      case "/away":
        return redirect("/page");
      case "/inside":
        return redirect(`http://127.0.0.1:${inside.port}/admin`);
      case "/unlisted":
        return redirect(`http://127.0.0.1:${unlisted.port}/admin`);
      case "/metadata":
        return redirect("http://169.254.169.254/latest/meta-data/");
      case "/file":
        return redirect("file:///etc/passwd");
      default:
        return html(PAGE);
    }
  });
  await using house = await openWebHouse();
  await house.configure(allowSites([site], [site, unlisted]));
  await withTalk(house, async ({ turn }) => {
    const { results } = await turn([
      fetches(`${site.url}/page`),
      fetches(`${site.url}/away`),
      fetches(`${site.url}/inside`),
      fetches(`${site.url}/unlisted`),
      fetches(`${site.url}/metadata`),
      fetches(`${site.url}/file`),
      fetches(`${unlisted.url}/`),
      fetches("http://169.254.169.254/latest/meta-data/"),
      fetches("http://[::1]/"),
    ]);
    const [page, away, toInside, toUnlisted, toMetadata, toFile, direct, metadata, six] = results;
    assert.match(
      page!,
      /Status: 200[^]*# Of rivers[^]*They \*\*run\*\* to \[the sea\]\(http:\/\/127\.0\.0\.1:\d+\/sea\)/,
    );
    assert.doesNotMatch(page!, /alert/);
    assert.match(away!, new RegExp(`URL: ${site.url}/page\n[^]*# Of rivers`));
    assert.match(
      toInside!,
      new RegExp(`${site.url}/inside redirects to ${inside.url}/admin, which is not granted: .*not a port of the web`),
    );
    const notPublic = "The URL's address is not public";
    assert.equal(toUnlisted, `${site.url}/unlisted redirects to ${unlisted.url}/admin: ${notPublic}`);
    assert.equal(
      toMetadata,
      `${site.url}/metadata redirects to http://169.254.169.254/latest/meta-data/: ${notPublic}`,
    );
    assert.match(toFile!, /redirects to file:\/\/\/etc\/passwd, which is not granted/);
    for (const text of [direct, metadata, six]) assert.equal(text, notPublic);
    assert.deepEqual([inside.seen, unlisted.seen], [[], []], "nobody inside was asked");
    assert.deepEqual(site.seen.slice(0, 3).map(({ line }) => line), ["GET /page", "GET /away", "GET /page"]);
    assert.equal(site.seen[0]!.headers.authorization, undefined);
  });
  const { out } = await runOxydra(["audit", "show", "--tool", "web_fetch"], house.machine);
  assert.match(out, new RegExp(`http GET ${site.url}/page`));
  assert.match(out, new RegExp(`http GET ${inside.url}/admin`), "a redirect's judgement is written down");
  assert.equal(out.match(/egress_denied/g)?.length, 5);
  assert.equal((await runOxydra(["audit", "verify"], house.machine)).code, 0);
});

Deno.test("once the vault was read, a page that was free asks: here and on the public web", async () => {
  await using site = openSite(() => html(PAGE));
  await using house = await openWebHouse();
  await Deno.writeTextFile(join(house.workspace, "vault/key"), "rivers-run-4711");
  await house.configure(allowSites([site]));
  // A documentation address (RFC 5737): policy lets a request go, egress finds that nobody can be there.
  const open = fetches("http://192.0.2.1/");
  await withTalk(house, async ({ turn }) => {
    const before = await turn([fetches(site.url), open]);
    assert.deepEqual(before.asked, []);
    assert.match(before.results[0]!, /Of rivers/);
    assert.match(before.results[1]!, /not public/);
    const read = await turn([["file_read", { path: "/vault/key" }]], { answer: "once" });
    assert.deepEqual(read.asked, [["fs.read /vault/key"]]);
    assert.match(read.results[0]!, /rivers-run-4711/);
    const requests = site.seen.length;
    const url = `${site.url}/?d=rivers-run-4711`;
    for (const call of [fetches(site.url), fetches(url), open]) {
      const after = await turn([call]);
      assert.deepEqual([after.isParked, after.asked.length], [true, 1]);
      assert.match(after.asked[0]!.join(), /^http GET http:/);
    }
    assert.equal(site.seen.length, requests, "nothing left while nobody had said yes");
    const yes = await turn([fetches(site.url)], { answer: "once" });
    assert.match(yes.results[0]!, /Of rivers/);
    const no = await turn([fetches(site.url)], { answer: "no" });
    assert.match(no.results[0]!, /The answer was no/);
    assert.equal(site.seen.length, requests + 1);
  });
});

Deno.test("web_search asks a SearXNG on this machine that the person configured, unasked and by that tool alone", async () => {
  await using searxng = openSite((url) => {
    if (url.searchParams.get("q") === "html") return html("<p>no json here</p>");
    return Response.json({
      results: [
        { title: "Rivers <b>of</b> Europe", url: "https://example.com/rivers", content: "Long ones\nand short ones" },
        { title: "Evil", url: "javascript:alert(1)", content: "x" },
      ],
    });
  });
  await using house = await openWebHouse();
  await house.configure(`
[tools.web_search]
provider = "searxng"
base_url = "${searxng.url}/"
engines = "ddg"
egress_allowlist = ["127.0.0.1:${searxng.port}"]
`);
  await withTalk(house, async ({ turn }) => {
    const { results, asked } = await turn([
      ["web_search", { query: "rivers & seas", count: 3, freshness: "week" }],
      ["web_search", { query: "html" }],
    ]);
    assert.deepEqual(asked, []);
    assert.match(
      results[0]!,
      /1 result for "rivers & seas" \(searxng\)[^]*1\. Rivers <b>of<\/b> Europe\n {3}https:\/\/example\.com\/rivers\n {3}Long ones and short ones/,
    );
    assert.doesNotMatch(results[0]!, /javascript/);
    assert.match(results[1]!, /its answer is no JSON/);
    const query = new URL(searxng.seen[0]!.line.split(" ")[1]!, searxng.url).searchParams;
    assert.deepEqual(Object.fromEntries(query), {
      q: "rivers & seas",
      format: "json",
      pageno: "1",
      engines: "ddg",
      time_range: "week",
    });
    const other = await turn([fetches(`${searxng.url}/search?q=x`)]);
    assert.deepEqual([other.isParked, searxng.seen.length], [true, 2], "web_fetch has to ask for that port");
  });
});

Deno.test("web_search's key reaches its server in its header, and is nowhere else afterwards", async () => {
  const KEY = "AIza-canary/+4711=0815";
  await using google = openSite((url) => {
    if (url.searchParams.get("q") === "refused") {
      return new Response(`API key not valid: ${KEY}, ${btoa(KEY)}`, { status: 400 });
    }
    if (url.searchParams.get("q") === "moved") {
      return redirect(`${google.url}/elsewhere?key=${encodeURIComponent(KEY)}`);
    }
    return Response.json({ items: [{ title: "Found", link: "https://example.com/", snippet: `you sent ${KEY}` }] });
  });
  await using house = await openWebHouse(undefined, { GOOGLE_KEY: KEY, GOOGLE_CX: "engine:1" });
  await house.configure(`
[tools.web_search]
provider = "google"
base_url = "${google.url}/customsearch/v1"
api_key_env = "GOOGLE_KEY"
engine_id_env = "GOOGLE_CX"
egress_allowlist = ["127.0.0.1:${google.port}"]
`);
  const calls: Told[] = ["found", "refused", "moved"].map((query) => ["web_search", { query }]);
  await withTalk(house, async ({ turn, frames, gateway }) => {
    const { results, asked } = await turn(calls);
    assert.deepEqual(asked, []);
    assert.match(results[0]!, /Found[^]*you sent \[REDACTED:web_search\]/);
    assert.match(results[1]!, /answered 400; it says/);
    assert.match(results[2]!, /redirects to an address that holds the value of a secret/);
    const run = await runOxydra(["run", "--session", "other", JSON.stringify(calls)], house.machine);
    assert.equal(run.code, 0, run.err);
    for (const said of [...frames, run.out, run.err, gateway.errors()]) assert.ok(!holds(said, KEY), said);
  });
  assert.equal(google.seen.length, calls.length * 2);
  for (const { line, headers } of google.seen) {
    assert.ok(line.startsWith("GET /customsearch/v1?cx=engine%3A1&q="), line);
    assert.equal(headers["x-goog-api-key"], KEY);
    assert.ok(!holds(line, KEY));
    for (const [name, value] of Object.entries(headers)) {
      assert.ok(name === "x-goog-api-key" || !holds(value, KEY), name);
    }
  }
  for (const { body, headers } of house.vendor.seen) {
    assert.ok(!holds(JSON.stringify([body, headers]), KEY), "the model");
  }
  const root = join(house.machine.cwd, "..");
  const files = filesIn(root).map((path) => path.slice(root.length));
  for (const part of ["/logs/runtime.log", "/internal/oxydra.db", "/audit/audit-000001.jsonl"]) {
    assert.ok(files.some((path) => path.endsWith(part)), `${part} was looked into`);
  }
  assert.deepEqual(filesWith(root, KEY), []);
  // The search finds what is there: the engine's id is a setting, and the model's words are in the log of events.
  assert.ok(filesWith(root, "you sent [REDACTED:web_search]").some((path) => path.includes("/internal/oxydra.db")));
  const log = await Deno.readTextFile(join(house.workspace, "logs/runtime.log"));
  assert.match(log, /tool: warn: web_search by google: .*\[REDACTED:web_search\]/);
});
