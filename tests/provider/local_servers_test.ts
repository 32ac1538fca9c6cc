import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { probeLocalServers } from "#/provider/local_servers.ts";
import { reply } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";

/** A server whose `/models` answers anything. */
function serve(handler: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, handler);
  return { label: "odd", baseUrl: `http://127.0.0.1:${server.addr.port}/v1`, stop: () => server.shutdown() };
}

Deno.test("probeLocalServers() asks for the models and sends nothing else", async () => {
  const vendor = await startFakeOpenAi(() => reply([]), { models: ["llama3.2:3b", "hf.co/x/y@z"] });
  const gone = await startFakeOpenAi(() => reply([]));
  await gone.close();
  const candidates = [{ label: "Ollama", baseUrl: vendor.url }, { label: "nobody", baseUrl: gone.url }];
  const found = await probeLocalServers(fetch, { candidates, timeoutMs: 2_000 });
  assert.deepEqual(found, [{ label: "Ollama", baseUrl: vendor.url, models: ["llama3.2:3b", "hf.co/x/y@z"] }]);
  assert.deepEqual(vendor.seen.map((seen) => `${seen.method} ${seen.path}`), ["GET /v1/models"]);
  assert.equal(vendor.seen[0]!.headers["authorization"], undefined);
  await vendor.close();
});

Deno.test("probeLocalServers() leaves out what answers anything else, and what would break a command line", async () => {
  const long = "x".repeat(LIMITS.probeBytesMax);
  const bodies: readonly (() => Response)[] = [
    () => new Response("<html>"),
    () => new Response(null, { status: 204 }),
    () => new Response("no", { status: 500 }),
    () => Response.json({ data: [] }),
    () =>
      Response.json({
        data: [{ id: "$(touch /tmp/owned)" }, { id: "a b" }, { id: "-rf" }, { id: "`x`" }, { id: "\x1b[2J" }],
      }),
    () => Response.json({ data: [{ id: "ok" }], padding: long }),
    () => Response.redirect("http://127.0.0.1:2/v1/models"),
    () => Response.json([{ id: "ok" }]),
  ];
  for (const body of bodies) {
    const server = serve(body);
    assert.deepEqual(await probeLocalServers(fetch, { candidates: [server], timeoutMs: 2_000 }), [], body.toString());
    await server.stop();
  }
});

Deno.test("probeLocalServers() does not wait for servers that never answer", async () => {
  const release = Promise.withResolvers<void>();
  const silent = [1, 2, 3].map(() =>
    serve(async () => {
      await release.promise;
      return new Response();
    })
  );
  assert.deepEqual(await probeLocalServers(fetch, { candidates: silent }), []);
  release.resolve();
  await Promise.all(silent.map((server) => server.stop()));
});

Deno.test("probeLocalServers() looks at 11434 and 1234 by default", async () => {
  const asked: string[] = [];
  const fetcher: typeof fetch = (url) => {
    asked.push(String(url));
    return Promise.resolve(new Response(null, { status: 404 }));
  };
  assert.deepEqual(await probeLocalServers(fetcher, { isListening: () => Promise.resolve(true) }), []);
  assert.deepEqual(asked.sort(), ["http://127.0.0.1:11434/v1/models", "http://127.0.0.1:1234/v1/models"]);
});

Deno.test("probeLocalServers() does not fetch where nobody listens", async () => {
  const gone = await startFakeOpenAi(() => reply([]));
  await gone.close();
  const fetcher: typeof fetch = () => assert.fail("fetched");
  assert.deepEqual(await probeLocalServers(fetcher, { candidates: [{ label: "nobody", baseUrl: gone.url }] }), []);
});
