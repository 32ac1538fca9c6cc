import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { ApprovalCard } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { answerApproval, readApprovals, readHealth } from "#/cli/control_client.ts";
import { openControl } from "#/runner/control.ts";
import { ControlReply, ControlRequest } from "#/runner/control_frames.ts";
import { controlPath, prepareControlDir } from "#/runner/endpoint.ts";
import { toStartupStatus } from "#/runner/startup_status.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { askedCall } from "../fixture/asked_call.ts";
import { healthOf, toControlDeps } from "../fixture/health.ts";

/** What a client of the reference takes (crates/types/src/runner.rs): the fields that it needs; others it drops, as serde does. */
const ReferenceStartup = z.object({
  sandbox_tier: z.enum(["micro_vm", "container", "process"]),
  sidecar_available: z.boolean(),
  shell_available: z.boolean(),
  browser_available: z.boolean(),
  degraded_reasons: z.array(z.object({
    code: z.enum([
      "insecure_process_tier",
      "process_hardening_limited",
      "sidecar_unavailable",
      "sidecar_transport_unsupported",
      "sidecar_endpoint_invalid",
      "sidecar_connection_failed",
      "sidecar_protocol_error",
      "runtime_shutdown",
    ]),
    detail: z.string(),
  })).optional(),
});
const ReferenceReply = z.object({
  op: z.literal("health_status"),
  payload: z.object({
    user_id: z.string(),
    healthy: z.boolean(),
    sandbox_tier: z.enum(["micro_vm", "container", "process"]),
    startup_status: ReferenceStartup,
    shell_available: z.boolean(),
    browser_available: z.boolean(),
    shutdown: z.boolean(),
    message: z.string().nullish(),
    log_dir: z.string().nullish(),
    runtime_pid: z.number().int().nullish(),
    runtime_container_name: z.string().nullish(),
  }),
});

interface Desk extends Disposable {
  readonly ipc: string;
  readonly path: string;
  readonly approvals: Approvals;
  readonly card: ApprovalCard;
}

function openDesk(): Desk {
  const ipc = Deno.makeTempDirSync({ prefix: "oxydra-control-" });
  const approvals = openApprovals({
    path: join(ipc, "approvals.json"),
    now: Date.now,
    record: () => {},
    onResolved: () => {},
  });
  const found = approvals.find(askedCall());
  const control = openControl(ipc, toControlDeps(approvals, () => healthOf({ approvals: approvals.pending.length })));
  return {
    ipc,
    path: control.path,
    approvals,
    card: (found as { card: ApprovalCard }).card,
    [Symbol.dispose]() {
      control.close();
      approvals.close();
      Deno.removeSync(ipc, { recursive: true });
    },
  };
}

async function exchange(path: string, bytes: Uint8Array): Promise<unknown> {
  const connection = await Deno.connect({ transport: "unix", path });
  try {
    await connection.write(bytes);
    return await readLengthJson(new ByteReader(connection.readable), LIMITS.approvalsBytesMax).catch(() => "broken");
  } finally {
    try {
      connection.close();
    } catch {
      // The reader has it.
    }
  }
}

Deno.test("openControl() shows the owner the runner's own cards and takes the answer", async () => {
  using desk = openDesk();
  assert.equal(Deno.statSync(desk.path).mode! & 0o777, 0o600);
  assert.deepEqual(await readApprovals(desk.path), [desk.card]);
  await answerApproval(desk.path, { id: desk.card.id, answer: "session" });
  assert.deepEqual([await readApprovals(desk.path), desk.approvals.pending], [[], []]);
  await assert.rejects(answerApproval(desk.path, { id: desk.card.id, answer: "once" }), { code: "approval_unknown" });
});

Deno.test("openControl() answers the reference's health_check so that its clients can read it, with ours beside it", async () => {
  using desk = openDesk();
  const reply = await exchange(desk.path, encodeLengthJson({ op: "health_check" }, 1_000));
  ReferenceReply.parse(reply);
  // What a real runner says of its start.
  ReferenceStartup.parse(toStartupStatus());
  assert.deepEqual(ControlReply.parse(reply), { op: "health_status", payload: healthOf({ approvals: 1 }) });
  assert.deepEqual(await readHealth(desk.path), healthOf({ approvals: 1 }));
});

Deno.test("readHealth() gives up on who is silent, who leaves in the middle, and who answers something else", async () => {
  const path = controlPath(Deno.makeTempDirSync());
  using listener = Deno.listen({ transport: "unix", path });
  const answers: readonly (readonly [why: RegExp, bytes: Uint8Array | null])[] = [
    [/did not answer within 50 ms/, null],
    [/closed its control socket/, new Uint8Array(0)],
    [/closed its control socket/, new Uint8Array([0, 0, 0, 9, 1])],
    [/no runner of this version/, encodeLengthJson({ op: "health_check", payload: {} }, 1_000)],
  ];
  for (const [message, bytes] of answers) {
    const asked = assert.rejects(readHealth(path, bytes === null ? 50 : LIMITS.controlWaitMs), {
      code: "gateway_unreachable",
      message,
    });
    const connection = await listener.accept();
    if (bytes !== null) {
      await connection.read(new Uint8Array(100));
      if (bytes.length > 0) await connection.write(bytes);
      connection.close();
    }
    await asked;
    if (bytes === null) connection.close();
  }
});

Deno.test("openControl() refuses what is no request, at any size, and serves the next one", async () => {
  using desk = openDesk();
  const refused: Uint8Array[] = [
    encodeLengthJson({ op: "shutdown" }, 1_000),
    encodeLengthJson({ op: "answer_approval", payload: { id: desk.card.id, answer: "yes" } }, 1_000),
    encodeLengthJson({ op: "answer_approval", payload: { id: desk.card.id, answer: "once", grant: [] } }, 1_000),
    encodeLengthJson("x".repeat(LIMITS.controlBytesMax), 1_000_000),
    new Uint8Array([0xff, 0xff, 0xff, 0xff]),
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
  ];
  for (const bytes of refused) {
    const reply = await exchange(desk.path, bytes) as { op?: string } | string | undefined;
    assert.ok(
      reply === undefined || reply === "broken" || (reply as { op?: string }).op === "error",
      JSON.stringify(reply),
    );
  }
  // One that says nothing holds nobody up.
  const silent = await Deno.connect({ transport: "unix", path: desk.path });
  assert.equal((await readApprovals(desk.path)).length, 1);
  silent.close();
});

Deno.test("openControl() takes as many as controlClientsMax, and the place of a socket that a kill left behind", async () => {
  using desk = openDesk();
  const held = await Promise.all(
    Array.from({ length: LIMITS.controlClientsMax }, () => Deno.connect({ transport: "unix", path: desk.path })),
  );
  await assert.rejects(readApprovals(desk.path), { code: "gateway_unreachable" });
  for (const connection of held) connection.close();
  const left = Deno.makeTempDirSync();
  const dead = Deno.listen({ transport: "unix", path: controlPath(left) });
  dead.close();
  const deps = toControlDeps(desk.approvals);
  openControl(left, deps).close();
  Deno.writeTextFileSync(controlPath(left), "no socket");
  assert.throws(() => openControl(left, deps), { code: "config_invalid" });
});

Deno.test("a workspace whose path no socket can have has its socket in a folder of the owner's alone", async () => {
  using desk = openDesk();
  const deep = join(Deno.makeTempDirSync(), ..."abcdefgh".split("").map((letter) => letter.repeat(20)));
  assert.equal(controlPath(deep), join(deep, "runner-control.sock"));
  Deno.mkdirSync(deep, { recursive: true });
  const path = controlPath(deep);
  assert.match(path, new RegExp(`^/tmp/oxydra-${Deno.uid()}/\\d+-\\d+\\.sock$`));
  prepareControlDir(deep);
  assert.equal((Deno.statSync(dirname(path)).mode ?? 0) & 0o777, 0o700);
  const control = openControl(deep, toControlDeps(desk.approvals));
  assert.equal(control.path, path);
  assert.equal((await readApprovals(path)).length, 1);
  control.close();
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("nobody at a control socket is said as such", async () => {
  await assert.rejects(readApprovals("/nowhere/at/all.sock"), { code: "gateway_unreachable" });
});

Deno.test("ControlRequest knows what the owner may ask and nothing else", () => {
  assert.ok(ControlRequest.safeParse({ op: "approvals" }).success);
  assert.equal(ControlRequest.safeParse({ op: "approvals", payload: {} }).success, false);
});
