import assert from "node:assert/strict";
import { join } from "node:path";
import { Bootstrap } from "#/app/bootstrap.ts";
import { GatewayConfig } from "#/gateway/config.ts";
import { planBind, type Said, toBindPlan } from "#/runner/plan_bind.ts";
import { demoBootstrap } from "../fixture/workspace.ts";

const config = (keys: Record<string, unknown>) => GatewayConfig.parse(keys);
const plan = (keys: Record<string, unknown>, said: Said = {}) => planBind(config(keys), said);

Deno.test("planBind() listens on loopback alone when nobody said more", () => {
  assert.deepEqual(plan({}), { port: 0 });
  assert.deepEqual(plan({ bind: "127.0.0.1:9000" }), { port: 9000 });
  assert.deepEqual(plan({ bind: "127.0.0.1:9000", public_hosts: ["oxydra.test"], trusted_proxy: true }), {
    port: 9000,
    listen: { main: { hosts: ["oxydra.test"], isProxied: true } },
  });
});

Deno.test("planBind() keeps 127.0.0.1 for its own clients beside any other address", () => {
  assert.deepEqual(plan({ bind: "[::1]:9000" }), {
    port: 0,
    listen: { also: { hostname: "::1", port: 9000, hosts: ["[::1]:9000"] } },
    also: "[::1]:9000",
    about: "[::1]:9000 (PLAIN TEXT)",
  });
  const proxied = plan({ bind: "10.0.0.5:9000", public_hosts: ["a.test"], trusted_proxy: true });
  assert.deepEqual([proxied.port, proxied.also, proxied.listen?.also?.hosts], [0, "10.0.0.5:9000", [
    "a.test",
    "10.0.0.5:9000",
  ]]);
});

Deno.test("planBind() refuses plain text to other machines, unless it was said twice or the runner publishes the port", () => {
  const open = { bind: "0.0.0.0:9000", public_hosts: ["a.test"] };
  const word = { ...open, plain_text_to_the_network: true };
  for (
    const [keys, said] of [[open, {}], [open, { plainText: true }], [word, {}], [word, { plainText: false }]] as const
  ) {
    assert.throws(() => plan(keys, said), { code: "config_invalid", message: /in plain text; set tls_cert_file/ });
  }
  assert.equal(plan(word, { plainText: true }).about, "0.0.0.0:9000 (PLAIN TEXT)");
  assert.equal(plan(open, { isPublished: true }).also, "0.0.0.0:9000");
  assert.equal(plan({ ...open, trusted_proxy: true }).about, "0.0.0.0:9000 (plain text, for a reverse proxy)");
});

Deno.test("planBind() wants a fixed port, names for every address, and certificate and key together", () => {
  assert.throws(() => plan({ bind: "10.0.0.5:0", trusted_proxy: true }), /needs a fixed port/);
  assert.throws(() => plan({ bind: "[::]:9000", trusted_proxy: true }), /in public_hosts/);
  assert.throws(() => plan({ tls_cert_file: "/c" }), /belong together/);
  assert.throws(() => plan({ tls_key_file: "/k" }), /belong together/);
  const tls = { bind: "10.0.0.5:9000", tls_cert_file: "/no/c.pem", tls_key_file: "/no/k.pem" };
  assert.throws(() => plan(tls), { message: /tls_cert_file: \/no\/c\.pem cannot be read/ });
  assert.equal(toBindPlan(config(tls)).about, "10.0.0.5:9000 (TLS)", "said without being read");
});

Deno.test("planBind() hands certificate and key to the guest in its bootstrap", async () => {
  const folder = await Deno.makeTempDir();
  const [cert, key] = [join(folder, "c.pem"), join(folder, "k.pem")];
  await Promise.all([Deno.writeTextFile(cert, "C"), Deno.writeTextFile(key, "K")]);
  const { listen, port } = plan({ bind: "127.0.0.1:9443", tls_cert_file: cert, tls_key_file: key });
  assert.equal(port, 0);
  assert.deepEqual(listen?.also?.tls, { cert: "C", key: "K" });
  assert.deepEqual(Bootstrap.parse(demoBootstrap(folder, { listen: listen! })).listen, listen);
});
