/** A call that asks, with real processes: who may answer, what survives a kill, and what the log proves afterwards. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import {
  connectRaw,
  denoEnv,
  type LiveGateway,
  makeMachine,
  type RawClient,
  runOxydra,
  startGateway,
  vendorEnv,
  waitUntil,
} from "../fixture/system.ts";

const WORKSPACE = ".oxydra/workspaces/default";
const CAPABILITIES = ["turn_events", "approvals", "named_sessions"];

/** Reads the vault's key, then says what came of it. */
const readsVault: Script = (body) => {
  const results = toolResults(body);
  return results.length === 0
    ? reply([toolCall("file_read", { path: "/vault/key" }, { id: "call_1" })])
    : reply([text(`It said: ${results.at(-1)}`)]);
};

interface House {
  readonly machine: { cwd: string; env: Record<string, string> };
  readonly workspace: string;
  readonly control: string;
}

async function withHouse(script: Script, check: (house: House) => Promise<void>): Promise<void> {
  const vendor = await startFakeOpenAi(script);
  const machine = await makeMachine();
  const workspace = join(machine.cwd, WORKSPACE);
  for (const name of ["vault", "ipc"]) await Deno.mkdir(join(workspace, name), { recursive: true });
  await Deno.writeTextFile(join(workspace, "vault/key"), "rivers-run-4711");
  const env = { ...machine.env, ...vendorEnv(vendor.url) };
  try {
    await check({ machine: { cwd: machine.cwd, env }, workspace, control: controlPath(join(workspace, "ipc")) });
  } finally {
    await vendor.close();
    await Deno.remove(join(machine.cwd, ".."), { recursive: true });
  }
}

async function greet(gateway: LiveGateway): Promise<RawClient> {
  const client = await connectRaw(gateway, { session_id: "vault", capabilities: CAPABILITIES });
  await client.next((frame) => frame.type === "hello_ack");
  return client;
}

function send(client: RawClient, turn: string): void {
  client.send("send_turn", { request_id: "r", session_id: "vault", turn_id: turn, prompt: "read the key" });
}

const isRequest = (frame: { type: string }) => frame.type === "approval_request";

Deno.test("a parked approval survives SIGKILL of the runner; answered then, the turn goes on; the audit log proves it", async () => {
  await withHouse(readsVault, async ({ machine, workspace, control }) => {
    const first = await startGateway(machine);
    const client = await greet(first);
    send(client, "t1");
    const asked = await client.next(isRequest);
    assert.deepEqual(
      [asked.payload.approval.tool, asked.payload.approval.wanted, asked.payload.approval.answer_class],
      [
        "file_read",
        ["fs.read /vault/key"],
        "owner",
      ],
    );
    await client.next((frame) => frame.type === "turn_event" && frame.payload.event.type === "parked");
    Deno.kill(first.process.pid, "SIGKILL");
    await first.process.status;
    // The address that the kill left behind, which this fixture would take for the new one.
    await Deno.remove(join(workspace, "ipc/gateway-endpoint"));
    const second = await startGateway(machine);
    const again = await greet(second);
    const shown = await again.next(isRequest);
    assert.deepEqual(shown.payload.approval, asked.payload.approval, "the same card");
    const [card] = await readApprovals(control);
    assert.equal(card!.id, asked.payload.approval.approval_id);
    await answerApproval(control, { id: card!.id, answer: "once" });
    const resolved = await again.next((frame) => frame.type === "approval_resolved");
    assert.deepEqual([resolved.payload.approval_id, resolved.payload.answer, resolved.payload.by], [
      card!.id,
      "once",
      "owner",
    ]);
    const done = await again.next((frame) => frame.type === "turn_completed");
    assert.match(done.payload.response.message.content, /rivers-run-4711/);
    // Answered once: the next turn asks again.
    send(again, "t2");
    await again.next(isRequest);
    again.close();
    await second.stop();
    const verify = await runOxydra(["audit", "verify"], machine);
    assert.equal(verify.code, 0, verify.err + verify.out);
    const { out } = await runOxydra(["audit", "show", "--turn", "t1"], machine);
    assert.match(out, /default:vault, once by owner/);
    assert.ok(!out.includes("rivers-run"), "names and sizes, never content");
    await flipByte(join(workspace, "audit/audit-000001.jsonl"));
    const broken = await runOxydra(["audit", "verify"], machine);
    assert.equal(broken.code, 1);
  });
});

Deno.test("an answer through the gateway is relayed: it cannot open the vault, and the person's no ends with 5", async () => {
  await withHouse(readsVault, async ({ machine, control }) => {
    const gateway = await startGateway(machine);
    const client = await greet(gateway);
    send(client, "t1");
    const { payload } = await client.next(isRequest);
    const id = payload.approval.approval_id;
    client.send("approval_answer", { request_id: "a", session_id: "vault", approval_id: id, answer: "once" });
    const refused = await client.next((frame) => frame.type === "error" && frame.payload.request_id === "a");
    assert.equal(refused.payload.code, "approval_refused");
    client.send("approval_answer", { request_id: "b", session_id: "vault", approval_id: "forged", answer: "once" });
    const unknown = await client.next((frame) => frame.type === "error" && frame.payload.request_id === "b");
    assert.equal(unknown.payload.code, "approval_unknown");
    await answerApproval(control, { id, answer: "never" });
    const done = await client.next((frame) => frame.type === "turn_completed");
    assert.match(done.payload.response.message.content, /The answer was no/);
    client.close();
    // never: not even asked again, also from a script; policy's no is exit 5.
    const run = await runOxydra(["run", "--session", "vault", "read the key"], machine);
    assert.equal(run.code, 5, run.err);
    assert.ok(!run.err.includes("nobody can be asked"), run.err);
    await gateway.stop();
  });
});

Deno.test("a cancel and a new message end what waits; its card opens nothing any more", async () => {
  await withHouse(readsVault, async ({ machine, control }) => {
    const gateway = await startGateway(machine);
    const client = await greet(gateway);
    send(client, "t1");
    await client.next(isRequest);
    client.send("cancel_active_turn", { request_id: "c", session_id: "vault", turn_id: "t1" });
    await client.next((frame) => frame.type === "turn_cancelled");
    send(client, "t2");
    await client.next(isRequest);
    send(client, "t3");
    await client.next((frame) => frame.type === "turn_cancelled" && frame.payload.turn.turn_id === "t2");
    const third = await client.next(isRequest);
    for (const card of await readApprovals(control)) await answerApproval(control, { id: card.id, answer: "once" });
    const done = await client.next((frame) => frame.type === "turn_completed");
    assert.deepEqual([third.payload.turn.turn_id, done.payload.turn.turn_id], ["t3", "t3"]);
    client.close();
    await gateway.stop();
  });
});

Deno.test("a person at a terminal is shown the card and says yes", async () => {
  await withHouse(readsVault, async ({ machine }) => {
    const child = spawnInTerminal(machine, "run 'read the key'");
    let out = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) out += decoder.decode(chunk, { stream: true });
    })();
    await waitUntil(() => out.includes("never: "), "no card");
    assert.match(out, /file_read asks for\r?\n {4}fs\.read \/vault\/key/);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("y\n"));
    await waitUntil(() => out.includes("rivers-run-4711"), "no answer");
    await child.status;
    await writer.close().catch(() => {});
    await reading;
    assert.match(out, /✓ once \(owner\)/);
  });
});

/** util-linux's `script` gives the command a terminal of its own. */
function spawnInTerminal(machine: { cwd: string; env: Record<string, string> }, args: string): Deno.ChildProcess {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const mod = new URL("../../mod.ts", import.meta.url).pathname;
  return new Deno.Command("script", {
    args: ["-qec", `${Deno.execPath()} run -A --no-prompt --config ${config} ${mod} ${args}`, "/dev/null"],
    cwd: machine.cwd,
    clearEnv: true,
    env: { ...denoEnv(), ...machine.env, TERM: "dumb" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function flipByte(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at]! ^= 1;
  await Deno.writeFile(path, bytes);
}
