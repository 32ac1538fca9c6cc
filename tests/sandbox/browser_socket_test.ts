import assert from "node:assert/strict";
import { openSocket } from "#/sandbox/browser_socket.ts";
import { openHostileSite } from "../fake/hostile_site.ts";
import { openKit } from "./browser_kit.ts";

/** A browser as a person runs one, with a port for its protocol. */
async function openOwn(): Promise<AsyncDisposable & { readonly url: string }> {
  const dir = await Deno.makeTempDir({ prefix: "ox-own-" });
  const args = [
    "--headless",
    "--no-sandbox",
    "--remote-debugging-port=0",
    `--user-data-dir=${dir}`,
    "--disable-gpu",
    "about:blank",
  ];
  const child = new Deno.Command("/usr/lib/chromium/chromium", { args, stdout: "null", stderr: "piped" }).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream());
  const port = Promise.withResolvers<string>();
  let said = "";
  const read = (async () => {
    for await (const text of lines) {
      said += text;
      const found = /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(said)?.[1];
      if (found !== undefined) port.resolve(found);
    }
  })();
  return {
    url: `http://127.0.0.1:${await port.promise}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, read]);
      await Deno.remove(dir, { recursive: true }).catch(() => {});
    },
  };
}

Deno.test("openSocket() speaks with a browser that a person runs, by what it says of its address", async () => {
  await using own = await openOwn();
  const wire = await openSocket(own.url);
  const messages = wire.receive()[Symbol.asyncIterator]();
  wire.send(JSON.stringify({ id: 1, method: "Browser.getVersion" }));
  assert.match((await messages.next()).value!, /"id":1,"result":\{"protocolVersion"/);
  wire.send(JSON.stringify({ id: 2, method: "Browser.close" }));
  while (!(await messages.next()).done);
  wire.send("nobody hears it");
});

Deno.test("openSocket() fails where there is no browser", async () => {
  const gone = { code: "tool_crashed", message: "No browser answers at tools.browser.cdp_url" };
  await assert.rejects(openSocket("http://127.0.0.1:1"), gone);
  for (const body of ["", "{}", '{"webSocketDebuggerUrl":7}', '{"webSocketDebuggerUrl":"ws://elsewhere/x"}']) {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(body));
    await assert.rejects(openSocket(`http://127.0.0.1:${server.addr.port}`), gone, body);
  }
});

Deno.test("browsers: one that the person runs is used in a context of its own, which goes when it is left", async () => {
  await using site = openHostileSite();
  await using own = await openOwn();
  await using kit = await openKit({ place: { kind: "external", cdpUrl: own.url } });
  assert.match(await kit.browse({ action: "navigate", url: `${site.url}/` }), /heading "Orders"/);
  assert.match(await kit.browse({ action: "tabs" }), /^t1: http[^\n]*\n?[^t]*$/);
  const targets = async () => await (await fetch(`${own.url}/json/list`)).json() as { url: string }[];
  assert.ok((await targets()).some(({ url }) => url.startsWith(site.url)));
  await kit.browsers.close();
  while ((await targets()).some(({ url }) => url.startsWith(site.url)));
  assert.equal(kit.walled.length, 0);
});
