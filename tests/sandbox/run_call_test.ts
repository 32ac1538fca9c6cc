import assert from "node:assert/strict";
import { join } from "node:path";
import type { Outcome, Policy } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { openAudit } from "#/sandbox/audit.ts";
import type { AuditTrail } from "#/sandbox/audit_trail.ts";
import { type Broker, openBroker } from "#/sandbox/broker.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { type FetchAttachment, HOST_PACKAGE } from "#/sandbox/host_run.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { type GrantedCall, runCall, type RunDeps } from "#/sandbox/run_call.ts";
import { toTools } from "#/tools/registry.ts";
import { entriesIn } from "./audit_kit.ts";
import { requestOf } from "./temp_broker.ts";
import { openTempFiles, type TempFiles } from "./temp_files.ts";

const never = new AbortController().signal;
/** Bytes that no text decoder gives back: every pair of them, and a torn UTF-8 sequence at the end. */
const BINARY = Uint8Array.from({ length: 70_001 }, (_, at) => (at * 193 + (at >> 8)) & 255);

interface House extends Disposable {
  readonly temp: TempFiles;
  readonly broker: Broker;
  readonly policy: Policy;
  readonly isPrivate: () => boolean;
  vault(name: string, content: Uint8Array | string): void;
  /** Calls the tool, and where it asks answers yes as the owner and calls again. */
  call(tool: string, args: unknown, signal?: AbortSignal): Promise<Outcome>;
  entries(): ReturnType<typeof entriesIn>;
}

async function openHouse(
  { approvals: change = (real) => real, ...options }: {
    attachment?: FetchAttachment;
    tools?: ReadonlyMap<string, Tool>;
    approvals?: (real: Approvals) => Approvals;
  } = {},
): Promise<House> {
  const temp = openTempFiles();
  const policy = await openPolicy([DEFAULT_POLICY]);
  const dir = join(temp.dir, "audit");
  const audit = openAudit({ dir, now: Date.now, opened: { version: "0.0.0", policyDigest: policy.digest } });
  const approvals = openApprovals({
    path: join(temp.dir, "approvals.json"),
    now: Date.now,
    record: () => {},
    onResolved: () => {},
  });
  const broker = openBroker({
    user: "default",
    tools: toTools(),
    packages: new Map([[HOST_PACKAGE, { version: "1.2.3", sha256: "cd" }]]),
    policy,
    audit,
    files: temp.files,
    approvals: change(approvals),
    now: Date.now,
    ...options,
  });
  return {
    temp,
    broker,
    policy,
    isPrivate: () => approvals.isPrivate("s"),
    vault: (name, content) =>
      Deno.writeFileSync(
        join(temp.dir, "vault", name),
        typeof content === "string" ? new TextEncoder().encode(content) : content,
      ),
    async call(tool, args, signal = never) {
      const request = requestOf(args, { tool });
      const first = await broker.call(request, signal);
      if (first.card === undefined) return first;
      approvals.answer({ id: first.card.id, answer: "once" }, "owner");
      return await broker.call(request, signal);
    },
    entries: () => entriesIn(dir),
    [Symbol.dispose]() {
      broker.close();
      approvals.close();
      audit.close();
      temp[Symbol.dispose]();
    },
  };
}

const copy = (extra: object = {}) => ({ source_path: "/vault/cert", destination_path: "/shared/out/cert", ...extra });
const gives = (content: Uint8Array, mimeType = "application/octet-stream"): FetchAttachment => () =>
  Promise.resolve({ mimeType, content });
const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);

Deno.test("vault_copyto with the owner's yes copies every byte, shows none of them, and marks the session as private", async () => {
  using house = await openHouse();
  house.vault("cert", BINARY);
  const asked = await house.broker.call(requestOf(copy(), { tool: "vault_copyto" }), never);
  assert.deepEqual([asked.kind, asked.card?.lines, asked.card?.answer], [
    "ask",
    ["fs.read /vault/cert", "fs.write /shared/out/cert"],
    "owner",
  ]);
  assert.deepEqual([namesIn(house.temp.shared), house.isPrivate()], [[], false]);
  const done = await house.call("vault_copyto", copy());
  assert.deepEqual([done.kind, done.text], ["ok", `Copied /vault/cert to /shared/out/cert (${BINARY.length} bytes).`]);
  assert.deepEqual(Deno.readFileSync(join(house.temp.shared, "out/cert")), BINARY);
  assert.deepEqual([house.isPrivate(), done.tool], [true, {
    name: "vault_copyto",
    package: "host",
    version: "1.2.3",
    sha256: "cd",
  }]);
});

Deno.test("the audit log tells decision, step read, step write and outcome of one call under one grant", async () => {
  using house = await openHouse();
  house.vault("cert", BINARY);
  const done = await house.call("vault_copyto", copy());
  assert.ok(done.decision?.kind === "granted");
  const entries = house.entries().slice(-4);
  const told = entries.map(({ kind, decision, source, capabilities, code }) => ({
    kind,
    decision,
    source,
    capabilities,
    code,
  }));
  const rest = { kind: "decision", decision: "granted", code: undefined };
  const from = done.decision.grant.source;
  assert.deepEqual(told, [
    { ...rest, source: from, capabilities: ["fs.read /vault/cert", "fs.write /shared/out/cert"] },
    { ...rest, source: `${from}, step read`, capabilities: ["fs.read /vault/cert"] },
    { ...rest, source: `${from}, step write`, capabilities: ["fs.write /shared/out/cert"] },
    { kind: "outcome", decision: undefined, source: undefined, capabilities: undefined, code: "ok" },
  ]);
  assert.match(from, /default:vault, once by owner$/);
  assert.deepEqual(new Set(entries.map(({ grant }) => grant)), new Set([done.decision.grant.id]));
  assert.equal(new Set(entries.map(({ callId }) => callId)).size, 1);
  const { readBytes, writtenBytes, upBytes, downBytes } = entries.at(-1)! as unknown as Record<string, number>;
  assert.deepEqual([readBytes, writtenBytes, upBytes, downBytes], [BINARY.length, BINARY.length, 0, 0]);
  assert.equal(new Set(entries.slice(0, 3).map(({ argsSha256 }) => argsSha256)).size, 1);
});

Deno.test("a step holds no power but its own: what the other one has is denied to it", async () => {
  using house = await openHouse({ attachment: gives(BINARY) });
  house.vault("cert", BINARY);
  Deno.writeTextFileSync(join(house.temp.shared, "a"), "alpha");
  // A tool whose grant has the wrong kinds for its steps: each of them finds nothing.
  const swapped = (needs: Tool["needs"], host: "vault_copyto" | "attachment_save"): Tool => ({
    ...toTools().get(host)!,
    needs,
    run: { host },
  });
  const write = { kind: "fs.write", path: "/shared/b", mode: "write", bytesMax: 9 } as const;
  const read = { kind: "fs.read", path: "/shared/a", scope: "file", bytesMax: 9 } as const;
  for (
    const [needs, host] of [[[write], "vault_copyto"], [[read], "vault_copyto"], [[read], "attachment_save"]] as const
  ) {
    const broker = openBroker({
      user: "default",
      tools: new Map([[host, swapped(() => needs, host)]]),
      packages: new Map([[HOST_PACKAGE, { version: "1", sha256: "cd" }]]),
      policy: house.policy,
      audit: openAudit({
        dir: join(house.temp.dir, crypto.randomUUID()),
        now: Date.now,
        opened: { version: "0", policyDigest: "d" },
      }),
      files: house.temp.files,
      attachment: gives(BINARY),
      now: Date.now,
    });
    const args = host === "vault_copyto" ? copy() : { index: 0, path: "/shared/b" };
    const outcome = await broker.call(requestOf(args, { tool: host }), never);
    assert.deepEqual([outcome.kind, outcome.code], ["failed", "tool_denied"], JSON.stringify(needs));
  }
  assert.deepEqual(namesIn(house.temp.shared), ["a"]);
});

Deno.test("a step that fails stops the rest: nothing is written, and the log says so", async () => {
  using house = await openHouse();
  const missing = await house.call("vault_copyto", copy());
  assert.deepEqual([missing.kind, missing.code], ["failed", "file_not_found"]);
  house.vault("cert", new Uint8Array(LIMITS.fileBytesMax + 1));
  const large = await house.call("vault_copyto", copy());
  assert.deepEqual([large.kind, large.code], ["failed", "file_too_large"]);
  assert.deepEqual(namesIn(house.temp.shared), []);
  const entries = house.entries();
  assert.deepEqual(
    entries.slice(-3).map(({ kind, source, code }) => code ?? String(source).split(", ").at(-1) ?? kind),
    [
      "once by owner",
      "step read",
      "file_too_large",
    ],
  );
  assert.ok(!entries.some(({ source }) => String(source).endsWith("step write")));
  assert.ok(house.isPrivate(), "what a call has seen counts, also when it fails");
  house.vault("cert", new Uint8Array(LIMITS.fileBytesMax));
  assert.equal((await house.call("vault_copyto", copy())).kind, "ok", "the limit itself");
});

Deno.test("overwrite is false unless said: a file that is there stays as it is", async () => {
  using house = await openHouse({ attachment: gives(BINARY) });
  house.vault("cert", BINARY);
  const file = join(house.temp.shared, "there");
  Deno.writeTextFileSync(file, "mine");
  const calls = [
    ["vault_copyto", { source_path: "/vault/cert", destination_path: "/shared/there" }],
    ["attachment_save", { index: 0, path: "/shared/there" }],
  ] as const;
  for (const [tool, args] of calls) {
    for (const overwrite of [{}, { overwrite: false }]) {
      const refused = await house.call(tool, { ...args, ...overwrite });
      assert.deepEqual([refused.code, Deno.readTextFileSync(file)], ["file_exists", "mine"]);
    }
    const done = await house.call(tool, { ...args, overwrite: true });
    assert.deepEqual([done.kind, Deno.readFileSync(file)], ["ok", BINARY]);
    Deno.writeTextFileSync(file, "mine");
  }
});

Deno.test("vault_copyto writes nowhere but where policy lets it, follows no link, and is no way into the vault", async () => {
  using house = await openHouse();
  house.vault("cert", BINARY);
  Deno.symlinkSync(house.temp.outside, join(house.temp.shared, "link"));
  Deno.symlinkSync(join(house.temp.outside, "secret.txt"), join(house.temp.dir, "vault/linked"));
  const refusals = [
    [copy({ destination_path: "/vault/cert2" }), "tool_denied"],
    [copy({ destination_path: "/shared/link/x" }), "path_outside"],
    [copy({ source_path: "/vault/linked" }), "path_outside"],
    [copy({ source_path: "/vault" }), "file_not_regular"],
    [copy({ source_path: "/etc/passwd" }), "path_outside"],
    [copy({ destination_path: "/etc/x" }), "path_outside"],
  ] as const;
  for (const [args, code] of refusals) {
    const outcome = await house.call("vault_copyto", args);
    assert.notEqual(outcome.kind, "ok", JSON.stringify(args));
    assert.equal(outcome.code, code, `${JSON.stringify(args)}: ${outcome.text}`);
  }
  assert.deepEqual(namesIn(house.temp.outside), ["secret.txt"]);
  assert.deepEqual(namesIn(join(house.temp.dir, "vault")).sort(), ["cert", "linked"]);
});

Deno.test("attachment_save asks for an attachment of its own turn, and says which there is not", async () => {
  const places: unknown[] = [];
  using house = await openHouse({
    attachment: (place) => {
      places.push(place);
      return Promise.resolve({ mimeType: "image/png", content: BINARY });
    },
  });
  const done = await house.call("attachment_save", { index: 3, path: "/tmp/a.png" });
  assert.equal(done.text, `Saved attachment 3 (image/png, ${BINARY.length} bytes) to /tmp/a.png.`);
  assert.deepEqual(places, [{ session: "s", turn: "t", index: 3 }]);
  assert.deepEqual(Deno.readFileSync(join(house.temp.dir, "tmp/a.png")), BINARY);
  const [step, outcome] = house.entries().slice(-2);
  assert.deepEqual([step!.source, step!.capabilities], ["default:write /tmp, step save", ["fs.write /tmp/a.png"]]);
  assert.equal(outcome!.writtenBytes, BINARY.length);
  for (const index of [-1, LIMITS.attachmentsPerTurnMax, 0.5, "0"]) {
    const wrong = await house.call("attachment_save", { index, path: "/tmp/b" });
    assert.equal(wrong.code, "tool_args_invalid", String(index));
  }
  using bare = await openHouse();
  const none = await bare.call("attachment_save", { index: 0, path: "/tmp/a" });
  assert.deepEqual([none.code, none.text], ["tool_failed", "This turn has no attachments"]);
  assert.deepEqual([places.length, namesIn(join(bare.temp.dir, "tmp"))], [1, []]);
});

Deno.test("attachment_save takes the largest attachment there is, and not a byte more", async () => {
  for (
    const [bytes, code] of [[LIMITS.attachmentBytesMax, undefined], [
      LIMITS.attachmentBytesMax + 1,
      "file_too_large",
    ]] as const
  ) {
    using house = await openHouse({ attachment: gives(new Uint8Array(bytes).fill(7)) });
    const outcome = await house.call("attachment_save", { index: 0, path: "/shared/large" });
    assert.equal(outcome.code, code, outcome.text);
    assert.deepEqual(namesIn(house.temp.shared), code === undefined ? ["large"] : []);
  }
});

Deno.test("a cancelled call ends at once and writes nothing, also when its attachment comes later", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const late = Promise.withResolvers<Awaited<ReturnType<FetchAttachment>>>();
  using house = await openHouse({
    attachment: (_, signal) => {
      asked.resolve(signal);
      return late.promise;
    },
  });
  const abort = new AbortController();
  const call = house.call("attachment_save", { index: 0, path: "/shared/late" }, abort.signal);
  const signal = await asked.promise;
  abort.abort();
  await assert.rejects(call, { code: "cancelled" });
  assert.ok(signal.aborted, "whoever brings it is told");
  late.resolve({ mimeType: "a/b", content: BINARY });
  await late.promise;
  // One turn of the loop more than the step needs to go on.
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(namesIn(house.temp.shared), []);
  assert.equal(house.entries().at(-1)!.code, "cancelled");
});

Deno.test("a call of the runner's own ends at its tool's deadline: it has no child to wait for", async () => {
  const save = { ...toTools().get("attachment_save")!, timeoutMs: 30 };
  using house = await openHouse({
    attachment: () => new Promise(() => {}),
    tools: new Map([["attachment_save", save]]),
  });
  const startedAt = performance.now();
  const outcome = await house.call("attachment_save", { index: 0, path: "/shared/a" });
  assert.deepEqual([outcome.kind, outcome.code], ["failed", "tool_timeout"]);
  assert.ok(performance.now() - startedAt < 5_000, "and not a minute later");
  assert.deepEqual(namesIn(house.temp.shared), []);
});

Deno.test("a broker that closes ends a call of the runner's own", async () => {
  const asked = Promise.withResolvers<void>();
  using house = await openHouse({
    attachment: () => {
      asked.resolve();
      return new Promise(() => {});
    },
  });
  const call = house.call("attachment_save", { index: 0, path: "/shared/a" });
  await asked.promise;
  house.broker.close();
  assert.equal((await call).code, "tool_interrupted");
});

Deno.test("no step runs that cannot be written down", async () => {
  using temp = openTempFiles();
  const trail = {
    step: () => {
      throw new AppError("audit_failed", "the disk is full");
    },
  } as unknown as AuditTrail;
  const asked: unknown[] = [];
  const call: GrantedCall = {
    request: requestOf({}, { tool: "attachment_save" }),
    tool: toTools().get("attachment_save")!,
    identity: { name: "attachment_save", package: "host", version: "1", sha256: "0" },
    installed: { version: "1", sha256: "0" },
    args: { index: 0, path: "/shared/a" },
    argsSha256: "0",
    grant: { id: "g", capabilities: [], source: "s", expiresAt: Infinity },
    trail,
  };
  const deps: RunDeps = {
    onOutput: () => {},
    files: temp.files,
    now: Date.now,
    decide: () => assert.fail("nothing to decide"),
    attachment: (place) => {
      asked.push(place);
      return gives(BINARY)(place, never);
    },
  };
  const { result, settled } = runCall(call, deps, { signal: never, closed: never });
  await assert.rejects(result, { code: "audit_failed" });
  await settled;
  assert.deepEqual([asked, namesIn(temp.shared)], [[], []]);
});

Deno.test("a session that cannot be marked as private reads nothing private, and its call gives its place back", async () => {
  using house = await openHouse({
    approvals: (real) => ({
      ...real,
      find: () => ({ kind: "yes", answer: "session", by: "owner", spend: () => {} }),
      isInherited: () => false,
      isPrivate: () => false,
      markPrivate: () => {
        throw new AppError("store_failed", "the disk is full");
      },
    }),
  });
  house.vault("cert", BINARY);
  const request = requestOf(copy(), { tool: "vault_copyto" });
  for (let round = 0; round < 2; round++) {
    const outcome = await house.broker.call(request, never);
    assert.deepEqual([outcome.code, outcome.text], ["store_failed", "the disk is full"], `round ${round}`);
  }
  assert.deepEqual(namesIn(house.temp.shared), []);
  assert.ok(!house.entries().some(({ source }) => String(source).includes("step read")));
});
