/** Guests that are killed or restarted under their clients, in real processes: clients find the next one and lose nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { answerApproval, readApprovals, readHealth, reloadConfig } from "#/cli/control_client.ts";
import { LIMITS } from "#/core/limits.ts";
import { reply, text, toolCall, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { FakeOpenAi, Script } from "../fake/openai_server.ts";
import {
  assertGapFree,
  endpointOf,
  read,
  Running,
  save,
  says,
  socketOf,
  statusOf,
  toAgent,
  waitForHealth,
  withPerson,
  WORKSPACE,
} from "../fixture/restarting.ts";
import { connectRaw, processTree, runOxydra } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

Deno.test("a guest that is killed in mid-turn: the run ends with its turn, without a gap", async () => {
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const script: Script = (body) => {
    if (toolResults(body).length === 0) return reply([toolCall("file_list", { path: "/shared" })]);
    // The first time it is cut off in the middle; the second time it is whole.
    return ++calls === 1
      ? reply([text("The answer "), waitFor(gate.promise), text("is lost")])
      : reply([text("The answer is 42.")]);
  };
  await withVendorMachine(script, async (machine) => {
    const run = new Running(["run", "--json", "what is it"], machine);
    await run.until(() => run.out.includes("swer"), "no delta");
    Deno.kill(run.guest()!.pid, "SIGKILL");
    const code = await run.exited;
    gate.resolve();
    const events = assertGapFree(run.out);
    const end = events.at(-1)!;
    assert.deepEqual([end.type, end.payload.text, code], ["turn_done", "The answer is 42.", 0], run.err);
    assert.ok(events.some(({ type }) => type === "resumed"));
    assert.equal(events.filter(({ type }) => type === "user_message").length, 1);
  });
});

Deno.test("a guest that is killed while its chat waits for a line: the next line is answered in the same session", async () => {
  await withVendorMachine(says("fine"), async (machine) => {
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
    await chat.type("one");
    await chat.until(() => chat.out === "It is fine.\n", "no answer");
    const before = chat.guest()!.pid;
    Deno.kill(before, "SIGKILL");
    await waitForHealth(machine, ({ healthy, guest_restarts }) => healthy && guest_restarts === 1);
    await chat.type("two");
    await chat.until(() => chat.out === "It is fine.\nIt is fine.\n", "no second answer");
    assert.notEqual(chat.guest()!.pid, before);
    const messages = machine.vendor.requests.at(-1)!.body.messages.map(({ content }: { content: unknown }) => content);
    assert.ok(JSON.stringify(messages).includes("one"), "the session goes on");
    const status = await statusOf(machine);
    assert.deepEqual([status.restarts, status.guest!.up], [1, true]);
    assert.equal(await chat.leave(), 0, chat.err);
  });
});

Deno.test("guests that end again and again: the runner gives up with a clear error, and nothing is left", async () => {
  await withVendorMachine(() => reply([text("Hm. "), waitFor(new Promise(() => {}))]), async (machine) => {
    const run = new Running(["run", "think"], machine);
    await run.until(() => run.out.includes("Hm."), "no delta");
    const pids = processTree(run.child.pid);
    const killed = new Set<number>();
    let code: number | undefined;
    void run.exited.then((exit) => code = exit);
    await run.until(() => {
      const guest = run.guest();
      if (guest !== undefined && !killed.has(guest.pid) && read(join(machine.cwd, WORKSPACE, "ipc/gateway-endpoint"))) {
        killed.add(guest.pid);
        Deno.kill(guest.pid, "SIGKILL");
      }
      return code !== undefined || killed.size > LIMITS.guestCrashesMax;
    }, "it does not end");
    assert.equal(await run.exited, 1);
    assert.match(run.err, /ended by itself more than 5 times/);
    await run.until(() => pids.every((pid) => read(`/proc/${pid}/cmdline`) === ""), "a process is left");
  });
});

Deno.test("another model in agent.toml while a chat is open: the next turn goes to it, in the same session", async () => {
  await withPerson(["a", "b"], says, async (machine) => {
    const { agent, vendors } = machine;
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    await chat.type("who is it");
    await chat.until(() => chat.out === "It is a.\n", "no answer of a");
    const before = chat.guest()!;
    save(agent, toAgent(vendors, "b"));
    await waitForHealth(machine, ({ healthy, guest_restarts }) => healthy && guest_restarts === 1);
    await chat.type("and now");
    await chat.until(() => chat.out === "It is a.\nIt is b.\n", "no answer of b");
    assert.deepEqual([vendors.a!.requests.length, vendors.b!.requests.length], [1, 1]);
    const seen = JSON.stringify(vendors.b!.requests[0]!.body.messages);
    for (const said of ["who is it", "It is a.", "and now"]) assert.ok(seen.includes(said), `${said} in ${seen}`);
    assert.match(chat.err, /the configuration changes: model b\/m, how.*|the configuration changes: model b\/m/);
    // Another host is another flag.
    const host = (vendor: FakeOpenAi) => new URL(vendor.url).host;
    const nets = [before, chat.guest()!].map(({ flags }) => flags.find((flag) => flag.startsWith("--allow-net="))!);
    assert.ok(nets[0]!.includes(host(vendors.a!)) && !nets[0]!.includes(host(vendors.b!)));
    assert.ok(nets[1]!.includes(host(vendors.b!)) && !nets[1]!.includes(host(vendors.a!)));
    assert.equal(await chat.leave(), 0, chat.err);
  });
});

Deno.test("a bad edit changes nothing and is shown with file and line, until it is good again", async () => {
  await withPerson(["a"], says, async (machine) => {
    const { agent, vendors } = machine;
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    const { pid } = chat.guest()!;
    const good = toAgent(vendors, "a");
    const bad: readonly (readonly [string, () => void, RegExp])[] = [
      [
        "a typo",
        () => save(agent, good.replace("[selection]", "[selektion]")),
        /agent\.toml:1: selektion: unknown key/,
      ],
      ["no TOML", () => save(agent, "[[["), /agent\.toml:1: TOML syntax/],
      ["garbage", () => Deno.writeFileSync(agent, new Uint8Array(10_000_000).fill(7)), /agent\.toml: is larger than/],
      ["a folder", () => {
        Deno.removeSync(agent);
        Deno.mkdirSync(agent);
      }, /agent\.toml: is a folder/],
      ["a link to nowhere", () => {
        Deno.removeSync(agent);
        Deno.symlinkSync("/nowhere/agent.toml", agent);
      }, /agent\.toml: is a link to a file that is not there/],
    ];
    let at = 0;
    for (const [name, edit, note] of bad) {
      edit();
      const { config, healthy, runtime_pid } = await waitForHealth(
        machine,
        ({ config }) => config.state === "refused" && note.test(config.note),
      );
      assert.deepEqual([healthy, runtime_pid, chat.guest()!.pid], [true, pid, pid], name);
      assert.ok(config.at >= at, name);
      at = config.at;
    }
    const shown = await runOxydra(["status"], machine);
    assert.equal(shown.code, 0, shown.err);
    assert.match(shown.out.replaceAll(/\n +/g, " "), /^config +last edit refused .*is a link to a file that is not/m);
    await chat.until(() => /the last edit of the configuration is refused: .*selektion/.test(chat.err), "not told");
    assert.match(chat.log, /refused: .*agent\.toml:1: selektion/);
    await chat.type("still there?");
    await chat.until(() => chat.out === "It is a.\n", "no answer");
    Deno.removeSync(agent);
    save(agent, good);
    await waitForHealth(machine, ({ config }) => config.state === "in_force");
    assert.equal(chat.guest()!.pid, pid, "nothing that matters changed");
    assert.equal(await chat.leave(), 0, chat.err);
  });
});

Deno.test("twenty edits in a row end at the last one, and SIGHUPs without a change at nothing", async () => {
  await withPerson(["a", "b"], says, async (machine) => {
    const { agent, vendors } = machine;
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    for (let at = 0; at < 20; at++) {
      save(agent, toAgent(vendors, at % 2 === 0 ? "b" : "a", `[runtime]\nmax_turns = ${at + 10}\n`));
      await new Promise((resolve) => setTimeout(resolve, at * 10));
    }
    save(agent, toAgent(vendors, "b"));
    Deno.kill(chat.child.pid, "SIGHUP");
    assert.equal((await reloadConfig(socketOf(machine))).state, "in_force");
    const restarted = await readHealth(socketOf(machine));
    assert.ok(restarted.healthy && restarted.guest_restarts > 0, JSON.stringify(restarted));
    await chat.type("who is it");
    await chat.until(() => chat.out === "It is b.\n", "no answer of b");
    const { guest_restarts } = await readHealth(socketOf(machine));
    for (let at = 0; at < 100; at++) Deno.kill(chat.child.pid, "SIGHUP");
    await chat.type("again");
    await chat.until(() => chat.out === "It is b.\nIt is b.\n", "no answer after the storm");
    assert.equal((await readHealth(socketOf(machine))).guest_restarts, guest_restarts);
    assert.equal(await chat.leave(), 0, chat.err);
  });
});

Deno.test("an approval that is open when the guest restarts stays open, and its answer ends the turn", async () => {
  const script = (): Script => (body) =>
    toolResults(body).length === 0
      ? reply([toolCall("file_read", { path: "/vault/key" }, { id: "call_1" })])
      : reply([text("I read it.")]);
  await withPerson(["a"], script, async (machine) => {
    const { agent, vendors, cwd } = machine;
    await Deno.mkdir(join(cwd, WORKSPACE, "vault"), { recursive: true });
    await Deno.writeTextFile(join(cwd, WORKSPACE, "vault/key"), "rivers");
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    const hello = { session_id: "s", capabilities: ["turn_events", "approvals", "named_sessions"] };
    const first = await connectRaw(endpointOf(cwd), hello);
    await first.next((frame) => frame.type === "hello_ack");
    first.send("send_turn", { request_id: "r", session_id: "s", turn_id: "t", prompt: "read the key" });
    await first.next((frame) => frame.payload.event?.type === "parked");
    const [before] = await readApprovals(socketOf(machine));
    save(agent, toAgent(vendors, "a", "[runtime]\nmax_turns = 9\n"));
    await waitForHealth(machine, ({ healthy, guest_restarts }) => healthy && guest_restarts === 1);
    // Another policy reopens the tools as well.
    save(agent, toAgent(vendors, "a", `[runtime]\nmax_turns = 9\n${DENY_LISTS}`));
    await chat.until(() => chat.log.includes("changes: policy"), "no other policy");
    const second = await connectRaw(endpointOf(cwd), hello);
    await second.next((frame) =>
      frame.type === "approval_request" && frame.payload.approval.approval_id === before!.id
    );
    assert.deepEqual(await readApprovals(socketOf(machine)), [before]);
    await answerApproval(socketOf(machine), { id: before!.id, answer: "once" });
    const done = await second.next((frame) => frame.type === "turn_completed");
    assert.equal(done.payload.response.message.content, "I read it.");
    first.close();
    second.close();
    assert.equal(await chat.leave(), 0, chat.err);
  });
});

Deno.test("a message that waits for its lane when the guest restarts is sent again by its client, and answered", async () => {
  const gate = Promise.withResolvers<void>();
  const script = (): Script => (_, n) =>
    n === 0 ? reply([text("first "), waitFor(gate.promise), text("done")]) : reply([text("second")]);
  await withPerson(["a"], script, async (machine) => {
    const { agent, vendors } = machine;
    const running = new Running(["run", "--json", "one"], machine);
    await running.until(() => running.out.includes("text_delta"), "no delta");
    const waiting = new Running(["run", "--json", "two"], machine);
    await waitForHealth(machine, ({ active_turns }) => active_turns === 2);
    save(agent, toAgent(vendors, "a", "[runtime]\nmax_turns = 9\n"));
    await running.until(() => running.log.includes("the guest is restarted"), "no restart");
    assert.equal((await readHealth(socketOf(machine))).healthy, false);
    gate.resolve();
    assert.deepEqual([await running.exited, await waiting.exited], [0, 0], running.err + waiting.err);
    const ends = [running, waiting].map(({ out }) => JSON.parse(out.trimEnd().split("\n").at(-1)!));
    assert.deepEqual(ends.map(({ type, payload }) => [type, payload.text]), [
      ["turn_done", "first done"],
      ["turn_done", "second"],
    ]);
    assert.equal(vendors.a!.requests.length, 2);
  });
});

const DENY_LISTS = `[[policy.rules]]\nid = "no lists"\nkinds = ["fs.list"]\nunder = "/shared"\neffect = "deny"\n`;

Deno.test("another policy holds for the next call, and the guest does not notice", async () => {
  const script = (): Script => (body) => {
    const results = toolResults(body);
    return results.length % 2 === 0
      ? reply([toolCall("file_list", { path: "/shared" }, { id: `call_${results.length}` })])
      : reply([text(`It said: ${JSON.stringify(results.at(-1))}`)]);
  };
  await withPerson(["a"], script, async (machine) => {
    const { agent, vendors } = machine;
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    const { pid } = chat.guest()!;
    save(agent, toAgent(vendors, "a", DENY_LISTS));
    await chat.until(() => chat.log.includes("changes: policy"), "no other policy");
    await chat.type("list it");
    await chat.until(() => chat.out.includes("It said") && chat.out.endsWith("\n"), "no answer");
    assert.match(chat.out, /no lists/);
    assert.equal(chat.guest()!.pid, pid);
    assert.equal((await readHealth(socketOf(machine))).guest_restarts, 0);
    // From a pipe the worst turn counts: a call was refused.
    assert.equal(await chat.leave(), 5, chat.err);
  });
});
