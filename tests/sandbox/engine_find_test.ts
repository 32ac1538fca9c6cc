import assert from "node:assert/strict";
import { findEngine, toEngineSockets } from "#/sandbox/engine_find.ts";
import { Engine } from "#/sandbox/engine.ts";

const signal = new AbortController().signal;

/** What an engine that is none answers to everything. */
async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  body: (socket: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ox-" });
  const server = Deno.serve({ transport: "unix", path: `${dir}/s`, onListen: () => {} }, answer);
  try {
    await body(`${dir}/s`);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("toEngineSockets() looks in the usual places, or where DOCKER_HOST says, and nowhere over TCP", () => {
  assert.deepEqual(toEngineSockets({ uid: 7 }), [
    ...["/var/run/docker.sock", "/run/user/7/podman/podman.sock", "/run/podman/podman.sock"],
  ]);
  assert.deepEqual(toEngineSockets({ uid: 7, runtimeDir: "/x", dockerHost: "" }), [
    ...["/var/run/docker.sock", "/x/docker.sock", "/x/podman/podman.sock", "/run/podman/podman.sock"],
  ]);
  assert.deepEqual(toEngineSockets({ uid: 7, dockerHost: "unix:///a b.sock" }), ["/a b.sock"]);
  for (
    const dockerHost of ["tcp://127.0.0.1:2375", "ssh://a", "unix://relative", "/var/run/docker.sock", "npipe:////./x"]
  ) {
    assert.throws(() => toEngineSockets({ uid: 7, dockerHost }), /DOCKER_HOST must be unix:/);
  }
});

Deno.test("findEngine() tells of what is there and answers wrongly, one sentence each", async () => {
  const version = (body: unknown) => () => Response.json(body);
  const table: readonly (readonly [answer: (request: Request) => Response, said: RegExp])[] = [
    [
      version({ Version: "17", ApiVersion: "1.24" }),
      /speaks the API from 1\.12 to 1\.24; needed is one from 1\.41 to 1\.47/,
    ],
    [version({ Version: "99", ApiVersion: "1.99", MinAPIVersion: "1.60" }), /speaks the API from 1\.60 to 1\.99/],
    [version({ Version: "20", ApiVersion: "2" }), /answered with what nobody asked for/],
    [() => new Response("<html>"), /answered with what nobody asked for/],
    [() => new Response(new Uint8Array(5_000_000)), /answered with what nobody asked for/],
    [() => Response.json({ message: "not you" }, { status: 403 }), /the container engine refused: not you/],
    [() => new Response("x", { status: 500 }), /the container engine refused: HTTP 500/],
  ];
  for (const [answer, said] of table) {
    await withServer(answer, async (path) => {
      await assert.rejects(findEngine({ dockerHost: `unix://${path}`, uid: 0 }, signal), said);
    });
  }
  const nowhere = { dockerHost: "unix:///nowhere/docker.sock", uid: 0 };
  await assert.rejects(findEngine(nowhere, signal), /at \/nowhere\/docker\.sock is not there/);
  await assert.rejects(findEngine(nowhere, AbortSignal.abort()), { code: "cancelled" });
});

Deno.test("Engine.open() gives up on an engine that says nothing", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ox-" });
  const listener = Deno.listen({ transport: "unix", path: `${dir}/s` });
  await assert.rejects(Engine.open(`${dir}/s`, signal), /did not answer within 2000 ms/);
  listener.close();
  await Deno.remove(dir, { recursive: true });
});
