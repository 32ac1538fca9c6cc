/** Gemini with real processes: a loop of two steps with a tool, and a picture from its stream to the log, to clients and to a file. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openEventLog } from "#/memory/sqlite.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { geminiStream } from "../fake/gemini_dialect.ts";
import { type FakeOpenAi, type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { readEvents, shownText, storedOf } from "../fixture/events.ts";
import { connectRaw, makeMachine, runOxydra, startGateway, vendorEnv } from "../fixture/system.ts";

const PICTURES = [new Uint8Array(randomBytes(3_000_001)), new Uint8Array(randomBytes(5))];
const WORKSPACE = ".oxydra/workspaces/default";

/** Reads the file that it is asked about, then answers with words and pictures; the last one twice. */
const draws: Script = (body) => {
  const last = (body["contents"] as { parts: { functionResponse?: { response: { output: string } } }[] }[]).at(-1)!;
  const output = last.parts[0]!.functionResponse?.response.output;
  if (output === undefined) {
    const functionCall = { name: "file_read", args: { path: "/shared/wish.txt" } };
    return geminiStream([{
      candidates: [{ content: { parts: [{ functionCall, thoughtSignature: "c2ln" }] }, index: 0 }],
    }], { reason: "stop" });
  }
  const drawn = [...PICTURES, PICTURES[1]!].map((picture) => {
    return { kind: "media", mimeType: "image/png", data: picture.toBase64() } as const;
  });
  return geminiStream([{ kind: "text", text: `Here is ${output.trim()}.` }, ...drawn], {
    reason: "stop",
    usage: { promptTokens: 9, completionTokens: 1_300, totalTokens: 1_309 },
  });
};

interface House {
  readonly vendor: FakeOpenAi;
  readonly machine: { readonly cwd: string; readonly env: Record<string, string> };
}

async function inHouse(check: (house: House) => Promise<void>, script: Script = draws): Promise<void> {
  const vendor = await startFakeOpenAi(script);
  const { cwd, env } = await makeMachine();
  await Deno.mkdir(join(cwd, WORKSPACE, "shared"), { recursive: true });
  await Deno.writeTextFile(join(cwd, WORKSPACE, "shared/wish.txt"), "a cat\n");
  const gemini = { ...vendorEnv(vendor.url), OXYDRA__PROVIDERS__REGISTRY__FAKE__PROVIDER_TYPE: "gemini" };
  try {
    await check({ vendor, machine: { cwd, env: { ...env, ...gemini } } });
  } finally {
    await vendor.close();
    await Deno.remove(join(cwd, ".."), { recursive: true });
  }
}

Deno.test("a picture that Gemini makes after a tool call is in the log, and in the folder that the person named", async () => {
  await inHouse(async ({ vendor, machine }) => {
    const { code, out, err } = await runOxydra(["run", "--json", "--save-media", "made/here", "Draw it"], machine);
    assert.equal(code, 0, err);
    const events = readEvents(out);
    assert.equal(shownText(events), "Here is a cat.");
    const [, result] = storedOf(events).filter((event) => event.type === "model_result");
    const hashes = await Promise.all(PICTURES.map((picture) => sha256Hex(picture)));
    const media = [...PICTURES, PICTURES[1]!].map((picture, at) => {
      return { sha256: hashes[Math.min(at, 1)], bytes: picture.length, mimeType: "image/png" };
    });
    assert.deepEqual(result!.payload.media, media);
    assert.ok(!out.includes(PICTURES[0]!.subarray(0, 30).toBase64()), "the event names it, its bytes are not in it");

    const [second] = vendor.requests.slice(-1);
    assert.match(JSON.stringify(second!.body), /"functionResponse":\{"id":"call_[0-9a-f]+","name":"file_read"/);
    assert.match(JSON.stringify(second!.body), /"thoughtSignature":"c2ln"/);
    assert.ok(vendor.requests.every(({ path, headers }) => !path.includes("sk-test") && headers["x-goog-api-key"]));

    const made = join(machine.cwd, "made/here");
    assert.deepEqual(
      [...Deno.readDirSync(made)].map(({ name }) => name).sort(),
      hashes.map((hash) => `${hash.slice(0, 12)}.png`).sort(),
    );
    assert.deepEqual(Deno.readFileSync(join(made, `${hashes[0]!.slice(0, 12)}.png`)), PICTURES[0]);
    assert.equal(err.match(/saved as .*\/made\/here\/[0-9a-f]{12}\.png/g)?.length, 3, err);

    // Every process has ended: what is there now survived them.
    const log = await openEventLog({ path: join(machine.cwd, WORKSPACE, "internal/oxydra.db"), now: Date.now });
    try {
      for (const [at, hash] of hashes.entries()) assert.deepEqual(await log.blob(hash), PICTURES[at]);
    } finally {
      await log.close();
    }
    const again = await runOxydra(["run", "And now?"], machine);
    assert.equal(again.code, 0, again.err);
    const history = JSON.stringify(vendor.requests.at(-2)!.body);
    assert.match(history, /\[made and shown: image\/png, image\/png, image\/png\]/);
    assert.match(again.err, /· made image\/png, 3001 KB \(sha256 [0-9a-f]{12}\) · image\/png, 1 KB/);
    assert.match(again.err, /--save-media DIR also writes it to a file/);
  });
});

Deno.test("a client of the reference is sent the pictures, also by a later process; one of ours that did not ask is not", async () => {
  await inHouse(async ({ vendor, machine }) => {
    const gateway = await startGateway(machine);
    const [reference, own] = await Promise.all([
      connectRaw(gateway),
      connectRaw(gateway, { capabilities: ["turn_events"] }),
    ]);
    const { payload: { session } } = await reference.next((frame) => frame.type === "hello_ack");
    await own.next((frame) => frame.type === "hello_ack");
    const ids = { request_id: "r", session_id: session.session_id, turn_id: "t" };
    reference.send("send_turn", { ...ids, prompt: "Draw it" });
    for (const picture of [...PICTURES, PICTURES[1]!]) {
      const { type, payload } = await reference.next(({ type }) => /^(media_attachment|turn_completed)$/.test(type));
      assert.equal(type, "media_attachment");
      assert.deepEqual([payload.request_id, payload.session], ["r", session]);
      const { data, ...named } = payload.attachment;
      const name = `${(await sha256Hex(picture)).slice(0, 12)}.png`;
      assert.deepEqual(named, { file_path: name, file_name: name, media_type: "photo" });
      assert.ok(data === picture.toBase64());
    }
    assert.equal((await reference.next()).payload.response.message.content, "Here is a cat.");
    const last = await own.next(({ type }) => /^(media_attachment|turn_completed)$/.test(type));
    assert.equal(last.type, "turn_completed");
    reference.close();
    own.close();
    assert.equal(await gateway.stop(), 0);

    // Asked for the same turn, another process tells it again: from the log, without the model.
    const later = await startGateway(machine);
    const client = await connectRaw(later);
    await client.next((frame) => frame.type === "hello_ack");
    client.send("send_turn", { ...ids, request_id: "again", prompt: "Draw it" });
    const { payload } = await client.next((frame) => frame.type === "media_attachment");
    assert.equal(payload.request_id, "again");
    assert.ok(payload.attachment.data === PICTURES[0]!.toBase64());
    assert.equal(vendor.requests.length, 2);
    client.close();
    assert.equal(await later.stop(), 0);
  });
});

Deno.test("a model that the catalog says draws is asked for pictures, offered no tools, and may answer without a word", async () => {
  const drawn = { kind: "media", mimeType: "image/png", data: PICTURES[1]!.toBase64() } as const;
  await inHouse(async ({ vendor, machine }) => {
    const env = { ...machine.env, OXYDRA__SELECTION__MODEL: "gemini-2.5-flash-image" };
    const { code, out, err } = await runOxydra(["run", "Draw it"], { ...machine, env });
    assert.deepEqual([code, out], [0, ""], err);
    assert.match(err, /· made image\/png, 1 KB/);
    assert.equal(vendor.requests.length, 1, "it is not asked again for words");
    const { tools, generationConfig } = vendor.requests[0]!.body;
    assert.deepEqual([tools, generationConfig], [undefined, { responseModalities: ["TEXT", "IMAGE"] }]);
  }, () => geminiStream([drawn], { reason: "stop" }));
});
