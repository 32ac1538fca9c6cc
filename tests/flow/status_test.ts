/** `oxydra status` with real processes: before anything ran, beside a turn that waits, after it, and after a kill. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AuditHead } from "#/core/audit.ts";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import type { Status } from "#/cli/status.ts";
import { controlPath } from "#/runner/endpoint.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { connectRaw, makeMachine, processTree, runOxydra, startGateway, vendorEnv } from "../fixture/system.ts";

const CAPABILITIES = ["turn_events", "approvals", "named_sessions"];
const WORKSPACE = ".oxydra/workspaces/default";

/** Reads the vault's key, then says that it did. */
const readsVault: Script = (body) =>
  toolResults(body).length === 0
    ? reply([toolCall("file_read", { path: "/vault/key" }, { id: "call_1" })])
    : reply([text("I read it.")]);

async function withMachine(
  check: (machine: { cwd: string; env: Record<string, string> }, status: () => Promise<Told>) => Promise<void>,
): Promise<void> {
  const vendor = await startFakeOpenAi(readsVault);
  const { cwd, env } = await makeMachine();
  const machine = { cwd, env: { ...env, ...vendorEnv(vendor.url) } };
  try {
    await check(machine, async () => {
      const { code, out, err } = await runOxydra(["status", "--json"], machine);
      assert.equal(err, "");
      return { code, out, status: JSON.parse(out) };
    });
  } finally {
    await vendor.close();
    await Deno.remove(join(cwd, ".."), { recursive: true });
  }
}

interface Told {
  readonly code: number;
  readonly out: string;
  readonly status: Status;
}

/** The head that the newest turn_done of the event log names. */
function lastHeadOfTurns(cwd: string): AuditHead {
  const db = new DatabaseSync(join(cwd, WORKSPACE, "internal/oxydra.db"), { readOnly: true });
  try {
    const row = db.prepare("SELECT payload FROM events WHERE type = 'turn_done' ORDER BY seq DESC LIMIT 1").get();
    return JSON.parse(String(row!.payload)).auditHead;
  } finally {
    db.close();
  }
}

Deno.test("status: nothing runs, a turn waits, it is done with the head that its turn_done names, and it is killed", async () => {
  await withMachine(async (machine, status) => {
    const before = await status();
    assert.deepEqual([before.code, before.status.state, before.status.auditHead], [3, "stopped", null]);
    assert.deepEqual([...Deno.readDirSync(machine.cwd)], [], "it makes nothing");

    await Deno.mkdir(join(machine.cwd, WORKSPACE, "vault"), { recursive: true });
    await Deno.writeTextFile(join(machine.cwd, WORKSPACE, "vault/key"), "rivers-run-4711");
    const gateway = await startGateway(machine);
    const client = await connectRaw(gateway, { session_id: "s", capabilities: CAPABILITIES });
    await client.next((frame) => frame.type === "hello_ack");
    client.send("send_turn", { request_id: "r", session_id: "s", turn_id: "t", prompt: "read the key" });
    await client.next((frame) => frame.type === "turn_event" && frame.payload.event.type === "parked");
    const parked = await status();
    const { runner, guest, clients, waiting, auditAgrees } = parked.status;
    assert.deepEqual([parked.code, parked.status.state, runner!.pid], [0, "running", gateway.process.pid]);
    assert.ok(processTree(runner!.pid).includes(guest!.pid) && guest!.up);
    assert.equal(parked.status.gateway, `127.0.0.1:${gateway.port}`);
    // Ours; the chat may be on its way.
    assert.ok(clients! >= 1);
    assert.deepEqual([waiting, auditAgrees], [1, true]);
    assert.ok(!parked.out.includes(gateway.token), "the token is shown to nobody");

    const control = controlPath(join(machine.cwd, WORKSPACE, "ipc"));
    const [card] = await readApprovals(control);
    await answerApproval(control, { id: card!.id, answer: "once" });
    await client.next((frame) => frame.type === "turn_completed");
    const done = (await status()).status;
    const { at, ...head } = done.auditHead!;
    assert.deepEqual([done.waiting, head, done.auditAgrees], [0, lastHeadOfTurns(machine.cwd), true]);
    assert.ok(Math.abs(Date.now() - at) < 3_600_000 && head.seq > parked.status.auditHead!.seq);

    Deno.kill(gateway.process.pid, "SIGKILL");
    await gateway.process.status;
    client.close();
    assert.ok(
      Deno.lstatSync(control).isSocket && Deno.lstatSync(join(gateway.workspace, "ipc/gateway-endpoint")).isFile,
    );
    const killed = await status();
    assert.deepEqual(
      [killed.code, killed.status.state, killed.status.runner, killed.status.guest, killed.status.gateway],
      [3, "stopped", null, null, null],
    );
    assert.deepEqual([killed.status.auditHead, killed.status.auditAgrees], [done.auditHead, null]);
    const { code, out } = await runOxydra(["status"], machine);
    assert.equal(code, 3);
    assert.ok(out.startsWith("oxydra does not run for default\n") && out.includes(head.sha256), out);
  });
});

Deno.test("status: a runner that was stopped in its tracks is said not to answer", async () => {
  await withMachine(async (machine, status) => {
    const gateway = await startGateway(machine);
    Deno.kill(gateway.process.pid, "SIGSTOP");
    try {
      const { code, status: { state, runner, gateway: address } } = await status();
      // Which of the two is a matter of its age.
      assert.ok(state === "starting" || state === "not_answering", state);
      assert.deepEqual([code, runner!.pid, address], [3, gateway.process.pid, null]);
    } finally {
      Deno.kill(gateway.process.pid, "SIGCONT");
    }
    assert.equal((await status()).code, 0);
    await gateway.stop();
  });
});
