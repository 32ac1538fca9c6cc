/** Threat: a vendor, or a proxy before it, repeats in its error what it was sent: the key, and headers that carry one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { chunk, reply, vendorError } from "../fake/openai_reply.ts";
import { type SeenRequest, startFakeOpenAi } from "../fake/openai_server.ts";
import { makeMachine, runOxydra, vendorEnv } from "../fixture/system.ts";
import { filesWith } from "../fixture/web_house.ts";

const KEY = vendorEnv("").OXYDRA__PROVIDERS__REGISTRY__FAKE__API_KEY!;
const PROXY = "proxy-4711-secret";

Deno.test("a key or a header that a vendor repeats in an error is in no output, no event and no file", async () => {
  const echo = ({ headers }: SeenRequest) => `bad: ${headers["authorization"]}; ${headers["x-proxy"]!.split(" ")[1]}`;
  const forms = [
    (request: SeenRequest) => vendorError(400, echo(request)),
    (request: SeenRequest) => vendorError(503, echo(request)),
    (request: SeenRequest) => reply([chunk({ error: { message: echo(request) } })]),
  ];
  for (const form of forms) {
    const vendor = await startFakeOpenAi((_body, _n, request) => form(request));
    const machine = await makeMachine();
    const folder = join(machine.env.HOME!, ".config/oxydra");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(
      join(folder, "providers.toml"),
      `[providers.registry.fake.extra_headers]\nx-proxy = "Basic ${PROXY}"\nx-version = "bad"\n`,
    );
    try {
      const env = { ...machine.env, ...vendorEnv(vendor.url) };
      const { code, out, err } = await runOxydra(["run", "--json", "hello"], { ...machine, env });
      assert.equal(code, 3, err);
      assert.equal(vendor.requests[0]!.headers["x-proxy"], `Basic ${PROXY}`);
      assert.match(out, /bad: Bearer \[key\]; \[key\]/);
      for (const secret of [KEY, PROXY]) {
        assert.ok(!(out + err).includes(secret), `${secret} in ${out + err}`);
        assert.deepEqual(filesWith(machine.cwd, secret), []);
      }
    } finally {
      await vendor.close();
      await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    }
  }
});
