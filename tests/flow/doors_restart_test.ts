/** The doors over HTTP in real processes, over kills and approvals: what a program was told is where it left it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { Script } from "../fake/openai_server.ts";
import { type LiveGateway, startGateway } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";
import { fetchOnce, readEvents } from "../gateway/door_house.ts";

const script: Script = (body) => {
  const said = body.messages.filter(({ role }) => role === "user");
  const last = String(said.at(-1)!.content);
  if (!last.includes("key")) return reply([text(`${said.length}: ${last.slice(-60)}`)]);
  const results = toolResults(body);
  if (results.length > 0) return reply([text(`It said: ${results.at(-1)}`)]);
  return reply([text("I look."), toolCall("file_read", { path: "/vault/key" }, { id: "call_1" })]);
};

async function ask(gateway: LiveGateway, messages: readonly object[], headers: Record<string, string> = {}) {
  return await fetchOnce(`http://127.0.0.1:${gateway.port}/v1/chat/completions`, {
    token: gateway.token,
    body: { model: "oxydra", messages },
    headers,
  });
}

/** Kills a gateway's runner as a power cut would, and starts another one. */
async function restart(gateway: LiveGateway, machine: Parameters<typeof startGateway>[0]): Promise<LiveGateway> {
  Deno.kill(gateway.process.pid, "SIGKILL");
  await gateway.process.status;
  // The address that the kill left behind, which this fixture would take for the new one.
  await Deno.remove(join(gateway.workspace, "ipc/gateway-endpoint"));
  return await startGateway(machine);
}

Deno.test("a client that sends all of its conversation goes on in its session after a SIGKILL; a feed goes on behind its last event", async () => {
  await withVendorMachine(script, async (machine) => {
    const first = await startGateway(machine);
    const messages: object[] = [{ role: "user", content: "one" }];
    const { body } = await ask(first, messages);
    const session = body.oxydra.session_id;
    const second = await restart(first, machine);
    try {
      messages.push(body.choices[0].message, { role: "user", content: "two" });
      const next = await ask(second, messages);
      assert.equal(next.body.choices[0].message.content, "2: two");
      assert.equal(next.body.oxydra.session_id, session);
      const headers = { authorization: `Bearer ${second.token}`, "last-event-id": "3" };
      const feed = readEvents(
        await fetch(`http://127.0.0.1:${second.port}/api/v1/sessions/${session}/feed`, { headers }),
      );
      const ids: number[] = [];
      for await (const { id, data } of feed) {
        ids.push(Number(id));
        if (data!.includes("2: two") && JSON.parse(data!).type === "turn_done") break;
      }
      assert.deepEqual(ids, ids.map((_, at) => at + 4));
    } finally {
      await second.stop();
    }
  });
});

Deno.test("a turn that waits for its person is answered at once; the same key gets the rest, also after a SIGKILL", async () => {
  await withVendorMachine(script, async (machine) => {
    const vault = join(machine.cwd, ".oxydra/workspaces/default/vault");
    await Deno.mkdir(vault, { recursive: true });
    await Deno.writeTextFile(join(vault, "key"), "rivers-run-4711");
    const first = await startGateway(machine);
    const messages = [{ role: "user", content: "read the key" }];
    const headers = { "idempotency-key": "mine-1" };
    const { body } = await ask(first, messages, headers);
    assert.match(body.choices[0].message.content, /^I look\.\n\n\[This waits for an approval/);
    assert.deepEqual([body.oxydra.status, body.oxydra.approvals[0].tool], ["approval_needed", "file_read"]);
    const second = await restart(first, machine);
    try {
      const control = controlPath(join(second.workspace, "ipc"));
      const [card] = await readApprovals(control);
      assert.equal(card!.id, body.oxydra.approvals[0].approval_id);
      assert.deepEqual([card!.principal.origin, (await ask(second, messages, headers)).body.oxydra.status], [
        "api",
        "approval_needed",
      ]);
      await answerApproval(control, { id: card!.id, answer: "once" });
      // Whether it still runs or is over by now: the same request is the same turn.
      let answer = await ask(second, messages, headers);
      while (answer.body.oxydra.status !== "completed") answer = await ask(second, messages, headers);
      assert.equal(answer.body.choices[0].message.content, "I look.\n\nIt said: rivers-run-4711");
      assert.equal(machine.vendor.requests.length, 2);
    } finally {
      await second.stop();
    }
  });
});
