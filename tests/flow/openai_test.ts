/** `oxydra run --json` against a vendor on a real socket that speaks OpenAI's streaming format in its less pleasant ways. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { SessionEvent } from "#/core/event.ts";
import { interleave, ping, reply, type ReplyOptions, text, toolCall, usage } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { ChatBody, Script } from "../fake/openai_server.ts";
import { checkSeqs, eventsOf, readEvents, shownText, storedOf } from "../fixture/events.ts";
import { runOxydra } from "../fixture/system.ts";
import { type VendorMachine, withVendorMachine } from "../fixture/vendor_machine.ts";

/** Runs one prompt and returns its events; fails when it does not exit with 0. */
async function runJson(setting: VendorMachine, args: readonly string[]): Promise<SessionEvent[]> {
  const { code, out, err } = await runOxydra(["run", "--json", ...args], setting);
  assert.equal(code, 0, err);
  return readEvents(out);
}

const CONTENT = "erste Zeile\nzweite: “ü” 🌊\n";

/** Two steps: a write, then two reads at once; then an answer. */
function twoSteps(options: ReplyOptions, fragments: number): Script {
  return (body) => {
    const results = toolResults(body);
    if (results.length === 0) {
      const args = { path: "/shared/a/ü.txt", content: CONTENT };
      return reply([text("I write. "), ping(), toolCall("file_write", args, { fragments })], options);
    }
    if (results.length === 1) {
      const calls = interleave(
        toolCall("file_read", { path: "/shared/a/ü.txt" }, { index: 0, id: "read_a", fragments, splitName: true }),
        toolCall("file_list", { path: "/shared/a" }, { index: 1, id: "list_a", fragments, repeatHead: true }),
      );
      return reply([calls], options);
    }
    return reply([text("All done.")], { ...options, usage: usage(100, 20) });
  };
}

const WIRES: readonly (readonly [name: string, options: ReplyOptions, fragments: number])[] = [
  ["whole events", {}, 1],
  ["arguments in small fragments, lines of Windows", { newline: "\r\n" }, 40],
  ["byte by byte", { fragmentBytes: 1 }, 7],
];

for (const [name, options, fragments] of WIRES) {
  Deno.test(`oxydra run --json prints a turn of three steps: ${name}`, async () => {
    await withVendorMachine(twoSteps(options, fragments), async (setting) => {
      const events = await runJson(setting, ["go"]);
      assert.equal(storedOf(events)[0]!.seq, 1);
      assert.deepEqual(storedOf(events).map((event) => event.type), [
        "user_message",
        ...["model_request", "model_result", "tool_intent", "tool_decision", "tool_result"],
        // Reads run together: both intents are on the record before either result.
        ...["model_request", "model_result", "tool_intent", "tool_intent"],
        ...["tool_decision", "tool_result", "tool_decision", "tool_result"],
        ...["model_request", "model_result", "turn_done"],
      ]);
      assert.equal(shownText(events), "I write. All done.");
      assert.equal(await Deno.readTextFile(join(setting.cwd, ".oxydra/workspaces/default/shared/a/ü.txt")), CONTENT);

      const [written, read, listed] = eventsOf(events, "tool_result").map((event) => event.payload);
      assert.ok(written!.ok && read!.ok && listed!.ok);
      assert.deepEqual([read!.callId, listed!.callId], ["read_a", "list_a"]);
      assert.equal(read!.text, CONTENT);
      assert.match(listed!.text, /ü\.txt/);

      const [done] = eventsOf(events, "turn_done");
      const { auditHead, ...rest } = done!.payload;
      assert.ok(auditHead!.seq > 0 && /^[0-9a-f]{64}$/.test(auditHead!.sha256));
      assert.deepEqual({ ...rest, usage: {} }, {
        text: "All done.",
        finishReason: "stop",
        steps: 3,
        toolCalls: 3,
        denied: 0,
        usage: {},
      });
      assert.equal(done!.payload.usage.totalTokens, 120);
      assert.equal(setting.vendor.requests.length, 3);
    });
  });
}

Deno.test("a call's intent, decision and result stand in this order, with the grant and the component's identity", async () => {
  await withVendorMachine(twoSteps({}, 3), async (setting) => {
    const events = storedOf(await runJson(setting, ["go"]));
    for (const intent of eventsOf(events, "tool_intent")) {
      const { callId } = intent.payload;
      const decision = eventsOf(events, "tool_decision").find((event) => event.payload.callId === callId)!;
      const result = eventsOf(events, "tool_result").find((event) => event.payload.callId === callId)!;
      assert.ok(intent.seq < decision.seq && decision.seq < result.seq, `${callId}: intent, decision, result`);
      assert.match(decision.payload.tool.sha256, /^[0-9a-f]{64}$/);
      assert.equal(decision.payload.decision.kind, "granted");
      assert.match(decision.payload.decision.policyDigest, /^[0-9a-f]{64}$/);
    }
    const [write] = eventsOf(events, "tool_decision");
    assert.ok(write!.payload.decision.kind === "granted");
    const [capability] = write!.payload.decision.grant.capabilities;
    assert.deepEqual(
      capability!.kind === "fs.write" && capability!.path,
      "/shared/a/ü.txt",
    );
  });
});

Deno.test("the vendor gets the key, the model, the tools and the results, and nothing about this machine", async () => {
  await withVendorMachine(twoSteps({}, 3), async (setting) => {
    await runJson(setting, ["go"]);
    for (const request of setting.vendor.requests) {
      assert.equal(request.headers["authorization"], "Bearer sk-test-0123456789abcdef");
      assert.equal(request.body.model, "fake-1");
      assert.equal(request.body.stream, true);
      assert.ok(!JSON.stringify(request).includes(setting.cwd), "no host path");
      assert.deepEqual(Object.keys(request.headers).filter((header) => header.startsWith("x-stainless")), []);
    }
    const tools = setting.vendor.requests[0]!.body.tools!.map((tool) => tool.function.name).sort();
    const files = ["file_delete", "file_edit", "file_list", "file_read", "file_search", "file_write"];
    // A shell and a browser are offered where this machine has what holds them.
    const always = tools.filter((name) => name !== "shell_exec" && name !== "browser");
    assert.deepEqual(always, ["attachment_save", ...files, "vault_copyto", "web_fetch", "web_search"]);
    const roles = setting.vendor.requests[2]!.body.messages.map((message) => message.role);
    assert.deepEqual(roles, ["system", "user", "assistant", "tool", "assistant", "tool", "tool"]);
  });
});

/** Says how many user messages it was sent, and which. */
const echo: Script = (body) => reply([text(`heard: ${prompts(body).join(" | ")}`)]);

function prompts(body: ChatBody): string[] {
  return body.messages.filter((message) => message.role === "user").map((message) => String(message.content));
}

Deno.test("a session goes on in the next run, and another --session starts empty", async () => {
  await withVendorMachine(echo, async (setting) => {
    const first = await runJson(setting, ["alpha"]);
    const second = await runJson(setting, ["beta"]);
    assert.equal(shownText(second), "heard: alpha | beta");
    const answers = setting.vendor.requests[1]!.body.messages.filter((message) => message.role === "assistant");
    assert.deepEqual(answers.map((message) => message.content), ["heard: alpha"]);
    // One log over two processes: the second run goes on where the first one ended.
    checkSeqs([...storedOf(first), ...storedOf(second)]);
    assert.equal(storedOf(first)[0]!.session, "runtime-default");

    const other = await runJson(setting, ["--session", "elsewhere", "gamma"]);
    assert.equal(shownText(other), "heard: gamma");
    assert.deepEqual([storedOf(other)[0]!.session, storedOf(other)[0]!.seq], ["elsewhere", 1]);
    const again = await runJson(setting, ["--session", "elsewhere", "delta"]);
    assert.equal(shownText(again), "heard: gamma | delta");
  });
});

Deno.test("--json writes events to stdout and words to stderr, never the key to either", async () => {
  await withVendorMachine(twoSteps({}, 3), async (setting) => {
    const { out, err } = await runOxydra(["run", "--json", "go"], setting);
    readEvents(out);
    assert.match(err, /^oxydra: fake\/fake-1\. /);
    assert.ok(!(out + err).includes("sk-test"), "the key is nowhere");
  });
});
