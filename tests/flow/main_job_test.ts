/** The job of the README, from the command line to the file on disk, with names that nobody could have prepared for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text, waitFor } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { eventsOf, readEvents } from "../fixture/events.ts";
import { makeMachine, runOxydra, spawnOxydra, vendorEnv } from "../fixture/system.ts";

const decoder = new TextDecoder();

/** A word that is in no text of the demo. */
function drawWord(): string {
  const syllables = ["ba", "ke", "zi", "mo", "ru", "ta", "ve", "ni", "xo", "qua"];
  return Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => syllables[byte % syllables.length]).join("");
}

function workspace(cwd: string): string {
  return join(cwd, ".oxydra/workspaces/default");
}

Deno.test("oxydra run writes, reads back, edits and searches a file of any name", async () => {
  const machine = await makeMachine();
  const [topic, other, folder, name] = [`${drawWord()} ${drawWord()}`, drawWord(), drawWord(), drawWord()];
  const path = `/shared/${folder}/${name}.txt`;
  const onDisk = join(workspace(machine.cwd), path);

  const written = await runOxydra(["run", `write a poem about ${topic} to ${path}, then read it back`], machine);
  assert.equal(written.code, 0, written.err);
  const poem = await Deno.readTextFile(onDisk);
  assert.equal(poem.split(topic).length, 2, `the topic ${topic} stands in the poem once:\n${poem}`);
  assert.ok(written.out.includes(`\`\`\`\n${poem}\`\`\``), "what was read back is what lies on the disk");
  assert.match(written.err, /· file_write \/shared\/.*\n {2}✓ .*\n· file_read \/shared\/.*\n {2}✓ /);
  assert.match(written.out, /This was the demo model/);

  const edited = await runOxydra(["run", `replace "${topic}" with "${other}" in ${path}`], machine);
  assert.equal(edited.code, 0, edited.err);
  assert.equal(await Deno.readTextFile(onDisk), poem.replace(topic, other));

  const found = await runOxydra(["run", "--json", `search for "${other}" in /shared/${folder}`], machine);
  assert.equal(found.code, 0, found.err);
  const [result] = eventsOf(readEvents(found.out), "tool_result");
  const line = poem.split("\n").findIndex((part) => part.includes(topic));
  assert.match(result!.payload.text, new RegExp(`^${path}:${line + 1}: .*${other}`, "m"));
  assert.ok(!result!.payload.text.includes(topic));

  const mode = (await Deno.stat(workspace(machine.cwd))).mode! & 0o777;
  assert.equal(mode, 0o700, "other users of the machine see nothing of the workspace");
});

Deno.test("oxydra run leaves no process, no address and no lock behind", async () => {
  const machine = await makeMachine();
  const { code, err } = await runOxydra(["run", "list /shared"], machine);
  assert.equal(code, 0, err);
  await assert.rejects(Deno.stat(join(workspace(machine.cwd), "ipc/gateway-endpoint")), Deno.errors.NotFound);
  using lock = await Deno.open(join(workspace(machine.cwd), "run/runner.lock"), { write: true });
  assert.ok(lock.tryLockSync(true), "the lock is free");
  // A process of ours that lived on would name the folder in its flags.
  const living = [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).filter(({ name }) => {
    try {
      return Number(name) !== Deno.pid && Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(machine.cwd);
    } catch {
      return false;
    }
  });
  assert.deepEqual(living.map(({ name }) => name), []);
});

Deno.test("oxydra run shows the answer while the model still speaks", async () => {
  const machine = await makeMachine();
  const seen = Promise.withResolvers<void>();
  // The vendor says the second half only after the first one stood on stdout: a client that waited for the end would wait for ever.
  const vendor = await startFakeOpenAi(() => reply([text("first half, "), waitFor(seen.promise), text("second half")]));
  const child = spawnOxydra(["run", "speak"], { ...machine, env: { ...machine.env, ...vendorEnv(vendor.url) } });
  let out = "";
  for await (const chunk of child.stdout) {
    out += decoder.decode(chunk, { stream: true });
    if (out.includes("first half,")) seen.resolve();
  }
  const { code } = await child.status;
  await child.stderr.cancel();
  await vendor.close();
  assert.equal(out, "first half, second half\n");
  assert.equal(code, 0);
});

Deno.test("oxydra chat takes one turn a line from a pipe", async () => {
  const machine = await makeMachine();
  const word = drawWord();
  // An empty line, a line end of Windows, and a last line without one.
  const stdin = `write "${word}" to /shared/chat.txt\r\n\n   \nread /shared/chat.txt`;
  const { code, out, err } = await runOxydra(["chat"], { ...machine, stdin });
  assert.equal(code, 0, err);
  assert.equal(await Deno.readTextFile(join(workspace(machine.cwd), "shared/chat.txt")), word);
  assert.match(out, new RegExp(`I wrote /shared/chat.txt.*\`\`\`\\n${word}\\n\`\`\``, "s"));
  assert.equal(err.match(/· file_/g)?.length, 2);
});

Deno.test("oxydra chat with nothing to say ends with 0, and with the worst turn's code otherwise", async () => {
  const machine = await makeMachine();
  const empty = await runOxydra(["chat"], { ...machine, stdin: "" });
  assert.deepEqual([empty.code, empty.out], [0, ""], empty.err);
  const mixed = await runOxydra(["chat"], { ...machine, stdin: "read /vault/key\nlist /shared\n/exit\nlist /tmp\n" });
  assert.equal(mixed.code, 5, mixed.err);
  assert.equal(mixed.err.match(/· file_/g)?.length, 2, "nothing is read after /exit");
});

Deno.test("oxydra ask -- takes what follows as the message, and chats without one", async () => {
  const machine = await makeMachine();
  const path = `/shared/${drawWord()}.txt`;
  const asked = await runOxydra(["ask", "--", "write", "a", "note", "about", "tea", "to", path], machine);
  assert.equal(asked.code, 0, asked.err);
  assert.match(await Deno.readTextFile(join(workspace(machine.cwd), path)), /^Note about tea\n/);
  // What looks like an option behind -- is the message.
  const odd = await runOxydra(["ask", "--json", "--", "--version"], machine);
  assert.equal(odd.code, 0, odd.err);
  assert.equal(eventsOf(readEvents(odd.out), "user_message")[0]!.payload.text, "--version");
  const chatted = await runOxydra(["ask", "--"], { ...machine, stdin: `read ${path}\n` });
  assert.equal(chatted.code, 0, chatted.err);
  assert.match(chatted.out, /Note about tea/);
});
