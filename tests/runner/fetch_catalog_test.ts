/** Fetching a catalog from servers on real sockets that misbehave on purpose. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { fetchCatalog, type FetchCatalogDeps, MODELS_DEV } from "#/runner/fetch_catalog.ts";
import { catalogText } from "../fixture/catalogs.ts";

const GOOD = catalogText({ b: {}, a: { extra: "of the vendor" } });

/** A server, and an empty place for the file. */
async function withServer(
  handler: (request: Request) => Response | Promise<Response>,
  body: (url: string, path: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
  const folder = await Deno.makeTempDir();
  try {
    await body(`http://127.0.0.1:${server.addr.port}`, join(folder, "config", "oxydra", "model_catalog.json"));
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

function deps(more: Partial<FetchCatalogDeps> = {}): FetchCatalogDeps {
  return { fetch, onProgress: () => {}, ...more };
}

/** Nothing but the catalog: no half file stays behind. */
function listFolder(path: string): string[] {
  return [...Deno.readDirSync(join(path, ".."))].map(({ name }) => name);
}

Deno.test("fetchCatalog() writes what oxydra knows of a catalog, for the person alone, the same bytes each time", async () => {
  let served = GOOD;
  await withServer(() => new Response(served), async (url, path) => {
    const seen: (readonly [number, number | undefined])[] = [];
    const first = await fetchCatalog(url, path, deps({ onProgress: (...at) => seen.push(at) }));
    assert.deepEqual([first.vendors, first.models, first.changed, first.leftOut], [1, 2, true, []]);
    assert.deepEqual(seen.at(-1), [GOOD.length, GOOD.length]);
    const text = await Deno.readTextFile(path);
    assert.equal(first.bytes, text.length);
    assert.ok(!text.includes("of the vendor"));
    assert.deepEqual(text.split("\n").map((line) => line.slice(0, 4)), ["{", '"ope', '"a":', '"b":', "}", ""]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(join(path, ".."))).mode! & 0o777, 0o700);
    served = JSON.stringify(JSON.parse(catalogText({ a: {}, b: {} })), null, 7);
    assert.equal((await fetchCatalog(url, path, deps())).changed, false);
    assert.equal(await Deno.readTextFile(path), text);
    assert.deepEqual(listFolder(path), ["model_catalog.json"]);
  });
});

Deno.test("fetchCatalog() leaves out what does not fit and says so", async () => {
  const text = JSON.stringify({ ...JSON.parse(catalogText({ a: {}, b: { limit: 7 } })), odd: 1 });
  await withServer(() => new Response(text), async (url, path) => {
    const { models, leftOut } = await fetchCatalog(url, path, deps());
    assert.deepEqual([models, leftOut.length], [1, 2]);
  });
});

const endless = () =>
  new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1_048_576).fill(32)) });
const cut = () =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(GOOD.slice(0, 40)));
      setTimeout(() => controller.error(new Error("gone")), 20);
    },
  });

const FAULTS: readonly (readonly [name: string, answer: () => Response, code: string, said: RegExp])[] = [
  ["a body without end", () => new Response(endless()), "egress_failed", /larger than 16777216 bytes/],
  [
    "a catalog that was cut off",
    () => new Response(GOOD.slice(0, -20)),
    "config_invalid",
    /no JSON here.*cut off.*line 1/,
  ],
  ["a connection that breaks", () => new Response(cut()), "egress_failed", /cannot be fetched/],
  ["a page", () => new Response("<html>"), "config_invalid", /is no model catalog: it is no JSON/],
  ["nothing", () => new Response(""), "config_invalid", /is empty/],
  ["another schema", () => new Response('{"data":[{"id":"gpt"}]}'), "config_invalid", /is no model catalog/],
  ["vendors without a model", () => new Response(catalogText({})), "config_invalid", /names no model/],
  [
    "models that do not fit",
    () => new Response(catalogText({ a: { limit: 1 } })),
    "config_invalid",
    /openai\.models\.a\.limit/,
  ],
  ["404", () => new Response("", { status: 404 }), "egress_failed", /answered 404/],
  ["500", () => new Response("", { status: 500 }), "egress_failed", /answered 500/],
  ["a redirect to nowhere", () => new Response(null, { status: 302 }), "egress_failed", /answered 302/],
  [
    "a redirect to plain http elsewhere",
    () => new Response(null, { status: 302, headers: { location: "http://catalog.example/api.json" } }),
    "usage",
    /fetched by https/,
  ],
  [
    "a redirect to a file",
    () => new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } }),
    "usage",
    /fetched by https/,
  ],
  [
    "redirects without end",
    () => new Response(null, { status: 302, headers: { location: "/" } }),
    "egress_failed",
    /redirects more/,
  ],
];

for (const [name, answer, code, said] of FAULTS) {
  Deno.test(`fetchCatalog() keeps the old file when it gets ${name}`, async () => {
    await withServer(answer, async (url, path) => {
      await Deno.mkdir(join(path, ".."), { recursive: true });
      await Deno.writeTextFile(path, "the old one");
      await assert.rejects(fetchCatalog(url, path, deps()), { code, message: said });
      assert.equal(await Deno.readTextFile(path), "the old one");
      assert.deepEqual(listFolder(path), ["model_catalog.json"]);
    });
  });
}

Deno.test("fetchCatalog() takes a catalog of catalogBytesMax, and follows redirects on this machine", async () => {
  const largest = GOOD.padEnd(LIMITS.catalogBytesMax, " ");
  await withServer(
    ({ url }) => url.endsWith("/real") ? new Response(largest) : Response.redirect(`${url}real`),
    async (url, path) => {
      assert.equal((await fetchCatalog(url, path, deps())).models, 2);
    },
  );
});

Deno.test("fetchCatalog() does not wait for a server that drips", async () => {
  const drip = () => {
    let timer: ReturnType<typeof setInterval>;
    return new ReadableStream<Uint8Array>({
      start: (controller) => void (timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 10)),
      cancel: () => clearInterval(timer),
    });
  };
  await withServer(() => new Response(drip()), async (url, path) => {
    await assert.rejects(fetchCatalog(url, path, deps({ timeoutMs: 200 })), {
      code: "egress_timeout",
      message: /longer than 0\.2 s/,
    });
    await assert.rejects(Deno.stat(path));
  });
});

Deno.test("fetchCatalog() takes https, and http from this machine only, before anything is sent", async () => {
  let sent = 0;
  const never: typeof fetch = () => {
    sent++;
    return Promise.resolve(new Response(GOOD));
  };
  const folder = await Deno.makeTempDir();
  const path = join(folder, "c.json");
  for (
    const address of [
      "http://models.dev/api.json",
      "http://127.0.0.1.example/x",
      "http://localhost.example/x",
      "ftp://127.0.0.1/x",
      "file:///etc/passwd",
      "models.dev",
      "",
    ]
  ) {
    await assert.rejects(fetchCatalog(address, path, deps({ fetch: never })), { code: "usage" }, address);
  }
  assert.equal(sent, 0);
  for (const address of [MODELS_DEV, "http://localhost:1/x", "http://[::1]:1/x"]) {
    await fetchCatalog(address, path, deps({ fetch: never }));
  }
  assert.equal(sent, 3);
  const bounced: typeof fetch = () =>
    Promise.resolve(new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/x" } }));
  await assert.rejects(fetchCatalog(MODELS_DEV, path, deps({ fetch: bounced })), { code: "usage" });
  await assert.rejects(
    fetchCatalog("http://127.0.0.1:1", "/proc/none/c.json", deps({ fetch: never })),
    /cannot be written/,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("fetchCatalog() says why it could not connect, and takes the place of a pipe instead of waiting for who writes into it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const refused = { code: "egress_failed", message: /cannot be fetched: connection refused\. Nothing was changed/ };
  await assert.rejects(fetchCatalog(`http://127.0.0.1:${port}`, "/nowhere", deps()), refused);
  await withServer(() => new Response(GOOD), async (url, path) => {
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await new Deno.Command("mkfifo", { args: [path] }).output();
    assert.equal((await fetchCatalog(url, path, deps())).changed, true);
    assert.ok((await Deno.lstat(path)).isFile);
  });
});
