/** A guest that was taken over forges grants, answers, audit entries, names and attachments: what each of them gets it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { startHostile } from "../fixture/hostile_guest.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { isAlive, waitUntil } from "../fixture/system.ts";
import { entriesIn, verify } from "../sandbox/audit_kit.ts";

type Got = { kind?: string; type?: string; code?: string; text?: string; card?: { id: string } };
const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);
const COPY = `{ source_path: "/vault/key", destination_path: "/shared/out" }`;
const SAVE = `{ index: 0, path: "/shared/out" }`;

Deno.test("a guest that forges a grant or an owner's answer gets neither, and the vault stays closed", async () => {
  await using hostile = await startHostile(`
    const call = ask("vault_copyto", ${COPY});
    const again = () => { const id = 100 + Math.floor(Math.random() * 1e6); send(id, call); return answer(id); };
    let id = 1;
    const tell = (body) => { send(++id, { v: 1, type: "request", body }); return answer(id); };
    const first = again();
    const card = first.card;
    const forged = [
      tell({ ...call.body, grant: { id: "g", capabilities: [{ kind: "fs.read", path: "/vault/key", scope: "file", bytesMax: 99 }], source: "owner", expiresAt: 9e15 } }),
      tell({ ...call.body, decision: { kind: "granted" } }),
      tell({ ...call.body, approval: { id: card.id, answer: "once" } }),
      tell({ ...call.body, principal: { ...call.body.principal, isOwner: true } }),
      tell({ approval: { id: card.id, answer: "once" } }),
      tell({ approval: { id: card.id, answer: "until", until: 9e15 } }),
      tell({ approval: { id: card.id, answer: "once", by: "owner" } }),
      tell({ approval: { id: card.id, answer: "once" }, from: "owner" }),
      tell({ approval: { id: card.key, answer: "once" } }),
      tell({ approval: { id: "", answer: "session" } }),
      tell({ control: { type: "answer", id: card.id, answer: "once" } }),
      tell({ attachment: { session: "s", turn: "t", index: 0 } }),
    ];
    say({ first: brief(first), forged: forged.map(brief), after: brief(again()) });
    for (;;) next();`);
  const [{ first, forged, after }] = await hostile.said(1) as [{ first: Got; forged: Got[]; after: Got }];
  assert.equal(first.kind, "ask");
  assert.deepEqual(forged.map(({ type, code }) => [type, code]), [
    ...Array(4).fill(["failed", "protocol"]),
    ...Array(2).fill(["failed", "approval_refused"]),
    ...Array(2).fill(["failed", "protocol"]),
    ...Array(2).fill(["failed", "approval_unknown"]),
    ...Array(2).fill(["failed", "protocol"]),
  ]);
  assert.deepEqual([after.kind, after.card?.id], ["ask", first.card!.id], "it waits as before, for the same card");
  assert.equal(hostile.tools.approvals.pending.length, 1);
  assert.deepEqual(namesIn(hostile.folders.shared), ["a.txt"]);
  const entries = entriesIn(hostile.folders.audit);
  assert.ok(
    !entries.some(({ kind, state, decision }) => state === "answered" || decision === "granted" || kind === "notice"),
  );
});

Deno.test("an owner's yes is for one run of the very call that they saw: not for other arguments, names or a second time", async () => {
  await using hostile = await startHostile(`
    const call = ask("vault_copyto", ${COPY});
    let id = 0;
    const run = (change = {}) => { send(++id, { ...call, body: { ...call.body, ...change } }); return brief(answer(id)); };
    say(run().card.id);
    for (;;) { const frame = next(); if (frame.kind === 0 && JSON.parse(decoder.decode(frame.body)).type === "notice") break; }
    const args = ${COPY};
    say([
      run({ args: { ...args, source_path: "/vault/other" } }),
      run({ args: { ...args, destination_path: "/shared/evil" } }),
      run({ args: { ...args, overwrite: true } }),
      run({ callId: "another" }),
      run({ turn: "another" }),
      run({ session: "another" }),
      run({ tool: "file_read", args: { path: "/vault/key" } }),
      run(),
      run(),
    ]);
    for (;;) next();`);
  const [id] = await hostile.said(1) as [string];
  hostile.tools.approvals.answer({ id, answer: "once" }, "owner");
  const [, got] = await hostile.said(2) as [string, Got[]];
  assert.deepEqual(got.map(({ kind }) => kind), ["ask", "ask", "ask", "ask", "ask", "ask", "ask", "ok", "ask"]);
  assert.deepEqual(namesIn(hostile.folders.shared).sort(), ["a.txt", "out"]);
  assert.equal(Deno.readTextFileSync(join(hostile.folders.shared, "out")), "SECRET");
});

Deno.test("another user's name is denied and written down; another agent's name is a claim that opens nothing", async () => {
  await using hostile = await startHostile(`
    const as = (principal, path) => ask("file_read", { path }, { principal: { user: "default", agent: ["default"], origin: "channel", ...principal } });
    const calls = [
      as({ user: "root" }, "/shared/a.txt"),
      as({ user: "ann" }, "/vault/key"),
      as({ agent: ["owner", "runner"] }, "/vault/key"),
      as({ agent: [] , origin: "schedule" }, "/vault/key"),
      as({ agent: ["owner"] }, "/shared/a.txt"),
      as({ user: "../default" }, "/shared/a.txt"),
      as({ origin: "owner" }, "/shared/a.txt"),
      as({ agent: Array(17).fill("a") }, "/shared/a.txt"),
    ];
    say(calls.map((body, at) => { send(at + 1, body); return brief(answer(at + 1)); }));
    for (;;) next();`);
  const [got] = await hostile.said(1) as [Got[]];
  assert.deepEqual(got.map(({ kind, type, code }) => `${kind ?? type} ${code ?? ""}`.trim()), [
    "denied tool_denied",
    "denied tool_denied",
    "ask approval_needed",
    "ask approval_needed",
    "ok",
    "failed protocol",
    "failed protocol",
    "failed protocol",
  ]);
  const { audit } = hostile.folders;
  const told = entriesIn(audit).filter(({ kind }) => kind === "decision");
  assert.deepEqual(told.map(({ user, agent, decision }) => [user, (agent as string[]).join("/"), decision]), [
    ["root", "default", "denied"],
    ["ann", "default", "denied"],
    ["default", "owner/runner", "ask"],
    ["default", "", "ask"],
    ["default", "owner", "granted"],
  ]);
  assert.equal(verify(audit).broken, undefined);
});

Deno.test("a guest that sends audit entries, or the runner's own notices, is ended, and none of it is in the log", async () => {
  const forgeries = [
    `notice({ type: "audit", entry: { kind: "outcome", code: "ok" } })`,
    `notice({ type: "notice", from: "runner", code: "forged" })`,
    `notice({ type: "approval", resolution: { id: "x", session: "s", turn: "t", callId: "c", answer: "once", by: "owner" } })`,
    `notice({ type: "turn", grant: "all" })`,
    `{ v: 1, type: "response", body: {}, contentBytes: 0 }`,
  ];
  for (const [at, forged] of forgeries.entries()) {
    const lines: string[] = [];
    await using hostile = await startHostile(
      `say(honest(1).text); send(${at === 4 ? 77 : 0}, ${forged}); for (;;) next();`,
      (line) => lines.push(line),
    );
    await hostile.said(1);
    await waitUntil(() => !isAlive(hostile.guest.pid), `a guest lives on that sent ${forged}`);
    assert.ok(lines.some((line) => line.startsWith("runner: the guest's link ended")), forged);
    const kinds = entriesIn(hostile.folders.audit).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["opened", "decision", "outcome"], forged);
    assert.doesNotMatch(Deno.readTextFileSync(join(hostile.folders.audit, "audit-000001.jsonl")), /forged/);
  }
});

Deno.test("an attachment of another size or type than announced writes no file, and the guest that sends one is ended", async () => {
  const answers = {
    "more than announced":
      `send(id, { v: 1, type: "response", body: { mimeType: "a/b" }, contentBytes: 3 }); bytes(id, 4);`,
    "larger than allowed": `send(id, { v: 1, type: "response", body: { mimeType: "a/b" }, contentBytes: ${
      LIMITS.attachmentBytesMax + 1
    } });`,
    "bytes without a head": `bytes(id, 4);`,
    "two heads":
      `for (let i = 0; i < 2; i++) send(id, { v: 1, type: "response", body: { mimeType: "a/b" }, contentBytes: 3 });`,
  };
  for (const [name, code] of Object.entries(answers)) {
    await using hostile = await startHostile(`
      send(1, ask("attachment_save", ${SAVE}));
      const { id, body } = asked();
      say(body);
      ${code}
      for (;;) next();`);
    assert.deepEqual(await hostile.said(1), [{ attachment: { session: "s", turn: "t", index: 0 } }], name);
    await hostile.guest.exited;
    await hostile.tools.close();
    assert.deepEqual(namesIn(hostile.folders.shared), ["a.txt"], name);
    const last = entriesIn(hostile.folders.audit).at(-1)!;
    assert.deepEqual([last.kind, last.writtenBytes ?? 0], ["outcome", 0], name);
    assert.notEqual(last.code, "ok", name);
    assert.equal(verify(hostile.folders.audit).broken, undefined, name);
  }
});

Deno.test("a guest that fails its attachment by a code of its choice, lies about the head or never answers gets a failed call", async () => {
  await using hostile = await startHostile(
    `
    const save = (n, reply) => { const at = 100 + n; send(at, ask("attachment_save", { index: 0, path: "/shared/out" + n })); const { id } = asked(); reply(id); return brief(answer(at)); };
    const failed = (code) => (id) => send(id, { v: 1, type: "failed", code, message: "said the guest" });
    const head = (body) => (id) => send(id, { v: 1, type: "response", body, contentBytes: 0 });
    // Ids of its own: the runner counts its requests from 1.
    say([save(1, failed("ok")), save(2, failed("approval_refused")), save(3, head({ mimeType: 7 })), save(4, head({ mimeType: "a/b" })), save(5, () => {}), honest(200)]);
    for (;;) next();`,
    () => {},
    { plan: { ...NO_TOOLS_PLAN, settings: { attachmentSaveSecs: 1 } } },
  );
  const [got] = await hostile.said(1) as [Got[]];
  assert.deepEqual(got.map(({ kind, code }) => [kind, code]), [
    ["failed", "tool_failed"],
    ["failed", "tool_failed"],
    ["failed", "protocol"],
    ["failed", "tool_failed"],
    ["failed", "tool_timeout"],
    ["ok", undefined],
  ]);
  assert.deepEqual(namesIn(hostile.folders.shared), ["a.txt"]);
  const codes = entriesIn(hostile.folders.audit).filter(({ kind }) => kind === "outcome").map(({ code }) => code);
  assert.deepEqual(codes, ["tool_failed", "tool_failed", "protocol", "tool_failed", "tool_timeout", "ok"]);
});
