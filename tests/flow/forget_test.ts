/** A person deletes a session that has a shell: what ran in it, in front and behind, is gone, and nothing of it is there for the next one of its name. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { connectRaw, makeMachine, runOxydra, startGateway, vendorEnv, waitUntil } from "../fixture/system.ts";

/** A number of seconds that nobody else on this machine sleeps. */
const mark = () => `99999.${crypto.getRandomValues(new Uint32Array(2)).join("")}`;

/** Processes that sleep for just that long, as this machine sees them. */
function sleepers(seconds: string): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
    try {
      return /^\d+$/.test(name) && Deno.readTextFileSync(`/proc/${name}/cmdline`) === `sleep\0${seconds}\0`;
    } catch {
      return false;
    }
  });
}

Deno.test("a session that is deleted takes its shell along, in mid-command too; the next one of its name starts anew and is asked anew", async () => {
  const [behind, inFront] = [mark(), mark()];
  const commands: Record<string, string> = {
    leave: `export OLD=1; cd /tmp; sleep ${behind} & sleep 0`,
    look: 'echo "[$OLD] $(pwd) $(jobs | wc -l)"',
    hang: `sleep ${inFront}`,
  };
  const runs: Script = (body) => {
    const asked = body.messages.filter(({ role }) => role === "user").at(-1)!.content as string;
    const last = body.messages.at(-1)!;
    return last.role === "tool"
      ? reply([text(`It said: ${toolResults(body).at(-1)}`)])
      : reply([toolCall("shell_exec", { command: commands[asked]! }, { id: `call_${asked}` })]);
  };
  const vendor = await startFakeOpenAi(runs);
  const machine = await makeMachine();
  const env = { ...machine.env, ...vendorEnv(vendor.url) };
  const gateway = await startGateway({ cwd: machine.cwd, env });
  const capabilities = ["turn_events", "approvals", "named_sessions"];
  const client = await connectRaw(gateway, { session_id: "s", capabilities });
  try {
    const control = controlPath(join(gateway.workspace, "ipc"));
    await client.next((frame) => frame.type === "hello_ack");
    const forget = async () => {
      const answer = await fetch(`http://127.0.0.1:${gateway.port}/api/v1/sessions/s`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${gateway.token}` },
      });
      assert.equal(answer.status, 200, await answer.text());
    };
    let turns = 0;
    const say = async (prompt: string, answer: "once" | "session") => {
      const turn = `t${++turns}`;
      client.send("send_turn", { request_id: turn, session_id: "s", turn_id: turn, prompt });
      await client.next((frame) => frame.type === "approval_request");
      const [card] = await readApprovals(control);
      await answerApproval(control, { id: card!.id, answer });
    };
    const said = async () => {
      const done = await client.next((frame) => frame.type === "turn_completed");
      return done.payload.response.message.content as string;
    };

    await say("look", "session");
    assert.match(await said(), /\[\] \/shared 0$/);
    await say("leave", "once");
    assert.match(await said(), /1 background process runs/);
    assert.equal(sleepers(behind).length, 1);
    await forget();
    await waitUntil(() => sleepers(behind).length === 0, "what it left running ends");
    await forget();

    // A yes to every such call of the old session is none to one of the new.
    await say("look", "once");
    assert.match(await said(), /\[\] \/shared 0$/);

    await say("hang", "once");
    await waitUntil(() => sleepers(inFront).length === 1, "the command runs");
    await forget();
    await waitUntil(() => sleepers(inFront).length === 0, "the command ends with its session");
    client.send("send_turn", { request_id: "t", session_id: "s", turn_id: "waits", prompt: "look" });
    await client.next((frame) => frame.type === "approval_request");
    assert.equal((await readApprovals(control)).length, 1);
    await forget();
    assert.deepEqual(await readApprovals(control), [], "nobody is asked for a session that is no more");
  } finally {
    client.close();
    await gateway.stop();
    await vendor.close();
  }
  const sidecar = await Deno.readTextFile(join(gateway.workspace, "logs/sidecar.log"));
  assert.equal(sidecar.match(/: lost: it was ended\n/g)?.length, 2, sidecar);
  const verify = await runOxydra(["audit", "verify"], { cwd: machine.cwd, env });
  assert.equal(verify.code, 0, verify.err + verify.out);
  await Deno.remove(join(machine.cwd, ".."), { recursive: true });
});
