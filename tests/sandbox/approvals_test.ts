import assert from "node:assert/strict";
import { join } from "node:path";
import type { ApprovalCard, ApprovalResolution, Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { appliesTo, peekApprovals, readApprovals, writeApprovals } from "#/sandbox/approval_state.ts";
import { type Approvals, type ApprovalsOptions, openApprovals } from "#/sandbox/approvals.ts";
import { type Asked, askedCall } from "../fixture/asked_call.ts";

const wanted: Capability[] = [{ kind: "fs.read", path: "/vault/a", scope: "file", bytesMax: 1 }];
const asked = (over: Partial<Asked> = {}): Asked => askedCall({ wanted, ...over });

interface House extends Disposable {
  readonly path: string;
  readonly resolved: ApprovalResolution[];
  now: number;
  open(options?: Partial<ApprovalsOptions>): Approvals;
}

function makeHouse(): House {
  const folder = Deno.makeTempDirSync({ prefix: "oxydra-approvals-" });
  const opened: Approvals[] = [];
  const house: House = {
    path: join(folder, "approvals.json"),
    resolved: [],
    now: 1_000,
    open(options = {}) {
      const approvals = openApprovals({
        path: house.path,
        now: () => house.now,
        record: () => {},
        onResolved: (resolution) => house.resolved.push(resolution),
        ...options,
      });
      opened.push(approvals);
      return approvals;
    },
    [Symbol.dispose]() {
      for (const approvals of opened) approvals.close();
      Deno.removeSync(folder, { recursive: true });
    },
  };
  return house;
}

function cardOf(approvals: Approvals, over: Partial<Asked> = {}): ApprovalCard {
  const found = approvals.find(asked(over));
  assert.equal(found.kind, "open");
  return (found as { card: ApprovalCard }).card;
}

const kinds = (approvals: Approvals, ...calls: Partial<Asked>[]) =>
  calls.map((over) => {
    const found = approvals.find(asked(over));
    if (found.kind !== "open") found.spend();
    return found.kind;
  });

Deno.test("openApprovals() makes one card for one call, and another for another", () => {
  using house = makeHouse();
  const approvals = house.open();
  const card = cardOf(approvals);
  assert.deepEqual([card.askedAt, card.expiresAt], [1_000, 1_000 + LIMITS.approvalWaitMs]);
  assert.equal(cardOf(approvals).id, card.id);
  for (const over of [{ key: "x" }, { session: "x" }, { turn: "x" }, { callId: "x" }]) {
    assert.notEqual(cardOf(approvals, over).id, card.id);
  }
  assert.equal(approvals.pending.length, 5);
});

Deno.test("openApprovals(): once and no are for this very call and for one run of it", () => {
  using house = makeHouse();
  const approvals = house.open();
  for (const [answer, kind] of [["once", "yes"], ["no", "no"]] as const) {
    const over = { callId: answer };
    approvals.answer({ id: cardOf(approvals, over).id, answer }, "owner");
    assert.deepEqual(kinds(approvals, { callId: "other" }, over, over), ["open", kind, "open"], answer);
  }
  assert.deepEqual(house.resolved.map(({ callId, answer, by }) => [callId, answer, by]), [
    ["once", "once", "owner"],
    ["no", "no", "owner"],
  ]);
});

Deno.test("openApprovals(): session, until and never are for equal calls, and for nothing that differs", () => {
  using house = makeHouse();
  const approvals = house.open();
  approvals.answer({ id: cardOf(approvals, { key: "1" }).id, answer: "session" }, "owner");
  approvals.answer({ id: cardOf(approvals, { key: "2" }).id, answer: "until", until: 2_000 }, "owner");
  approvals.answer({ id: cardOf(approvals, { key: "3" }).id, answer: "never" }, "owner");
  const later = { turn: "later", callId: "later" };
  const elsewhere = { ...later, session: "elsewhere" };
  assert.deepEqual(kinds(approvals, { key: "1", ...later }, { key: "1", ...elsewhere }), ["yes", "open"]);
  assert.deepEqual(kinds(approvals, { key: "2", ...elsewhere }, { key: "9", ...elsewhere }), ["yes", "open"]);
  assert.deepEqual(kinds(approvals, { key: "3", ...elsewhere }), ["no"]);
  house.now = 2_000;
  assert.deepEqual(kinds(approvals, { key: "2", ...elsewhere }), ["open"], "its time is over");
});

Deno.test("openApprovals(): a no is stronger than a yes, and the last answer to equal calls stands", () => {
  using house = makeHouse();
  const approvals = house.open();
  const first = cardOf(approvals, { callId: "1" });
  const second = cardOf(approvals, { callId: "2" });
  approvals.answer({ id: first.id, answer: "session" }, "owner");
  approvals.answer({ id: second.id, answer: "never" }, "owner");
  assert.deepEqual(kinds(approvals, { callId: "3" }), ["no"]);
});

Deno.test("openApprovals() takes an owner's card from the owner alone, an answer once, and a time that is to come", () => {
  using house = makeHouse();
  const approvals = house.open();
  const card = cardOf(approvals);
  const answer =
    (given: { answer: "once" | "until"; until?: number; id?: string }, from: "owner" | "relayed" = "owner") => () =>
      approvals.answer({ id: card.id, ...given }, from);
  assert.throws(answer({ answer: "once" }, "relayed"), { code: "approval_refused" });
  assert.throws(answer({ answer: "once", id: "other" }), { code: "approval_unknown" });
  assert.throws(answer({ answer: "until" }), { code: "usage" });
  assert.throws(answer({ answer: "until", until: 1_000 }), { code: "usage" });
  assert.throws(answer({ answer: "once", until: 5_000 }), { code: "usage" });
  answer({ answer: "once" })();
  assert.throws(answer({ answer: "once" }), { code: "approval_unknown" }, "a replayed answer finds no card");
  const relayed = cardOf(approvals, { key: "r", answer: "relayed" });
  approvals.answer({ id: relayed.id, answer: "once" }, "relayed");
  assert.deepEqual(kinds(approvals, { key: "r" }), ["yes"]);
});

Deno.test("openApprovals() remembers cards, answers and private sessions over a restart", () => {
  using house = makeHouse();
  const before = house.open();
  const card = cardOf(before);
  before.answer({ id: cardOf(before, { key: "2" }).id, answer: "session" }, "owner");
  before.answer({ id: cardOf(before, { key: "3" }).id, answer: "once" }, "owner");
  before.markPrivate("s");
  before.close();
  const after = house.open();
  assert.deepEqual(after.pending, [card]);
  assert.equal(cardOf(after).id, card.id);
  assert.deepEqual(kinds(after, { key: "2", turn: "x" }, { key: "3" }), ["yes", "yes"]);
  assert.deepEqual([after.isPrivate("s"), after.isPrivate("x")], [true, false]);
  after.close();
  assert.deepEqual(kinds(house.open(), { key: "3" }), ["open"], "a once that was taken stays taken");
});

Deno.test("forget() takes back what was asked and said in a session, writes it down, and leaves what it has seen", () => {
  using house = makeHouse();
  const recorded: unknown[] = [];
  const told: unknown[] = [];
  const record = ({ callId, answer, by }: ApprovalResolution) => void recorded.push([callId, answer, by]);
  const approvals = house.open({ record, onResolved: (resolution) => void told.push(resolution) });
  for (const session of ["s", "other"]) {
    for (const answer of ["session", "once", "never"] as const) {
      approvals.answer({ id: cardOf(approvals, { session, key: `${session} ${answer}` }).id, answer }, "owner");
    }
    cardOf(approvals, { session, callId: `open in ${session}` });
    approvals.markPrivate(session);
  }
  const before = [recorded.splice(0), told.splice(0)].map(({ length }) => length);
  approvals.forget("s");
  assert.deepEqual([before, recorded, told], [[6, 6], [["open in s", "no", "silence"]], []]);
  approvals.close();
  // As of now, and after a restart.
  for (const one of [approvals, house.open()]) {
    assert.deepEqual(one.pending.map(({ session }) => session), ["other"]);
    assert.deepEqual(["s", "other"].map((session) => one.isPrivate(session)), [true, true]);
  }
  const after = house.open();
  const answers = ["session", "once", "never"];
  assert.deepEqual(kinds(after, ...answers.map((answer) => ({ key: `s ${answer}` }))), ["open", "open", "no"]);
  const others = answers.map((answer) => ({ session: "other", key: `other ${answer}` }));
  assert.deepEqual(kinds(after, ...others), ["yes", "yes", "no"]);
});

Deno.test("forget() writes nothing for a session without a card or an answer, and changes nothing that it cannot write down", () => {
  using house = makeHouse();
  const full = () => {
    throw new AppError("audit_failed", "the disk is full");
  };
  const approvals = house.open({ record: full });
  approvals.forget("s");
  assert.throws(() => Deno.statSync(house.path), Deno.errors.NotFound);
  const { id } = cardOf(approvals);
  assert.throws(() => approvals.forget("s"), { code: "audit_failed" });
  assert.deepEqual(approvals.pending.map((card) => card.id), [id]);
});

Deno.test("openApprovals() takes silence for a no, also of a card that expired while nobody ran", async () => {
  using house = makeHouse();
  cardOf(house.open({ waitMs: 100_000 }));
  house.now += 100_000;
  const silent = Promise.withResolvers<ApprovalResolution>();
  const approvals = house.open({ onResolved: silent.resolve });
  assert.deepEqual(await silent.promise.then(({ callId, answer, by }) => [callId, answer, by]), ["c", "no", "silence"]);
  const found = approvals.find(asked());
  assert.deepEqual([found.kind, "by" in found && found.by], ["no", "silence"]);
  assert.equal(approvals.pending.length, 0);
});

Deno.test("openApprovals() sets a damaged file aside, asks anew, and takes every session for private", () => {
  using house = makeHouse();
  for (
    const damage of ["", "{", '{"v":2}', '{"v":1,"pending":[],"standing":[{"key":"k","answer":"always"}],"private":[]}']
  ) {
    Deno.writeTextFileSync(house.path, damage);
    const approvals = house.open();
    assert.equal(Deno.readTextFileSync(`${house.path}.damaged`), damage);
    assert.ok(approvals.isPrivate("any"));
    assert.deepEqual(kinds(approvals, {}), ["open"]);
    approvals.close();
  }
});

Deno.test("openApprovals() holds its bounds: open cards, kept answers, private sessions", () => {
  using house = makeHouse();
  const approvals = house.open();
  for (let at = 0; at < LIMITS.approvalsPendingMax; at++) cardOf(approvals, { callId: `${at}` });
  assert.throws(() => approvals.find(asked({ callId: "more" })), { code: "queue_full" });
  const standing = { key: "k", answer: "never", by: "owner", at: 1 } as const;
  const many = Array.from({ length: LIMITS.approvalsKeptMax }, (_, at) => ({ ...standing, key: `${at}` }));
  const sessions = Array.from({ length: LIMITS.privateSessionsMax }, (_, at) => `${at}`);
  writeApprovals(house.path, { v: 1, pending: [], standing: many, private: sessions });
  const full = house.open();
  full.answer({ id: cardOf(full, { key: "new" }).id, answer: "never" }, "owner");
  assert.deepEqual(kinds(full, { key: "new" }, { key: "0" }, { key: "1" }), ["no", "open", "no"]);
  assert.ok(full.isPrivate("never seen"), "with no room left every session counts as private");
});

Deno.test("writeApprovals() replaces the file as a whole, readable by its owner alone; readApprovals() wants nothing there", () => {
  using house = makeHouse();
  assert.deepEqual(readApprovals(house.path), {
    state: { v: 1, pending: [], standing: [], private: [] },
    isWhole: true,
  });
  // What a crash in mid-write left.
  Deno.writeTextFileSync(`${house.path}.new`, "half");
  writeApprovals(house.path, { v: 1, pending: [], standing: [], private: ["s"] });
  assert.deepEqual(readApprovals(house.path).state.private, ["s"]);
  assert.equal(Deno.statSync(house.path).mode! & 0o777, 0o600);
  assert.throws(
    () =>
      writeApprovals(house.path, { v: 1, pending: [], standing: [], private: ["x".repeat(LIMITS.approvalsBytesMax)] }),
    RangeError,
  );
});

Deno.test("appliesTo() wants the same key, whatever the answer", () => {
  const card = { key: "k", session: "s", turn: "t", callId: "c" };
  for (const answer of ["once", "session", "until", "no", "never"] as const) {
    const standing = { ...card, answer, by: "owner", until: 9, at: 0 } as const;
    assert.deepEqual(
      [appliesTo(standing, card, 1), appliesTo(standing, { ...card, key: "x" }, 1)],
      [true, false],
      answer,
    );
  }
});

Deno.test("openApprovals() takes no answer that cannot be written down first", () => {
  using house = makeHouse();
  const record = () => {
    throw new AppError("audit_failed", "the disk is full");
  };
  const approvals = house.open({ record });
  const card = cardOf(approvals);
  assert.throws(() => approvals.answer({ id: card.id, answer: "session" }, "owner"), { code: "audit_failed" });
  assert.deepEqual([kinds(approvals, {}), approvals.pending.length, house.resolved], [["open"], 1, []]);
});

Deno.test("peekApprovals() reads what stands, with what it is for, and leaves a damaged file where it is", () => {
  using house = makeHouse();
  assert.deepEqual(peekApprovals(house.path), { v: 1, pending: [], standing: [], private: [] });
  const approvals = house.open();
  const lines = ["fs.read /vault/a", "x".repeat(LIMITS.approvalTextCharsMax)];
  approvals.answer({ id: cardOf(approvals, { lines }).id, answer: "never" }, "owner");
  const [standing] = peekApprovals(house.path)!.standing;
  assert.match(standing!.what!, /^file_read: fs\.read \/vault\/a; x+…$/);
  assert.equal(standing!.what!.length, LIMITS.approvalTextCharsMax);
  Deno.writeTextFileSync(house.path, "{");
  assert.equal(peekApprovals(house.path), undefined);
  assert.equal(Deno.readTextFileSync(house.path), "{");
});

Deno.test("peekApprovals() does not wait for who might write into a pipe", () => {
  using house = makeHouse();
  assert.ok(new Deno.Command("mkfifo", { args: [house.path] }).outputSync().success);
  assert.equal(peekApprovals(house.path), undefined);
});
