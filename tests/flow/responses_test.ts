/** The whole system on the Responses protocol: a chain over a tool loop, and over two runs of the program. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { responds } from "../fake/responses_dialect.ts";
import { readEvents, shownText } from "../fixture/events.ts";
import { makeMachine, runOxydra, vendorEnv } from "../fixture/system.ts";

Deno.test("oxydra run goes on from what the vendor keeps, also in the next run; a lost one costs one request", async () => {
  let lost = false;
  const vendor = await startFakeOpenAi((body, n) => {
    const previous = body["previous_response_id"] as string | undefined;
    if (lost && previous !== undefined) return responds([{ kind: "text", text: "Who are you?" }]);
    const kept = { response: { id: `resp_${n}`, previous_response_id: previous ?? null } };
    const args = JSON.stringify({ path: "/shared/a", content: "hello" });
    return n === 0
      ? responds([{ kind: "call", id: "c1", name: "file_write", args }], kept)
      : responds([{ kind: "text", text: `Answer ${n}.` }], kept);
  });
  const machine = await makeMachine();
  const env = {
    ...machine.env,
    ...vendorEnv(vendor.url),
    OXYDRA__PROVIDERS__REGISTRY__FAKE__PROVIDER_TYPE: "openai_responses",
  };
  const say = async (prompt: string) => {
    const { code, out, err } = await runOxydra(["run", "--json", prompt], { ...machine, env });
    assert.equal(code, 0, err);
    return shownText(readEvents(out));
  };
  try {
    assert.equal(await say("one"), "Answer 1.");
    const file = join(machine.cwd, ".oxydra/workspaces/default/shared/a");
    assert.equal(await Deno.readTextFile(file), "hello");
    assert.equal(await say("two"), "Answer 2.");
    lost = true;
    assert.equal(await say("three"), "Answer 4.");
    assert.deepEqual(
      vendor.requests.map(({ body }) => [body["previous_response_id"], (body["input"] as unknown[]).length]),
      [[undefined, 1], ["resp_0", 1], ["resp_1", 1], ["resp_2", 1], [undefined, 7]],
    );
  } finally {
    await vendor.close();
  }
});
