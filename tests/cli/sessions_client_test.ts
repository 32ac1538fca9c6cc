import assert from "node:assert/strict";
import type { SessionsAsk } from "#/cli/client_request.ts";
import { SessionsApi } from "#/cli/sessions_api.ts";
import { runSessionsAsk } from "#/cli/sessions_client.ts";
import { says, scriptedProvider } from "../fake/scripted_provider.ts";
import { type House, openHouse } from "../gateway/house.ts";
import { sessionsOver } from "../gateway/real_sessions.ts";

async function openOne(): Promise<House> {
  const house = await openHouse({}, sessionsOver(scriptedProvider(says("hello"))));
  await house.log.ensureSession({
    id: "rivers",
    user: "ann",
    agent: "default",
    channel: "x",
    displayName: "Rivers",
    parent: null,
  });
  const message = { type: "user_message", v: 1, payload: { text: "hi", channel: "x" } } as const;
  await house.log.append("rivers", "t", [message], { durability: "normal" });
  return house;
}

/** Asks once; `answer` is what a person at the terminal says, or nobody. */
async function ask(
  house: House,
  question: SessionsAsk,
  options: { json?: boolean; answer?: string; isTerminal?: boolean; input?: string } = {},
) {
  const { json = false, answer, isTerminal = false, input = "" } = options;
  let [out, file] = ["", ""];
  const questions: string[] = [];
  const code = await runSessionsAsk(
    question,
    new SessionsApi({ origin: `ws://127.0.0.1:${house.port}`, token: house.token }),
    {
      json,
      out: (text) => void (out += text),
      file: new WritableStream({ write: (chunk) => void (file += new TextDecoder().decode(chunk)) }),
      isTerminal,
      input: ReadableStream.from([new TextEncoder().encode(input)]),
      terminal: {
        isTerminal: answer !== undefined,
        ask: (question) => (questions.push(question), Promise.resolve(answer)),
      },
      now: Date.now,
    },
  );
  return { code, out, file, questions };
}

Deno.test("runSessionsAsk() lists and shows, as text and as JSON", async () => {
  await using house = await openOne();
  assert.match((await ask(house, { do: "list", archived: false })).out, /^id .*\nrivers +Rivers +1 +0 s\n$/);
  const { sessions } = JSON.parse((await ask(house, { do: "list", archived: false }, { json: true })).out);
  assert.deepEqual(sessions.map(({ id }: { id: string }) => id), ["rivers"]);
  assert.match((await ask(house, { do: "show", id: "riv" })).out, /^id +rivers\nname +Rivers\n/);
  assert.equal(JSON.parse((await ask(house, { do: "show", id: "riv" }, { json: true })).out).turns, 1);
  await ask(house, { do: "archive", id: "riv" });
  assert.match((await ask(house, { do: "list", archived: false })).out, /there is no session; --archived shows/);
  assert.match((await ask(house, { do: "unarchive", id: "riv" })).out, /^back from the archive: rivers \(Rivers\)/);
  assert.match((await ask(house, { do: "rename", id: "riv", name: "Brooks" })).out, /^renamed: rivers \(Brooks\)/);
  assert.match((await ask(house, { do: "rename", id: "riv", name: null })).out, /^renamed: rivers\n/);
});

Deno.test("runSessionsAsk() asks before it deletes, and deletes nothing without a yes", async () => {
  await using house = await openOne();
  const question = { do: "delete", id: "rivers", yes: false } as const;
  await assert.rejects(ask(house, question), { code: "usage", message: /--yes/ });
  for (const answer of ["", "n", "yess"]) await assert.rejects(ask(house, question, { answer }), { code: "cancelled" });
  assert.equal((await house.log.read("rivers", { fromSeq: 1, limit: 9 }))[0]!.type, "user_message");
  const said = await ask(house, question, { answer: "y" });
  assert.match(said.questions[0]!, /^Delete "Rivers" for good: 1 turn, active 0 s ago\? \[y\/N\] $/);
  assert.match(said.out, /^deleted: 1 event, \d+ bytes\n$/);
  assert.equal(JSON.parse((await ask(house, { ...question, yes: true }, { json: true })).out).events, 1);
});

Deno.test("runSessionsAsk() branches, exports and imports; a file is no text for a terminal", async () => {
  await using house = await openOne();
  assert.match(
    (await ask(house, { do: "branch", id: "rivers", at: 1, name: "What if" })).out,
    /^made: \S+ \(What if\)\n$/,
  );
  assert.match((await ask(house, { do: "branch", id: "rivers" })).out, /^made: \S+\n$/);
  const { file, out, code } = await ask(house, { do: "export", id: "rivers" });
  assert.deepEqual([code, out, file.split("\n").length], [0, "", 5]);
  assert.match((await ask(house, { do: "import" }, { input: file })).out, /^imported: \S+ \(Rivers\)\n$/);
  await assert.rejects(ask(house, { do: "import" }, { input: "x" }), { code: "usage", message: /^line 1: / });
  await assert.rejects(ask(house, { do: "export", id: "rivers" }, { isTerminal: true }), { code: "usage" });
});
