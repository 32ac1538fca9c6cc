import assert from "node:assert/strict";
import {
  forward,
  FORWARD_SCRIPT,
  planForwarder,
  PROXY_ENV,
  TUNNEL_PORT,
  TUNNEL_SOCKET,
} from "#/sandbox/tunnel_forward.ts";
import { hasBwrap, runWalled } from "./tunnel_inside.ts";
import { mirror, openRealTunnels, openServer, readAll, readUntil } from "./tunnel_kit.ts";

Deno.test({
  name: "FORWARD_SCRIPT behind real walls gives curl its tunnel, and nothing without a grant",
  ignore: !hasBwrap,
  async fn() {
    using web = openServer(mirror);
    await using tunnels = openRealTunnels({ allowlist: [`127.0.0.1:${web.port}`] });
    let isOpen = true;
    const tunnel = await tunnels.open("a", () => isOpen);
    // Its own loopback is reached without the proxy, so the server is asked for by the proxy's name for it.
    const curl =
      `curl -sS --noproxy "" -o /dev/null -w "%{http_code} %{http_connect}\\n" http://127.0.0.1:${web.port}/`;
    const unarmed = await runWalled(tunnel.dir, curl);
    assert.equal(unarmed, "ready\n403 000\n");
    await tunnel.arm();
    const text = await runWalled(tunnel.dir, `${curl}; ${curl} -p`);
    assert.equal(text, "ready\n200 000\n200 200\n");
    isOpen = false;
    const refused = await runWalled(tunnel.dir, `${curl}; ${curl} -p; cat /proc/net/dev | wc -l`);
    assert.equal(refused, "ready\n403 000\n000 403\n3\ncurl: (56) CONNECT tunnel failed, response 403\n");
  },
});

Deno.test("forward() passes bytes both ways and the end of each, and refuses at its limit and without a socket", async () => {
  const dir = Deno.makeTempDirSync();
  const path = `${dir}/proxy.sock`;
  const dial = () => Deno.connect({ hostname: "127.0.0.1", port });
  const listener = forward({ port: 0, path, max: 1 });
  const { port } = listener.addr;
  using lost = await dial();
  assert.match(await readAll(lost), /^HTTP\/1\.1 403 No network was granted/);
  const far = Deno.listen({ transport: "unix", path });
  using near = await dial();
  await near.write(new TextEncoder().encode("ping"));
  using end = await far.accept();
  assert.equal(await readUntil(end, "ping"), "ping");
  using more = await dial();
  assert.match(await readAll(more), /^HTTP\/1\.1 503 Too many/);
  await near.closeWrite();
  assert.equal(await readAll(end), "");
  await end.write(new TextEncoder().encode("pong"));
  await end.closeWrite();
  assert.equal(await readAll(near), "pong");
  far.close();
  listener.close();
  Deno.removeSync(dir, { recursive: true });
});

Deno.test("planForwarder() brings the loader and the libraries of our Deno, and binds nothing where there are none", () => {
  const maps = "7f-80 r-xp 0 08:01 5   /usr/lib/x/libc.so.6\n80-81 r--p 0 08:01 6   /usr/lib/x/ld-linux-x86-64.so.2\n" +
    "81-82 r--p 0 08:01 5   /usr/lib/x/libc.so.6\n82-83 r-xp 0 08:01 9   /opt/deno\n";
  const plan = planForwarder({ denoPath: "/opt/deno", scriptPath: "/r/forward.js", maps });
  assert.deepEqual(plan.files, {
    "/run/oxydra/deno": "/opt/deno",
    "/run/oxydra/forward.js": "/r/forward.js",
    "/run/oxydra/lib/libc.so.6": "/usr/lib/x/libc.so.6",
    "/run/oxydra/lib/ld-linux-x86-64.so.2": "/usr/lib/x/ld-linux-x86-64.so.2",
  });
  assert.equal(plan.argv[0], "/run/oxydra/lib/ld-linux-x86-64.so.2");
  assert.ok(plan.argv.includes(`--allow-net=127.0.0.1:${TUNNEL_PORT},unix:${TUNNEL_SOCKET}`));
  const bare = planForwarder({ denoPath: "/opt/deno", scriptPath: "/r/forward.js" });
  assert.deepEqual([bare.files, bare.argv[0], bare.argv.at(-1)], [{}, "/opt/deno", "/r/forward.js"]);
});

Deno.test("PROXY_ENV names the proxy in both spellings, and leaves what listens behind the walls alone", () => {
  assert.equal(PROXY_ENV.https_proxy, `http://127.0.0.1:${TUNNEL_PORT}`);
  assert.equal(PROXY_ENV.HTTP_PROXY, PROXY_ENV.http_proxy);
  assert.match(PROXY_ENV.no_proxy!, /127\.0\.0\.1/);
});
