import assert from "node:assert/strict";
import { join } from "node:path";
import type { ApprovalCard } from "#/core/capability.ts";
import { findCard, runApprovalsAnswer, runApprovalsList, toGiven, toPrefixes } from "#/cli/approvals.ts";
import { main } from "#/cli/main.ts";
import { openControl } from "#/runner/control.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { toControlDeps } from "../fixture/health.ts";
import { enterRealm, type Realm } from "./realm.ts";

const ASKED: Omit<ApprovalCard, "id" | "askedAt" | "expiresAt"> = {
  key: "k1",
  session: "vault",
  turn: "t1",
  callId: "c1",
  principal: { user: "default", agent: ["default", "researcher"], origin: "channel" },
  tool: { name: "file_read", package: "files", version: "1", sha256: "a".repeat(64) },
  argsSha256: "b".repeat(64),
  wanted: [],
  lines: ["fs.read /vault/key"],
  reason: "the vault is private",
  answer: "owner",
};

interface House {
  readonly machine: Machine;
  readonly realm: Realm;
  readonly ipc: string;
  readonly run: string;
  /** Opens the state that the runner of this workspace would have. */
  open(): Approvals;
}

async function withHouse(check: (house: House) => Promise<void>): Promise<void> {
  using machine = makeMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno") } });
  const workspace = join(machine.cwd, ".oxydra/workspaces/default");
  const [ipc, run] = ["ipc", "run"].map((name) => join(workspace, name)) as [string, string];
  Deno.mkdirSync(ipc, { recursive: true, mode: 0o700 });
  Deno.mkdirSync(run, { mode: 0o700 });
  const open = () =>
    openApprovals({ path: join(run, "approvals.json"), now: Date.now, record: () => {}, onResolved: () => {} });
  await check({ machine, realm, ipc, run, open });
}

async function withLive(check: (house: House, approvals: Approvals) => Promise<void>): Promise<void> {
  await withHouse(async (house) => {
    const approvals = house.open();
    const control = openControl(house.ipc, toControlDeps(approvals));
    try {
      await check(house, approvals);
    } finally {
      control.close();
      approvals.close();
    }
  });
}

Deno.test("runApprovalsList() shows what waits at the runner as the runner made it, with an id that is short enough to type", async () => {
  await withLive(async ({ realm }, approvals) => {
    assert.equal(await runApprovalsList({}), 0);
    assert.equal(realm.out(), "no call waits for an answer\n");
    approvals.find(ASKED);
    approvals.find({ ...ASKED, key: "k2", callId: "c2", answer: "relayed", lines: ["http POST https://a.example/"] });
    assert.equal(await runApprovalsList({}), 0);
    const text = realm.out();
    assert.match(text, /2 calls wait for an answer/);
    assert.match(text, /file_read asks for\n {6}fs\.read \/vault\/key\n {4}because the vault is private/);
    assert.match(text, /session vault, agent default › researcher; only you, the owner, can answer/);
    assert.match(text, /whoever watches the session can answer, too/);
    assert.match(text, /oxydra approvals answer ID once\|session\|until\|no\|never/);
    for (const prefix of text.match(/^[0-9a-f-]{13,36}$/gm)!) findCard(approvals.pending, prefix);
  });
});

Deno.test("runApprovalsList() with --json prints the cards whole, also when `list` is not said", async () => {
  await withLive(async ({ realm }, approvals) => {
    approvals.find(ASKED);
    assert.equal(await main(["approvals", "--json"], "1.2.3"), 0);
    const { live, approvals: cards } = JSON.parse(realm.out());
    assert.deepEqual([live, cards], [true, JSON.parse(JSON.stringify(approvals.pending))]);
  });
});

Deno.test("runApprovalsList() without a runner says so, and shows what will ask again", async () => {
  await withHouse(async ({ realm, open, run }) => {
    assert.equal(await runApprovalsList({}), 0);
    assert.match(realm.out(), /^no oxydra runs in this workspace, and no call waits\n$/);
    const approvals = open();
    approvals.find(ASKED);
    approvals.close();
    const before = Deno.readTextFileSync(join(run, "approvals.json"));
    assert.equal(await runApprovalsList({}), 0);
    assert.match(
      realm.out(),
      /1 call waits for an answer[^]*no oxydra runs in this workspace; they can be answered when/,
    );
    assert.equal(Deno.readTextFileSync(join(run, "approvals.json")), before);
  });
});

Deno.test("runApprovalsAnswer() answers as the owner, by the start of an id, and says what was answered", async () => {
  await withLive(async ({ realm }, approvals) => {
    const found = approvals.find(ASKED);
    const id = found.kind === "open" ? found.card.id : "";
    assert.equal(await main(["approvals", "answer", id.slice(0, 20), "session"], "1.2.3"), 0, realm.err());
    assert.equal(realm.out(), "answered session: file_read, fs.read /vault/key\n");
    const { spend: _, ...standing } = approvals.find({ ...ASKED, callId: "c9" }) as { spend: unknown };
    assert.deepEqual(standing, { kind: "yes", answer: "session", by: "owner" });
    const again = await main(["approvals", "answer", id, "once"], "1.2.3");
    assert.equal(again, 1);
    assert.match(realm.err(), /no open call has this id: it was answered, or its time is over; no call waits/);
  });
});

Deno.test("runApprovalsAnswer() takes a time with until, and refuses what is no answer with exit 2", async () => {
  await withLive(async ({ realm }, approvals) => {
    const found = approvals.find(ASKED);
    const id = found.kind === "open" ? found.card.id : "";
    for (const words of [["until"], ["once", "--until", "8h"], ["until", "--until", "soon"], ["yes"], []]) {
      assert.equal(await main(["approvals", "answer", id, ...words], "1.2.3"), 2, words.join(" "));
    }
    assert.equal(approvals.pending.length, 1);
    assert.equal(realm.out(), "");
    assert.equal(await runApprovalsAnswer(id, "until", { until: "8h" }), 0);
    assert.equal(approvals.find(ASKED).kind, "yes");
  });
});

Deno.test("runApprovalsAnswer() without a runner throws a sentence that says what to do", async () => {
  await withHouse(async () => {
    await assert.rejects(runApprovalsAnswer("0".repeat(36), "no", {}), {
      code: "gateway_unreachable",
      message: /no oxydra runs in this workspace/,
    });
  });
});

Deno.test("runApprovalsAnswer() is led to no other workspace's runner by a link", async () => {
  await withLive(async ({ machine, ipc }, approvals) => {
    const found = approvals.find(ASKED);
    const id = found.kind === "open" ? found.card.id : "";
    const hostile = join(machine.root, "hostile");
    Deno.mkdirSync(join(hostile, ".oxydra/workspaces/default"), { recursive: true });
    Deno.symlinkSync(ipc, join(hostile, ".oxydra/workspaces/default/ipc"));
    using _ = enterRealm({ cwd: hostile, env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno") } });
    await assert.rejects(runApprovalsAnswer(id, "once", {}), {
      code: "config_invalid",
      message: /ipc folder is a link/,
    });
    await assert.rejects(runApprovalsList({}), { code: "config_invalid" });
    assert.equal(approvals.pending.length, 1);
  });
});

const card = (id: string) => ({ ...ASKED, id, askedAt: 0, expiresAt: 1 });

Deno.test("findCard() takes a whole id, or a start that means one call now and no later one", () => {
  const ids = [
    "019a3f12-34ab-7000-8000-00000000000a",
    "019a3f12-34ab-7000-9000-00000000000b",
    "019a3f12-34ac-7000-8000-00000000000c",
  ];
  const waiting = ids.map(card);
  assert.equal(findCard(waiting, ids[1]!).id, ids[1]);
  assert.equal(findCard(waiting, "019a3f12-34ac").id, ids[2]);
  assert.equal(findCard(waiting, "019a3f12-34ab-7000-9").id, ids[1]);
  assert.throws(() => findCard(waiting, "019a3f12-34ab"), {
    code: "usage",
    message: /2 calls have an id that begins so/,
  });
  // Shared by every call of one minute: the next one could take the place of the one that was looked at.
  assert.throws(() => findCard(waiting.slice(2), "019a3f12"), { code: "usage", message: /first 13 characters/ });
  assert.throws(() => findCard(waiting, ""), { code: "usage" });
  assert.throws(() => findCard(waiting, "019a3f12-34ad"), { code: "approval_unknown", message: /3 others wait/ });
});

Deno.test("toPrefixes() are never shorter than an id's time, and never shared", () => {
  const ids = [
    "019a3f12-34ab-7000-8000-00000000000a",
    "019a3f12-34ab-7000-9000-00000000000b",
    "019a3f12-34ac-7000-8000-00000000000c",
  ];
  assert.deepEqual(toPrefixes(ids), ["019a3f12-34ab-7000-8", "019a3f12-34ab-7000-9", "019a3f12-34ac"]);
  assert.deepEqual(toPrefixes(["short"]), ["short"]);
});

Deno.test("toGiven() reads spans and dates to the millisecond", () => {
  const now = Date.UTC(2030, 0, 1);
  assert.deepEqual(toGiven("no", undefined, now), { answer: "no" });
  for (const [text, ms] of [["90m", 5_400_000], ["8h", 28_800_000], ["2d", 172_800_000]] as const) {
    assert.deepEqual(toGiven("until", text, now), { answer: "until", until: now + ms }, text);
  }
  assert.deepEqual(toGiven("until", "2030-01-01T00:01:00Z", now).until, now + 60_000);
  assert.deepEqual(toGiven("until", "2030-01-01T01:00+00:30", now).until, now + 1_800_000);
  assert.equal(toGiven("until", "2031-06-01T18:00", now).until, new Date(2031, 5, 1, 18).getTime());
  for (
    const bad of [
      "",
      "0h",
      "8",
      "8x",
      "-8h",
      "1e3h",
      "99999d",
      "2030-01-01",
      "2030-13-01T00:00Z",
      "2029-12-31T23:59Z",
      "tomorrow",
    ]
  ) {
    assert.throws(() => toGiven("until", bad, now), { code: "usage" }, bad);
  }
});
