/** `oxydra usage` beside what `oxydra run --json` said, with a vendor on a real socket. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Usage } from "#/core/message.ts";
import { reply, text, toolCall, usage } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { Script } from "../fake/openai_server.ts";
import { eventsOf, readEvents } from "../fixture/events.ts";
import { connectRaw, runOxydra, startGateway } from "../fixture/system.ts";
import { type VendorMachine, withVendorMachine } from "../fixture/vendor_machine.ts";

async function readUsage(setting: VendorMachine, ...args: string[]) {
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
  await withVendorMachine(twoSteps, async (setting) => {
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
  await withVendorMachine(twoSteps, async (setting) => {
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
  await withVendorMachine(() => reply([text("hi")], { usage: counts }), async (setting) => {
    for (let run = 0; run < 2; run++) {
      const { code, err } = await runOxydra(["run", "--session", "s", "go"], setting);
      assert.equal(code, 0, err);
    }
    const { total } = await readUsage(setting);
    assert.deepEqual([total.calls, total.inputTokens, total.cachedTokens, total.outputTokens], [2, 0, 0, 200_000_000]);
  });
});

Deno.test("a turn costs what the catalog says, the log and oxydra usage agree, and a day's limit ends the turn that passes it", async () => {
  await withVendorMachine(twoSteps, async (setting) => {
    const env = {
      ...setting.env,
      OXYDRA__SELECTION__MODEL: "gpt-4.1-mini",
      OXYDRA__PROVIDERS__REGISTRY__FAKE__CATALOG_PROVIDER: "openai",
      OXYDRA__CATALOG__SKIP_CATALOG_VALIDATION: "false",
    };
    const ran = await runOxydra(["run", "--json", "go"], { ...setting, env });
    assert.equal(ran.code, 0, ran.err);
    const events = readEvents(ran.out);
    // $0.40, of cached tokens $0.10, and $1.60 a million (src/provider/catalog_snapshot.json).
    const costs = [(700 * 0.4 + 300 * 0.1 + 20 * 1.6) / 1e6, (201 * 0.4 + 900 * 0.1 + 7 * 1.6) / 1e6];
    const near = (found: number, expected: number) =>
      assert.ok(Math.abs(found - expected) < 1e-12, `${found} ${expected}`);
    eventsOf(events, "model_result").forEach(({ payload }, i) => near(payload.cost!, costs[i]!));
    near(eventsOf(events, "turn_done")[0]!.payload.cost!, costs[0]! + costs[1]!);
    // At most the whole reply that the model can give, and no more input than bytes.
    for (const { payload } of eventsOf(events, "model_request")) {
      assert.ok(payload.reserved! > 32_768 * 1.6 / 1e6 && payload.reserved! < 0.07, `${payload.reserved}`);
    }
    const { total, today } = await readUsage({ ...setting, env });
    near(total.cost, costs[0]! + costs[1]!);
    near(today.spent, total.cost);
    assert.equal(total.unpricedCalls, 0);

    const capped = { ...env, OXYDRA__RUNTIME__MAX_COST_PER_DAY: String(total.cost + costs[0]! / 2) };
    const stopped = await runOxydra(["run", "go"], { ...setting, env: capped });
    assert.equal(stopped.code, 4, stopped.err);
    assert.match(stopped.err, /are spent today\. Go on after 00:00 UTC, or raise max_cost_per_day/);
    assert.equal(setting.vendor.requests.length, 3, "one call of the second turn, and no more");
    assert.equal((await runOxydra(["run", "go"], { ...setting, env: capped })).code, 4);
    assert.equal(setting.vendor.requests.length, 3, "also after a restart");
  });
});
