/** Two vendors, and a first one that fails: who answers, what a person sees, what is recorded, and what a cancel or a crash leaves. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { SessionEvent } from "#/core/event.ts";
import { delay } from "#/lib/delay.ts";
import { withFailover } from "#/provider/failover.ts";
import { openOpenAi } from "#/provider/openai.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { say } from "../fake/anthropic_dialect.ts";
import { answer, noAnswer, pause, ping, type Reply, reply, text, toolCall, vendorError } from "../fake/openai_reply.ts";
import { SCRIPTS } from "../fake/openai_scripts.ts";
import { type FakeOpenAi, type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { eventsOf, readEvents, shownText, storedOf } from "../fixture/events.ts";
import {
  connectRaw,
  makeMachine,
  processTree,
  runOxydra,
  startGateway,
  vendorEnv,
  waitUntil,
} from "../fixture/system.ts";

const FALLBACK = '[[selection.fallback]]\nprovider = "backup"\nmodel = "fake-2"\n';
const ANSWER = "The backup answers.";
const answers = () => reply([text(ANSWER)]);

interface House {
  readonly main: FakeOpenAi;
  readonly backup: FakeOpenAi;
  readonly cwd: string;
  readonly env: Record<string, string>;
}

/** A machine that selects `fake/fake-1`, then `backup/fake-2`. A silent attempt ends after a second. */
async function withVendors(main: Script, backup: Script, body: (house: House) => Promise<void>): Promise<void> {
  const [first, second] = [await startFakeOpenAi(main), await startFakeOpenAi(backup)];
  const machine = await makeMachine();
  await Deno.mkdir(join(machine.cwd, ".oxydra"));
  await Deno.writeTextFile(join(machine.cwd, ".oxydra/agent.toml"), FALLBACK);
  const env = {
    ...machine.env,
    ...vendorEnv(first.url),
    OXYDRA__PROVIDERS__REGISTRY__BACKUP__PROVIDER_TYPE: "openai",
    OXYDRA__PROVIDERS__REGISTRY__BACKUP__BASE_URL: second.url,
    OXYDRA__PROVIDERS__REGISTRY__BACKUP__API_KEY: "sk-backup-0123456789",
    OXYDRA__RELIABILITY__ATTEMPT_TIMEOUT_SECS: "1",
  };
  try {
    await body({ main: first, backup: second, cwd: machine.cwd, env });
  } finally {
    await first.close();
    await second.close();
    await Deno.remove(join(machine.cwd, ".."), { recursive: true });
  }
}

/** How a fault of the first vendor ends. */
interface Fault {
  readonly name: string;
  readonly reply: () => Reply;
  /** Codes of attempts that were made again, and `> code` for the switch. */
  readonly retries: string;
  /** Code of `turn_failed`; absent when the backup's answer is the turn's. */
  readonly code?: string;
}

const OFTEN = "provider_unavailable, provider_unavailable, ";
const FAULTS: readonly Fault[] = [
  { name: "500 for ever", reply: () => vendorError(500, "crashed"), retries: `${OFTEN}> provider_unavailable` },
  { name: "529 for ever", reply: () => vendorError(529, "overloaded"), retries: `${OFTEN}> provider_unavailable` },
  { name: "a reset", reply: () => noAnswer("reset"), retries: `${OFTEN}> provider_unavailable` },
  { name: "closed without a byte", reply: () => noAnswer("cut"), retries: `${OFTEN}> provider_unavailable` },
  { name: "no answer at all", reply: () => noAnswer("hang"), retries: "> provider_timeout" },
  {
    name: "pings and no event",
    reply: () => reply([Array.from({ length: 100 }, () => [...ping(), ...pause(50)]).flat()]),
    retries: "> provider_timeout",
  },
  {
    name: "a stall before the first word",
    reply: () => reply([], { finish: null, done: false, ending: "hang" }),
    retries: "> provider_timeout",
  },
  {
    name: "429, come back in an hour",
    reply: () => vendorError(429, "slow down", { "retry-after": "3600" }),
    retries: "> provider_rate_limited",
  },
  {
    name: "429, no credit",
    reply: () => answer(429, { error: { message: "no credit", code: "insufficient_quota" } }),
    retries: "> provider_rate_limited",
  },
  { name: "401", reply: () => vendorError(401, "bad key"), retries: "> provider_auth" },
  { name: "404 of the model", reply: () => vendorError(404, "no such model"), retries: "> model_unknown" },
  { name: "400", reply: () => vendorError(400, "Invalid schema"), retries: "> provider_rejected" },
  { name: "an HTML page", reply: () => answer(200, "<html>log in</html>"), retries: "> provider_protocol" },
  {
    name: "a tool call that breaks off",
    reply: () => reply([toolCall("file_read", '{"path":"/sha')], { finish: null, done: false, ending: "cut" }),
    retries: "provider_interrupted, provider_interrupted, > provider_interrupted",
  },
  {
    name: "a text that breaks off",
    reply: () => SCRIPTS["half"]!({ messages: [] }, 0, undefined as never) as Reply,
    retries: "",
    code: "provider_interrupted",
  },
];

function toRetries(events: readonly SessionEvent[]): string {
  const retries = eventsOf(events, "model_result")[0]!.payload.retries ?? [];
  return retries.map(({ code, switchedTo }) => switchedTo === undefined ? code : `> ${code}`).join(", ");
}

Deno.test("each fault of the first vendor ends in the second one's answer, unless something was shown", async (t) => {
  const rows: string[] = [];
  for (const fault of FAULTS) {
    await t.step(fault.name, () =>
      withVendors(fault.reply, answers, async ({ backup, cwd, env }) => {
        const { code, out, err } = await runOxydra(["run", "--json", "hello"], { cwd, env });
        const events = readEvents(out);
        const [result] = eventsOf(events, "model_result");
        assert.equal(toRetries(events), fault.retries, err);
        const end = storedOf(events).at(-1)!;
        if (fault.code === undefined) {
          assert.deepEqual([code, end.type, shownText(events)], [0, "turn_done", ANSWER], out);
          assert.deepEqual(result!.payload.answeredBy, { provider: "backup", model: "fake-2" });
          assert.equal(backup.requests[0]!.body.model, "fake-2");
          assert.equal(backup.requests[0]!.headers.authorization, "Bearer sk-backup-0123456789");
        } else {
          assert.ok(end.type === "turn_failed" && end.payload.code === fault.code);
          assert.deepEqual([code, backup.requests.length, result!.payload.answeredBy], [3, 0, undefined]);
        }
        const ended = fault.code === undefined ? "backup answers" : `turn_failed ${fault.code}`;
        rows.push(`| ${fault.name} | ${fault.retries || "—"} | ${ended} |`);
      }));
  }
  console.log(["| fault of the first | attempts, > switch | ended in |", "|---|---|---|", ...rows].join("\n"));
});

Deno.test("a person sees who is asked instead and why, once; the next turn does not ask the broken one", async () => {
  await withVendors(() => vendorError(500, "crashed"), answers, async ({ main, cwd, env }) => {
    const gateway = await startGateway({ cwd, env });
    try {
      const first = await runOxydra(["run", "hello"], { cwd, env });
      assert.equal(first.out, `${ANSWER}\n`);
      const [start, ...lines] = first.err.trimEnd().split("\n");
      assert.match(start!, /^oxydra: fake\/fake-1\. .* When it cannot answer: backup\/fake-2\.$/);
      assert.deepEqual(lines, [
        "· Attempt 2 in 0.0 s: fake is not available (500): crashed",
        "· Attempt 3 in 0.0 s: fake is not available (500): crashed",
        "· Asking backup/fake-2 instead of fake/fake-1: fake is not available (500): crashed (3 attempts)",
      ]);
      const second = await runOxydra(["run", "again"], { cwd, env });
      assert.equal(second.out, `${ANSWER}\n`);
      assert.match(
        second.err.trimEnd().split("\n").slice(1).join("\n"),
        /^· Asking backup\/fake-2 instead of fake\/fake-1: it failed before \(provider_unavailable\) and is asked again in \d+ s$/,
      );
      assert.equal(main.requests.length, 3);
    } finally {
      await gateway.stop();
    }
  });
});

Deno.test("in the middle of a turn another vendor with another protocol goes on with what the first one began", async () => {
  const breaks: Script = (_body, n) =>
    n === 0 ? reply([toolCall("file_read", { path: "/shared/a.txt" }, { id: "call_a" })]) : vendorError(401, "bad");
  const claude: Script = () => say([{ kind: "text", text: ANSWER }]);
  await withVendors(breaks, claude, async ({ backup, cwd, env }) => {
    const shared = join(cwd, ".oxydra/workspaces/default/shared");
    await Deno.mkdir(shared, { recursive: true });
    await Deno.writeTextFile(join(shared, "a.txt"), "alpha");
    const all = { ...env, OXYDRA__PROVIDERS__REGISTRY__BACKUP__PROVIDER_TYPE: "anthropic" };
    const { code, out } = await runOxydra(["run", "--json", "read it"], { cwd, env: all });
    const events = readEvents(out);
    assert.deepEqual([code, shownText(events)], [0, ANSWER]);
    const answered = eventsOf(events, "model_result").map(({ payload }) => payload.answeredBy?.provider);
    assert.deepEqual(answered, [undefined, "backup"]);
    const [asked] = backup.requests;
    assert.match(asked!.path, /\/messages$/);
    const parts = asked!.body.messages.flatMap(({ content }) => content as { type: string; [key: string]: unknown }[]);
    assert.deepEqual(parts.map(({ type, id, tool_use_id }) => [type, id ?? tool_use_id]), [
      ["text", undefined],
      ["tool_use", "call_a"],
      ["tool_result", "call_a"],
    ]);
  });
});

Deno.test("when nobody can answer, the turn says what each one said", async () => {
  await withVendors(() => vendorError(401, "bad"), () => vendorError(503, "busy"), async ({ cwd, env }) => {
    const { code, out, err } = await runOxydra(["run", "hello"], { cwd, env });
    assert.deepEqual([code, out], [3, ""]);
    assert.deepEqual(err.trimEnd().split("\n").slice(-3), [
      "✗ No model answered.",
      "  fake/fake-1: fake refused the API key (401). Check providers.registry.fake.api_key.",
      "  backup/fake-2: backup is not available (503): busy (3 attempts) [provider_unavailable]",
    ]);
  });
});

Deno.test("SIGKILL while the backup speaks: the turn has one end in the log, and the session goes on", async () => {
  const slow: Script = (_body, n) =>
    n === 0 ? reply([text("Half of it")], { finish: null, done: false, ending: "hang" }) : answers();
  await withVendors(() => vendorError(401, "bad"), slow, async ({ cwd, env }) => {
    const gateway = await startGateway({ cwd, env: { ...env, OXYDRA__RELIABILITY__ATTEMPT_TIMEOUT_SECS: "60" } });
    const client = await connectRaw(gateway);
    const { payload } = await client.next(({ type }) => type === "hello_ack");
    const session = payload.session.session_id;
    client.send("send_turn", { request_id: "r", session_id: session, turn_id: "t", prompt: "hello" });
    await client.next(({ type }) => type === "assistant_delta");
    // The runner first, so that it starts no other guest; what ends with it by itself need not be killed.
    for (const pid of processTree(gateway.process.pid)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await gateway.stop();
    client.close();
    const { code, out } = await runOxydra(["run", "--session", session, "again"], { cwd, env });
    assert.deepEqual([code, out], [0, `${ANSWER}\n`]);
    const log = await openEventLog({ path: join(gateway.workspace, "internal/oxydra.db"), now: Date.now });
    const types = (await log.read(session, { fromSeq: 0, limit: 100 })).map(({ type }) => type);
    await log.close();
    assert.deepEqual(types, [
      "user_message",
      "model_request",
      "resumed",
      "model_request",
      "model_result",
      "turn_done",
      "user_message",
      "model_request",
      "model_result",
      "turn_done",
    ]);
  });
});

Deno.test("a cancel ends the call wherever it is, lets go of the vendor's connection and asks nobody else", async (t) => {
  const places: readonly [string, Script][] = [
    ["before an answer", () => noAnswer("hang")],
    ["in an error's body", () => answer(500, "{", { ending: "hang" })],
    ["in a stream", () => reply([text("And then ")], { finish: null, done: false, ending: "hang" })],
    ["in a wait", () => vendorError(503, "busy")],
  ];
  for (const [name, script] of places) {
    await t.step(name, async () => {
      const arrived = Promise.withResolvers<void>();
      const main = await startFakeOpenAi((body, n, request) => {
        if (name === "before an answer") arrived.resolve();
        return script(body, n, request);
      });
      const backup = await startFakeOpenAi(answers);
      const seen: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        arrived.resolve();
        return response;
      };
      const open = (baseUrl: string) => () => Promise.resolve(openOpenAi({ name: "acme", baseUrl, fetch: seen }));
      const provider = withFailover(
        [{ provider: "a", model: "x", open: open(main.url) }, { provider: "b", model: "y", open: open(backup.url) }],
        {
          maxAttempts: 3,
          backoffBaseMs: 600_000,
          backoffMaxMs: 600_000,
          jitter: false,
          random: Math.random,
          delay,
          cooldownMs: 60_000,
        },
      );
      const request = {
        model: "x",
        messages: [{ role: "user", content: "x" }],
        tools: [],
        timeoutMs: 10_000_000,
      } as const;
      const control = new AbortController();
      const told: string[] = [];
      const reading = (async () => {
        for await (const event of provider.stream(request, control.signal)) {
          told.push(event.type === "failed" ? event.code : event.type);
        }
      })();
      await arrived.promise;
      if (name === "in a stream" || name === "in a wait") await waitUntil(() => told.length > 0, "no event");
      control.abort();
      await reading;
      assert.equal(told.at(-1), "cancelled");
      if (name !== "in a wait") await main.requests[0]!.left;
      assert.equal(backup.requests.length, 0);
      await main.close();
      await backup.close();
    });
  }
});
