import assert from "node:assert/strict";
import { connect, Socket } from "node:net";
import { openConnection, REAL_NET } from "#/sandbox/egress_connect.ts";
import { toEgressTarget } from "#/sandbox/egress_address.ts";
import { openRawServer, toNet } from "./egress_kit.ts";

const A = "93.184.216.34";
const V6 = "2606:2800:220:1::1";

/** Connects over the public route and says what was dialled. */
async function dialled(answers: readonly (readonly string[])[], url: string, broken: readonly string[] = []) {
  await using server = openRawServer(() => Promise.resolve());
  const net = toNet(answers, server.port);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const deadPort = listener.addr.port;
  listener.close();
  const stop = new AbortController();
  const { dial } = net;
  const partly = {
    ...net,
    dial: (host: string, port: number) => {
      const socket = dial(host, port);
      if (!broken.includes(host)) return socket;
      socket.destroy();
      return connect({ host: "127.0.0.1", port: deadPort });
    },
  };
  try {
    await openConnection(toEgressTarget(url), { kind: "public" }, partly, stop.signal);
  } finally {
    stop.abort();
  }
  return { resolved: net.resolved, dialled: net.dialled };
}

Deno.test("openConnection() resolves a name once and dials the checked address; an address is not resolved", async () => {
  assert.deepEqual(await dialled([[A, V6]], "http://example.com:8080/"), {
    resolved: ["example.com"],
    dialled: [`${A} 8080`],
  });
  assert.deepEqual(await dialled([], `http://${A}/`), { resolved: [], dialled: [`${A} 80`] });
  assert.deepEqual(await dialled([], `http://[${V6}]/`), { resolved: [], dialled: [`${V6} 80`] });
});

Deno.test("openConnection() tries one other address, of the other family where there is one", async () => {
  const other = await dialled([[V6, `${V6}1`, A]], "http://example.com/", [V6]);
  assert.deepEqual(other.dialled, [`${V6} 80`, `${A} 80`]);
  const same = await dialled([[A, "1.1.1.1", "8.8.8.8"]], "http://example.com/", [A]);
  assert.deepEqual(same.dialled, [`${A} 80`, "1.1.1.1 80"]);
  await assert.rejects(dialled([[A, "1.1.1.1", "8.8.8.8"]], "http://example.com/", [A, "1.1.1.1"]), {
    code: "ECONNREFUSED",
  });
  await assert.rejects(dialled([[A]], "http://example.com/", [A]), { code: "ECONNREFUSED" });
  await assert.rejects(dialled([[]], "http://example.com/"), { code: "egress_failed", message: /has no address/ });
});

Deno.test("openConnection() gives an address connectMs to take the connection, then tries the other", async () => {
  let dialled = 0;
  const dial = () => {
    dialled++;
    return new Socket();
  };
  const net = { ...toNet([[A, "1.1.1.1"]], 1), connectMs: 50, dial };
  const asked = openConnection(
    toEgressTarget("http://a.example/"),
    { kind: "public" },
    net,
    new AbortController().signal,
  );
  await assert.rejects(asked, { code: "egress_timeout", message: "No server took the connection within 50 ms" });
  assert.equal(dialled, 2);
});

Deno.test("openConnection() to a listed name: private addresses, never link-local or special ones; a listed address as it is", async () => {
  await using server = openRawServer(() => Promise.resolve());
  const open = async (url: string, remoteAddress: string) => {
    const { dial, ...net } = toNet([], server.port);
    // Where such a name would lead cannot be reached here: the socket is real, its other end claims to be elsewhere.
    const claim = (host: string, port: number) =>
      Object.defineProperty(dial(host, port), "remoteAddress", { value: remoteAddress });
    const stop = new AbortController();
    const connection = await openConnection(
      toEgressTarget(url),
      { kind: "listed" },
      { ...net, dial: claim },
      stop.signal,
    );
    stop.abort();
    return connection.address;
  };
  for (const address of ["127.0.0.1", "10.0.0.1", "100.64.0.1", "::1", "fd00::1", "93.184.216.34"]) {
    assert.equal(await open("http://searx.local/", address), address);
  }
  for (
    const address of [
      "169.254.169.254",
      "168.63.129.16",
      "fe80::1",
      "0.0.0.0",
      "224.0.0.1",
      "::ffff:127.0.0.1",
      "",
      "x",
    ]
  ) {
    const message = "searx.local resolves to an address that is not public";
    await assert.rejects(open("http://searx.local/", address), { code: "egress_denied", message }, address);
  }
  assert.equal(await open("http://169.254.1.1/", "169.254.1.1"), "169.254.1.1");
});

Deno.test("REAL_NET resolves as the system does, /etc/hosts included", async () => {
  assert.ok((await REAL_NET.resolve("localhost")).some((address) => address === "127.0.0.1" || address === "::1"));
  await assert.rejects(REAL_NET.resolve("no-such-name.invalid"));
});
