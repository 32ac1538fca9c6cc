import assert from "node:assert/strict";
import type { Outcome, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import {
  guardBroker,
  guardChildren,
  guardEgress,
  isListed,
  openSelfCheck,
  type SelfCheck,
  tryWalls,
  withProbe,
} from "#/runner/self_check.ts";
import { openAudit } from "#/sandbox/audit.ts";
import { planEgressOf, planToolChild } from "#/runner/tool_host.ts";
import { planEgress } from "#/sandbox/egress_plan.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";

const never = new AbortController().signal;
const program = thisProgram();
const env = denoEnv();
const REQUEST: ToolRequest = {
  principal: { user: "default", agent: ["default"], origin: "channel" },
  session: "s",
  turn: "t",
  callId: "c",
  tool: "file_read",
  args: {},
};

/** The plan with one more flag. */
function weaken<P extends { readonly args: readonly string[] }>(plan: P, flag: string): P {
  const at = plan.args.indexOf("run") + 1;
  return { ...plan, args: [...plan.args.slice(0, at), flag, ...plan.args.slice(at)] };
}

async function open(overrides: Partial<Parameters<typeof openSelfCheck>[0]> = {}) {
  const folders = makeFolders();
  await writeGuestLock(program, `${folders.run}/guest.lock`);
  const child = planToolChild({ program, env });
  const egress = planEgress(planEgressOf({ program, env, folders }));
  const log: string[] = [];
  const check = openSelfCheck({
    program,
    runDir: folders.run,
    plans: { guest: [child], "tool child": [child], egress: [egress] },
    egress: { request: () => Promise.reject(new AppError("egress_denied", "inside")) },
    listed: [],
    onLog: (line) => log.push(line),
    ...overrides,
  });
  return { check, log, folders };
}

/** A check that passes or fails each tier at once. */
function toCheck(fails: boolean): SelfCheck {
  const pass = () => fails ? Promise.reject(new AppError("self_test_failed", "no wall")) : Promise.resolve();
  return { pass, close: () => Promise.resolve() };
}

Deno.test("openSelfCheck() passes tiers whose walls hold, tries each once and leaves nothing behind", async () => {
  const { check, log, folders } = await open();
  const first = check.pass("tool child");
  assert.equal(check.pass("tool child"), first);
  await Promise.all([first, check.pass("guest"), check.pass("egress")]);
  assert.deepEqual(log, []);
  assert.deepEqual([...Deno.readDirSync(folders.run)].map(({ name }) => name), ["guest.lock"]);
  await check.close();
});

Deno.test("openSelfCheck() refuses a tier with one flag too many for ever, names what came through and logs it once", async () => {
  const child = weaken(planToolChild({ program, env }), "--allow-write");
  const { check, log, folders } = await open({ plans: { guest: [], "tool child": [child], egress: [] } });
  for (let i = 0; i < 2; i++) {
    await assert.rejects(check.pass("tool child"), (error: AppError) => {
      assert.equal(error.code, "self_test_failed");
      assert.match(error.message, /walls of the tool child do not hold here.*: write a file \(done\)$/);
      return true;
    });
  }
  await check.pass("guest");
  assert.equal(log.length, 1);
  assert.deepEqual([...Deno.readDirSync(folders.run)].map(({ name }) => name), ["guest.lock"], "what it wrote is gone");
  await check.close();
});

Deno.test("openSelfCheck() refuses a way out that answers for an address inside, whatever its flags are", async () => {
  const head = { status: 200, headers: [], address: "", wireBytes: 0, bodyBytes: 0, truncated: false };
  const { check } = await open({ egress: { request: () => Promise.resolve({ head, content: new Uint8Array() }) } });
  await assert.rejects(check.pass("egress"), {
    code: "self_test_failed",
    message: /fetch http:\/\/2130706433:1\/ \(it was/,
  });
  await check.close();
});

Deno.test("openSelfCheck() refuses a tier that cannot be tried, and says nothing when it is the runner that stops", async () => {
  const gone = { ...planToolChild({ program, env }), command: "/nowhere/deno" };
  const one = await open({ plans: { guest: [gone], "tool child": [], egress: [] } });
  await assert.rejects(one.check.pass("guest"), { code: "self_test_failed", message: /cannot be tried here/ });
  const two = await open();
  const verdict = two.check.pass("tool child");
  verdict.catch(() => {});
  await two.check.close();
  await assert.rejects(verdict, { code: "tool_interrupted" });
  assert.deepEqual(two.log, []);
});

Deno.test("openSelfCheck() asks for no address that the person listed", async () => {
  const asked: string[] = [];
  const { check } = await open({
    plans: { guest: [], "tool child": [], egress: [] },
    listed: ["127.0.0.1:1"],
    egress: {
      request({ url }) {
        asked.push(url);
        return Promise.reject(new AppError("egress_denied", "inside"));
      },
    },
  });
  await check.pass("egress");
  // The decimal spelling is the same address.
  assert.deepEqual(asked, ["http://[::1]:1/", "http://169.254.169.254:80/"]);
  await check.close();
});

Deno.test("isListed() knows an address in every spelling, and no other port of it", () => {
  const listed = ["127.0.0.1:1", "169.254.169.254", "searx.local"];
  const asked = ["2130706433:1", "127.1:1", "169.254.169.254:80", "127.0.0.1:2", "[::1]:1"];
  assert.deepEqual(asked.map((target) => isListed(target, listed)), [true, true, true, false, false]);
});

Deno.test("withProbe() changes the entry and nothing before it", () => {
  const plan = planToolChild({ program, env });
  const probe = withProbe({ ...plan, args: [...plan.args, "an argument"] }, program);
  assert.deepEqual(probe.args.slice(0, -1), plan.args.slice(0, -1));
  assert.equal(probe.args.at(-1), `${program.srcUrl}sandbox/self_test_probe.ts`);
  assert.throws(() => withProbe({ command: "deno", args: ["run", "file:///other.ts"], env: {} }, program), RangeError);
});

Deno.test("tryWalls() tells of a file that a process could write, and takes it away", async () => {
  const { run } = makeFolders();
  const plan = weaken(planToolChild({ program, env }), "--allow-write");
  const found = await tryWalls(plan, { program, runDir: run }, [], never);
  assert.deepEqual(found.filter(({ held }) => !held).map(({ tried }) => tried), ["write a file"]);
  assert.deepEqual([...Deno.readDirSync(run)], []);
});

Deno.test("guardEgress() and guardChildren() let nothing through before their tier has passed", async () => {
  let ran = 0;
  const egress = { request: () => Promise.resolve({ ran: ++ran }) } as unknown as Parameters<typeof guardEgress>[1];
  const children = { run: () => Promise.resolve({ ran: ++ran }) } as unknown as Parameters<typeof guardChildren>[1];
  const call = {} as Parameters<typeof children.run>[0];
  const host = () => Promise.reject(new Error("not asked"));
  await assert.rejects(guardEgress(toCheck(true), egress).request({} as never, never), { code: "self_test_failed" });
  await assert.rejects(guardChildren(toCheck(true), children).run(call, host, never), { code: "self_test_failed" });
  assert.equal(ran, 0);
  await guardEgress(toCheck(false), egress).request({} as never, never);
  await guardChildren(toCheck(false), children).run(call, host, never);
  assert.equal(ran, 2);
});

Deno.test("guardBroker() answers a guest without walls with the reason, writes that down, and asks its broker nothing", async () => {
  const { audit: dir } = makeFolders();
  const audit = openAudit({ dir, now: Date.now, opened: { version: "0", policyDigest: "d" } });
  let [asked, closed] = [0, 0];
  const broker = {
    call: () => Promise.resolve({ kind: "ok", n: ++asked } as unknown as Outcome),
    answer: () => Promise.resolve(void asked++),
    derived: () => Promise.resolve(void asked++),
    close: () => void closed++,
  };
  const refused = guardBroker(toCheck(true), broker, audit, "d");
  const outcome = await refused.call(REQUEST, never);
  assert.deepEqual([outcome.kind, outcome.code, outcome.text, asked], ["failed", "self_test_failed", "no wall", 0]);
  assert.deepEqual(outcome.auditHead, audit.head);
  const open = guardBroker(toCheck(false), broker, audit, "d");
  assert.equal((await open.call(REQUEST, never)).kind, "ok");
  await open.answer({ id: "i", answer: "no" });
  await open.derived("s", undefined);
  open.close();
  assert.deepEqual([asked, closed], [3, 1]);
  audit.close();
});
