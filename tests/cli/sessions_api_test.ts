import assert from "node:assert/strict";
import { SessionsApi } from "#/cli/sessions_api.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { openHouse } from "../gateway/house.ts";
import { sessionsOver } from "../gateway/real_sessions.ts";

/** The real gateway over a real log. */
async function openApi() {
  const house = await openHouse({}, sessionsOver(scriptedProvider(says("hello"))));
  for (const id of ["alpha", "alps", "beta/1"]) {
    await house.log.ensureSession({ id, user: "ann", agent: "default", channel: "x", displayName: null, parent: null });
    const message = { type: "user_message", v: 1, payload: { text: `to ${id}`, channel: "x" } } as const;
    await house.log.append(id, "t", [message], { durability: "normal" });
  }
  return {
    house,
    api: new SessionsApi({ origin: `ws://127.0.0.1:${house.port}`, token: house.token }),
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  };
}

/** A server that answers everything with this. */
async function withServer(answer: () => Response, check: (api: SessionsApi) => Promise<void>): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  try {
    await check(new SessionsApi({ origin: `ws://127.0.0.1:${server.addr.port}`, token: "t" }));
  } finally {
    await server.shutdown();
  }
}

Deno.test("SessionsApi finds a session by the only beginning that it has, and says why not", async () => {
  await using at = await openApi();
  const { api } = at;
  assert.equal((await api.find("alpha")).id, "alpha");
  assert.equal((await api.find("b")).id, "beta/1");
  await assert.rejects(api.find("al"), { code: "usage", message: /several sessions begin with `al`/ });
  await assert.rejects(api.find("gamma\x1b[2J"), { code: "usage", message: /no session begins with `gamma\\x1b\[2J`/ });
  await assert.rejects(api.find(""), { code: "usage" });
});

Deno.test("SessionsApi lists, changes, branches, forgets, exports and imports", async () => {
  await using at = await openApi();
  const { api } = at;
  assert.deepEqual((await api.list({ archived: false }, 2)).map(({ id }) => id), ["beta/1", "alps"]);
  assert.equal((await api.list({ archived: false }, 1_000)).length, 3);
  assert.equal((await api.change("beta/1", { name: "B", archived: true })).name, "B");
  assert.equal((await api.list({ archived: false }, 9)).length, 2);
  const branch = await api.branch("alpha", { at: 1, name: "Branch" });
  assert.deepEqual([branch.parent, branch.name], ["alpha", "Branch"]);
  const made = await api.import(await api.export(branch.id));
  assert.equal(made.last_text, "to alpha");
  assert.ok((await api.forget(made.id)).bytes > 0);
  await assert.rejects(api.change("nobody", {}), { code: "usage", message: /there is no session `nobody`/ });
});

Deno.test("SessionsApi believes nothing that a gateway says", async () => {
  const cases: readonly (readonly [() => Response, RegExp])[] = [
    [() => new Response("<html>", { status: 500 }), /the gateway answered 500/],
    [() => Response.json({ error: { message: "\x1b[2Jboo" } }, { status: 400 }), /^\\x1b\[2Jboo$/],
    [() => Response.json({ error: { message: 1 } }, { status: 400 }), /the gateway answered 400/],
    [() => new Response("no json"), /the gateway sent what is no answer/],
    [() => Response.redirect("http://127.0.0.1:1/"), /the gateway does not answer/],
  ];
  for (const [answer, message] of cases) {
    await withServer(answer, async (api) => {
      await assert.rejects(api.change("s", {}), (error: Error) => {
        assert.match(error.message, message);
        return true;
      });
    });
  }
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const api = new SessionsApi({ origin: `ws://127.0.0.1:${(closed.addr as Deno.NetAddr).port}`, token: "t" });
  await assert.rejects(api.list({ archived: false }, 1), { code: "gateway_unreachable" });
});
