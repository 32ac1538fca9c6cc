/** `oxydra usage` beside what `oxydra run --json` said, with a vendor on a real socket. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Usage } from "#/core/message.ts";
import { reply, text, toolCall, usage } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { type FakeOpenAi, type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { eventsOf, readEvents } from "../fixture/events.ts";
import { connectRaw, makeMachine, runOxydra, startGateway, vendorEnv } from "../fixture/system.ts";

interface Setting {
  readonly vendor: FakeOpenAi;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

async function withVendor(script: Script, body: (setting: Setting) => Promise<void>): Promise<void> {
  const vendor = await startFakeOpenAi(script);
  const machine = await makeMachine();
  try {
    await body({ vendor, cwd: machine.cwd, env: { ...machine.env, ...vendorEnv(vendor.url) } });
  } finally {
    await vendor.close();
  }
}

async function readUsage(setting: Setting, ...args: string[]) {
  const { code, out, err } = await runOxydra(["usage", "--json", ...args], setting);
  assert.equal(code, 0, err);
  return JSON.parse(out);
}

/** A list, then an answer, each with its counts. */
const twoSteps: Script = (body, n) =>
  toolResults(body).length === 0
    ? reply([toolCall("file_list", { path: "/shared" })], { usage: usage(1_000 + n, 20, 300) })
    : reply([text("done")], { usage: usage(1_100 + n, 7, 900) });

Deno.test("oxydra usage equals the log, while a gateway runs and when none does", async () => {
  await withVendor(twoSteps, async (setting) => {
    const said: Usage[] = [];
    for (let run = 0; run < 2; run++) {
      const { code, out, err } = await runOxydra(["run", "--json", "go"], setting);
      assert.equal(code, 0, err);
      said.push(...eventsOf(readEvents(out), "model_result").map((event) => event.payload.usage));
    }
    assert.equal(said.length, 4);
    const sum = (name: "promptTokens" | "cachedTokens" | "completionTokens") =>
      said.reduce((all, usage) => all + usage[name]!, 0);
    const expected = {
      calls: 4,
      inputTokens: sum("promptTokens"),
      cachedTokens: sum("cachedTokens"),
      outputTokens: sum("completionTokens"),
      cost: 0,
      unpricedCalls: 4,
      estimatedCalls: 0,
      openCalls: 0,
    };
    const stopped = await readUsage(setting);
    assert.deepEqual(stopped.total, expected);
    assert.deepEqual(stopped.rows.map((row: { model: string }) => row.model.split("/").at(-1)), ["fake-1"]);
    const gateway = await startGateway(setting);
    try {
      assert.deepEqual(await readUsage(setting), stopped);
      const client = await connectRaw(gateway, { create_new_session: true, capabilities: ["turn_events"] });
      const { payload } = await client.next((frame) => frame.type === "hello_ack");
      const session_id = payload.session.session_id;
      client.send("send_turn", { request_id: "r", session_id, turn_id: "t", prompt: "go" });
      await client.next((frame) => frame.type === "turn_completed");
      client.close();
      const { total } = await readUsage(setting, "--session", session_id);
      assert.deepEqual([total.calls, total.outputTokens], [2, 27]);
      assert.equal((await readUsage(setting, "--by", "session")).total.calls, 6);
    } finally {
      await gateway.stop();
    }
  });
});

Deno.test("a limit of a day ends a turn before its call when the price is not known, and says what to do", async () => {
  await withVendor(twoSteps, async (setting) => {
    await Deno.mkdir(join(setting.cwd, ".oxydra"), { recursive: true });
    const env = { ...setting.env, OXYDRA__RUNTIME__MAX_COST_PER_DAY: "5" };
    const { code, err } = await runOxydra(["run", "go"], { ...setting, env });
    assert.equal(code, 4, err);
    assert.match(err, /stopped by its cost budget: 0 of 5/);
    assert.match(err, /cost limit of \$5 a day, and the price of this model is not known\. Remove max_cost_per_day/);
    assert.equal(setting.vendor.requests.length, 0);
    const { total, today } = await readUsage({ ...setting, env });
    assert.deepEqual([total.calls, today], [0, { spent: 0, limit: 5 }]);
  });
});

Deno.test("a vendor's impossible counts leave a session that can be read again, and no cost below zero", async () => {
  const counts = {
    prompt_tokens: -5,
    completion_tokens: 1e300,
    total_tokens: -1,
    prompt_tokens_details: { cached_tokens: -7 },
  };
  await withVendor(() => reply([text("hi")], { usage: counts }), async (setting) => {
    for (let run = 0; run < 2; run++) {
      const { code, err } = await runOxydra(["run", "--session", "s", "go"], setting);
      assert.equal(code, 0, err);
    }
    const { total } = await readUsage(setting);
    assert.deepEqual([total.calls, total.inputTokens, total.cachedTokens, total.outputTokens], [2, 0, 0, 200_000_000]);
  });
});
