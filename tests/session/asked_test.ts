import assert from "node:assert/strict";
import { openSessions } from "#/session/session.ts";
import { withAsked } from "#/turn/asked.ts";
import { asks, RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, scriptedProvider } from "../fake/scripted_provider.ts";
import { collect, LOGS, never, toMessage, toSendDeps } from "./session_kit.ts";

const asked = {
  origin: "api",
  instructions: "Answer in rhymes.",
  outputSchema: { name: "a", schema: { type: "object" } },
  maxOutputTokens: 9,
} as const;

for (const [name, use] of LOGS) {
  Deno.test(`Sessions (${name}): what a program asked of a turn counts after a restart as well, and for that turn alone`, async () => {
    await use(async (log) => {
      const options = {
        log,
        lanes: { runningMax: 1, queuedMax: 1 },
        now: Date.now,
        report: (error: unknown) => assert.fail(String(error)),
      };
      let answered = false;
      const sandbox = new RecordingSandbox({ file_read: (request) => answered ? "secret" : asks(request) });
      const provider = scriptedProvider(calls(["file_read", { path: "/vault/b" }, "b"]), says("done"), says("later"));
      const deps = toSendDeps(provider, sandbox);
      await collect((await openSessions(options)).send({ ...toMessage("t1"), asked }, deps, never));
      answered = true;
      const restarted = await openSessions(options);
      const answer = { id: "card-b", session: "s", turn: "t1", callId: "b", answer: "once", by: "owner" } as const;
      await collect(restarted.resume({ session: "s", turn: "t1" }, answer, deps, never));
      await collect(restarted.send(toMessage("t2"), deps, never));
      const own = (await withAsked(deps.setup, asked)).system;
      assert.deepEqual(
        provider.requests.map((
          { messages, outputSchema, maxOutputTokens },
        ) => [messages[0]!.content, outputSchema, maxOutputTokens]),
        [[own, asked.outputSchema, 9], [own, asked.outputSchema, 9], [deps.setup.system, undefined, undefined]],
      );
      assert.deepEqual(sandbox.requests.map(({ principal }) => principal.origin), ["api", "api"]);
    });
  });
}
