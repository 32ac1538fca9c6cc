/** A model that runs commands, with real processes behind real walls: who is asked, what the command sees, what is kept and what is written down. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { connectRaw, makeMachine, runOxydra, startGateway, vendorEnv } from "../fixture/system.ts";

const WORKSPACE = ".oxydra/workspaces/default";
const CAPABILITIES = ["turn_events", "approvals", "named_sessions"];
const COMMANDS = [
  "cd /shared && mkdir -p notes && cd notes && echo river > a.txt && export KEEP=1; echo $API_TOKEN; id -u; ls -a /",
  'pwd; echo $KEEP; cat a.txt; echo "$PRINTED"; ls /root /home 2>&1 | head -3; exit 3',
];

/** Runs one command after the other, and tells what the last one said. */
const runsCommands = (commands: readonly string[]): Script => (body) => {
  const results = toolResults(body);
  const command = commands[results.length];
  return command === undefined
    ? reply([text(`It said: ${results.at(-1)}`)])
    : reply([toolCall("shell_exec", { command }, { id: `call_${results.length}` })]);
};

/** A machine whose shell is given a token. */
async function openMachine(vendorUrl: string) {
  const { cwd, env: base } = await makeMachine();
  await Deno.mkdir(join(cwd, ".oxydra"), { recursive: true });
  await Deno.writeTextFile(join(cwd, ".oxydra/agent.toml"), '[tools.shell]\nenv_keys = ["API_TOKEN"]\n');
  const env = { ...base, ...vendorEnv(vendorUrl), API_TOKEN: "tok-rivers-4711" };
  const trusted = await runOxydra(["trust", ".oxydra/agent.toml"], { cwd, env });
  assert.equal(trusted.code, 0, trusted.err);
  return { cwd, env, workspace: join(cwd, WORKSPACE) };
}

Deno.test("a model runs commands in one shell behind walls, each after the owner's yes; log and audit say so", async () => {
  const vendor = await startFakeOpenAi(runsCommands(COMMANDS));
  const machine = await openMachine(vendor.url);
  const { env, workspace } = machine;
  const gateway = await startGateway(machine);
  try {
    const client = await connectRaw(gateway, { session_id: "s", capabilities: CAPABILITIES });
    const hello = await client.next((frame) => frame.type === "hello_ack");
    assert.ok(hello);
    client.send("send_turn", { request_id: "r", session_id: "s", turn_id: "t1", prompt: "run it" });
    const control = controlPath(join(workspace, "ipc"));
    for (const command of COMMANDS) {
      const asked = await client.next((frame) => frame.type === "approval_request");
      assert.equal(asked.payload.approval.tool, "shell_exec");
      assert.deepEqual(asked.payload.approval.wanted, [`shell ${command}`]);
      assert.equal(asked.payload.approval.answer_class, "owner");
      const [card] = await readApprovals(control);
      await answerApproval(control, { id: card!.id, answer: "once" });
      await client.next((frame) => frame.type === "approval_resolved");
    }
    const done = await client.next((frame) => frame.type === "turn_completed");
    const said = done.payload.response.message.content as string;
    assert.match(said, /\[exit code 3, in \/shared\/notes\]\n\/shared\/notes\n1\nriver\n/);
    assert.match(said, /ended its shell/);
    assert.equal(await Deno.readTextFile(join(workspace, "shared/notes/a.txt")), "river\n");
    const [first = ""] = toolResults(vendor.requests.at(-1)!.body);
    assert.match(first, /^\[exit code 0, in \/shared\/notes\]\n\[REDACTED:API_TOKEN\]\n1000\n/);
    assert.ok(!first.includes("home") && !first.includes("root"), first);
    client.close();
  } finally {
    await gateway.stop();
    await vendor.close();
  }
  const sidecar = await Deno.readTextFile(join(workspace, "logs/sidecar.log"));
  assert.match(
    sidecar,
    /shell sh-\w+-?\w*: opened in \d+ ms\n.*command 1: exit 0, \d+ ms, \d+ bytes\n.*command 2: exit 3/,
  );
  assert.ok(!sidecar.includes("river"));
  const verify = await runOxydra(["audit", "verify"], { cwd: machine.cwd, env });
  assert.equal(verify.code, 0, verify.err + verify.out);
  await Deno.remove(join(machine.cwd, ".."), { recursive: true });
});

Deno.test("whoever watches sees how a command's output ends while it runs: whole lines, without what is secret, and nothing of it is recorded", async () => {
  const command = "for i in 1 2 3 4 5; do echo step $i of $API_TOKEN; sleep 0.5; done; printf 'no newline'";
  const vendor = await startFakeOpenAi(runsCommands([command]));
  const machine = await openMachine(vendor.url);
  const gateway = await startGateway(machine);
  const client = await connectRaw(gateway, { session_id: "s", capabilities: CAPABILITIES });
  try {
    await client.next((frame) => frame.type === "hello_ack");
    client.send("send_turn", { request_id: "r", session_id: "s", turn_id: "t1", prompt: "run it" });
    await client.next((frame) => frame.type === "approval_request");
    const control = controlPath(join(machine.workspace, "ipc"));
    const [card] = await readApprovals(control);
    await answerApproval(control, { id: card!.id, answer: "once" });
    const told: { tail: string; lines: number; callId: string }[] = [];
    const result = await client.next((frame) => {
      const { event } = frame.type === "turn_event" ? frame.payload : { event: {} };
      if (event.type === "progress" && event.payload.progress.kind === "tool_output") {
        told.push(event.payload.progress);
      }
      return event.type === "tool_result";
    });
    assert.match(result.payload.event.payload.text, /step 5 of \[REDACTED:API_TOKEN\]\nno newline/);
    assert.ok(told.length >= 3, JSON.stringify(told));
    for (const { tail, lines, callId } of told) {
      const steps = Array.from({ length: lines }, (_, at) => `step ${at + 1} of [REDACTED:API_TOKEN]\n`);
      assert.deepEqual([tail, callId], [steps.join(""), "call_0"]);
    }
    assert.deepEqual(told.map(({ lines }) => lines), told.map(({ lines }) => lines).toSorted((a, b) => a - b));
    await client.next((frame) => frame.type === "turn_completed");
  } finally {
    client.close();
    await gateway.stop();
    await vendor.close();
  }
  await Deno.remove(join(machine.cwd, ".."), { recursive: true });
});
