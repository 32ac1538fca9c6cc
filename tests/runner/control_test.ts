import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { ApprovalCard } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { answerApproval, readApprovals, readHealth, readStartedWith, stopUser } from "#/cli/control_client.ts";
import { type Control, type ControlDeps, openControl } from "#/runner/control.ts";
import {
  ControlReply,
  ControlRequest,
  LogEntry,
  LogsAnswer,
  type LogsRequest,
  ShutdownStatus,
  StartedWith,
} from "#/runner/control_frames.ts";
import { controlPath, prepareControlDir, prepareNetDir } from "#/runner/endpoint.ts";
import { readLogs } from "#/runner/read_logs.ts";
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

/** The reference's serde shapes of what it asks and is answered: tagged `op` and `payload`, defaults for what is absent, errors of three codes. */
const ReferenceLogs = z.object({
  op: z.literal("logs"),
  payload: z.object({
    entries: z.array(z.object({
      timestamp: z.string().optional(),
      source: z.enum(["process_file", "docker_api"]),
      role: z.string(),
      stream: z.string(),
      message: z.string(),
    })),
    truncated: z.boolean(),
    warnings: z.array(z.string()).default([]),
  }),
});
const ReferenceShutdown = z.object({
  op: z.literal("shutdown_status"),
  payload: z.object({
    user_id: z.string(),
    shutdown: z.boolean(),
    already_stopped: z.boolean(),
    message: z.string().nullish(),
  }),
});
const ReferenceError = z.object({
  op: z.literal("error"),
  payload: z.object({ code: z.enum(["invalid_request", "unknown_user", "internal"]), message: z.string() }),
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

Deno.test("prepareNetDir() gives a short folder for any workspace, and none beside what is somebody else's", () => {
  const run = Deno.makeTempDirSync();
  assert.equal(prepareNetDir(run, "net"), join(run, "net"));
  const deep = join(run, "x".repeat(80 - "/net".length - run.length));
  Deno.mkdirSync(deep);
  assert.match(prepareNetDir(deep, "net"), new RegExp(`^/tmp/oxydra-${Deno.uid()}/\\d+-\\d+\\.net$`));
  Deno.mkdirSync(join(run, "tmp"));
  const short = prepareNetDir(deep, "net", join(run, "tmp"));
  assert.equal((Deno.statSync(dirname(short)).mode ?? 0) & 0o777, 0o700);
  assert.equal(prepareNetDir(deep, "net", join(run, "tmp")), short);
  Deno.chmodSync(dirname(short), 0o777);
  assert.throws(() => prepareNetDir(deep, "net", join(run, "tmp")), { code: "config_invalid" });
});

Deno.test("nobody at a control socket is said as such", async () => {
  await assert.rejects(readApprovals("/nowhere/at/all.sock"), { code: "gateway_unreachable" });
});

Deno.test("ControlRequest knows what the owner may ask and nothing else", () => {
  assert.ok(ControlRequest.safeParse({ op: "approvals" }).success);
  assert.equal(ControlRequest.safeParse({ op: "approvals", payload: {} }).success, false);
});

Deno.test("openControl() answers the reference's logs as it asks, its nulls and its defaults included", async () => {
  const dir = Deno.makeTempDirSync();
  Deno.writeTextFileSync(join(dir, "runtime.log"), "2030-01-31T18:00:00.000Z one\n2030-01-31T18:00:01.000Z two\n");
  const asked: LogsRequest[] = [];
  using control = openWith({
    logs: (request) => {
      asked.push(request);
      return Promise.resolve(readLogs(dir, request, Date.now()).answer);
    },
  });
  const ask = (payload: unknown) => exchange(control.path, encodeLengthJson({ op: "logs", payload }, 1_000));
  // What serde writes of `RunnerControlLogsRequest::default()`, of the least, and of all of it.
  const least = ReferenceLogs.parse(await ask({ role: "runtime", stream: "both", tail: null, format: "text" }));
  assert.deepEqual(least.payload.entries.map(({ message }) => message), ["one", "two"]);
  assert.deepEqual(ReferenceLogs.parse(await ask({})), least);
  const all = await ask({ role: "all", stream: "stderr", tail: 1, since: "2030-01-31T18:00:00Z", format: "json" });
  const { payload } = ReferenceLogs.parse(all);
  assert.deepEqual([payload.entries[0]!.message, payload.truncated, payload.warnings.length], ["two", true, 1]);
  assert.deepEqual(LogsAnswer.parse(payload), payload);
  assert.deepEqual(LogEntry.parse(payload.entries[0]), payload.entries[0]);
  assert.deepEqual(asked[0], { role: "runtime", stream: "both", tail: null, format: "text" });
  // The largest number of a Rust usize, as JSON has it here, and what is none of it.
  for (const tail of [-1, 1.5, "9", 1e300]) {
    assert.equal(ReferenceError.parse(await ask({ tail })).payload.code, "invalid_request");
  }
  assert.equal(ReferenceError.parse(await ask({ since: "yesterday" })).payload.code, "invalid_request");
  assert.equal(ReferenceError.parse(await ask({ role: "shell" })).payload.code, "invalid_request");
  assert.equal(
    ReferenceError.parse(await exchange(control.path, encodeLengthJson({ op: "explode" }, 99))).payload.code,
    "invalid_request",
  );
});

Deno.test("openControl() takes the reference's shutdown_user, stops after it has answered, and only for its own user", async () => {
  const stops: (number | undefined)[] = [];
  let shutdown = false;
  const health = () => healthOf({ shutdown, active_turns: 2 });
  using control = openWith({ health, stop: (ms) => stops.push(ms) });
  const ask = (payload: unknown) => exchange(control.path, encodeLengthJson({ op: "shutdown_user", payload }, 1_000));
  const other = ReferenceError.parse(await ask({ user_id: "mallory" })).payload;
  assert.deepEqual([other.code, stops], ["unknown_user", []]);
  await assert.rejects(stopUser(control.path, "mallory"), { code: "usage" });
  const first = ReferenceShutdown.parse(await ask({ user_id: "default" })).payload;
  assert.deepEqual([first.shutdown, first.already_stopped, first.message], [true, false, "it stops; turns at work: 2"]);
  assert.deepEqual(ShutdownStatus.parse(first), first);
  shutdown = true;
  assert.equal((await stopUser(control.path, "default", 0)).already_stopped, true);
  assert.deepEqual(stops, [undefined, 0]);
  for (
    const payload of [undefined, {}, { user_id: 7 }, { user_id: "default", drain_ms: LIMITS.stopDrainMsMax + 1 }, {
      user_id: "default",
      drain_ms: -1,
    }]
  ) {
    assert.equal(ReferenceError.parse(await ask(payload)).payload.code, "invalid_request");
  }
  assert.equal(stops.length, 2);
});

Deno.test("openControl() says how it was asked to start, to the owner alone who can open it", async () => {
  {
    using control = openWith({});
    assert.equal(await readStartedWith(control.path), null);
  }
  using control = openWith({ startedWith: { detached: true, options: { env: ["A=b"] } } });
  assert.equal(StartedWith.safeParse({ detached: "yes", options: {} }).success, false);
  assert.deepEqual(await readStartedWith(control.path), { detached: true, options: { env: ["A=b"] } });
});

function openWith(deps: Partial<ControlDeps>): Control & Disposable {
  const control = openControl(Deno.makeTempDirSync(), { ...toControlDeps({} as Approvals), ...deps });
  return { ...control, [Symbol.dispose]: () => control.close() };
}
