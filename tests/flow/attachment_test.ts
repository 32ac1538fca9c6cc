/** Bytes that a person sends or keeps in the vault, through the whole system to a file and back, byte for byte. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { randomBytes } from "node:crypto";
import { runOxydra } from "../fixture/system.ts";
import { filesIn, openWebHouse, type Told, withTalk } from "../fixture/web_house.ts";

const image = (content: Uint8Array) => ({ mime_type: "image/png", data: content.toBase64() });
const saves = (path: string, more: object = {}): Told => ["attachment_save", { index: 0, path, ...more }];
const copies = (more: object = {}): Told => [
  "vault_copyto",
  { source_path: "/vault/cert", destination_path: "/shared/cert", ...more },
];

Deno.test("attachment_save writes what the person sent, byte for byte, and only what this very message holds", async () => {
  await using house = await openWebHouse();
  const pixels = new Uint8Array(randomBytes(3_000_000));
  const largest = new Uint8Array(LIMITS.attachmentBytesMax).fill(0x5a);
  const shared = join(house.workspace, "shared");
  await withTalk(house, async ({ turn }) => {
    const { results, asked } = await turn([
      saves("/shared/in/a.png"),
      saves("/shared/in/b.png", { index: 1 }),
      saves("/shared/in/a.png", { index: 1 }),
      saves("/shared/in/c.png", { index: 2 }),
      saves("/vault/a.png"),
    ], { attachments: [image(pixels), image(largest)], id: "with" });
    assert.deepEqual(asked, [], "what the person sent may be saved where agents may write");
    assert.equal(results[0], "Saved attachment 0 (image/png, 3000000 bytes) to /shared/in/a.png.");
    assert.equal(results[1], `Saved attachment 1 (image/png, ${largest.length} bytes) to /shared/in/b.png.`);
    assert.match(results[2]!, /\/shared\/in\/a\.png exists already/);
    assert.equal(results[3], "There is no attachment 2: this message has attachments 0 to 1");
    assert.match(results[4]!, /fs\.write \/vault\/a\.png is missing/);
    assert.deepEqual(Deno.readFileSync(join(shared, "in/a.png")), pixels);
    assert.deepEqual(Deno.readFileSync(join(shared, "in/b.png")), largest);
    const later = await turn([saves("/shared/later.png")]);
    assert.equal(later.results[0], "There is no attachment 0: this message has no attachments");
    assert.deepEqual(filesIn(shared).map((path) => path.slice(shared.length)).sort(), ["/in/a.png", "/in/b.png"]);
  });
  assert.equal((await runOxydra(["audit", "verify"], house.machine)).code, 0);
  const { out } = await runOxydra(["audit", "show", "--turn", "with"], house.machine);
  assert.match(out, /attachment_save.*default:write \/shared, step save/);
  assert.ok(!out.includes(pixels.subarray(0, 30).toBase64()), "sizes, never content");
});

Deno.test("a file that the model cannot read is named to it and to the person, and the tool saves it", async () => {
  await using house = await openWebHouse();
  const zip = new Uint8Array(randomBytes(30_000));
  await withTalk(house, async ({ turn, frames }) => {
    const attachments = [{ mime_type: "application/zip", data: zip.toBase64() }];
    const { results } = await turn([saves("/shared/a.zip")], { attachments });
    assert.match(results[0]!, /^Saved attachment 0 \(application\/zip, 30000 bytes\)/);
    assert.deepEqual(Deno.readFileSync(join(house.workspace, "shared/a.zip")), zip);
    const notices = frames.filter((frame) => frame.includes('"provider_notice"'));
    assert.equal(notices.length, 1, "told once, not at each step");
    assert.match(notices[0]!, /application\/zip; it takes image/);
  });
  const asked = house.vendor.requests.map(({ body }) => JSON.stringify(body));
  assert.ok(asked.length > 1 && asked.every((body) => body.includes("[attachment 0: application/zip, 30 KB")));
  assert.ok(!asked.some((body) => body.includes(zip.subarray(0, 30).toBase64())), "its bytes are not sent");
});

Deno.test("vault_copyto copies a binary file with the owner's yes; without one nothing is written and a script gets 5", async () => {
  await using house = await openWebHouse();
  const cert = new Uint8Array(randomBytes(300_001));
  Deno.writeFileSync(join(house.workspace, "vault/cert"), cert);
  const shared = join(house.workspace, "shared");
  const script = await runOxydra(["run", JSON.stringify([copies()])], house.machine);
  assert.equal(script.code, 5, script.err + script.out);
  assert.deepEqual(filesIn(shared), []);
  await withTalk(house, async ({ turn, frames }) => {
    const waits = await turn([copies()]);
    assert.deepEqual([waits.isParked, waits.asked], [true, [["fs.read /vault/cert", "fs.write /shared/cert"]]]);
    assert.deepEqual(filesIn(shared), []);
    const no = await turn([copies()], { answer: "no" });
    assert.match(no.results[0]!, /The answer was no/);
    assert.deepEqual(filesIn(shared), []);
    const yes = await turn([copies()], { answer: "once", id: "yes" });
    assert.equal(yes.results[0], "Copied /vault/cert to /shared/cert (300001 bytes).");
    assert.deepEqual(Deno.readFileSync(join(shared, "cert")), cert);
    const again = await turn([copies()], { answer: "once" });
    assert.match(again.results[0]!, /\/shared\/cert exists already/);
    // The turn that waited for the person still has what they sent with it.
    const sent = new Uint8Array(randomBytes(1_000));
    const both = await turn([copies({ destination_path: "/shared/b" }), saves("/shared/c")], {
      answer: "once",
      attachments: [image(sent)],
    });
    assert.match(both.results[1]!, /^Saved attachment 0/);
    assert.deepEqual(Deno.readFileSync(join(shared, "c")), sent);
    const inward = await turn([copies({ destination_path: "/vault/copy" })]);
    assert.match(inward.results[0]!, /fs\.write \/vault\/copy is missing/);
    // Content is for the file alone: no frame and no request of the model holds a piece of it.
    const piece = cert.subarray(30, 60).toBase64();
    const said = [...frames, ...house.vendor.requests.map(({ body }) => JSON.stringify(body))];
    assert.ok(!said.some((text) => text.includes(piece)));
  });
  assert.equal((await runOxydra(["audit", "verify"], house.machine)).code, 0);
  const { out } = await runOxydra(["audit", "show", "--turn", "yes", "--json"], house.machine);
  const entries = out.trim().split("\n").map((line) => JSON.parse(line));
  const granted = entries.filter(({ grant }) => grant !== undefined);
  assert.deepEqual(
    granted.map(({ kind, source, code, capabilities }) => [kind, code ?? source.split(", ").at(-1), capabilities]),
    [
      ["decision", "once by owner", ["fs.read /vault/cert", "fs.write /shared/cert"]],
      ["decision", "step read", ["fs.read /vault/cert"]],
      ["decision", "step write", ["fs.write /shared/cert"]],
      ["outcome", "ok", undefined],
    ],
  );
  assert.equal(new Set(granted.map(({ grant, callId }) => `${grant} ${callId}`)).size, 1);
  const rows = await runOxydra(["audit", "show", "--turn", "yes"], house.machine);
  assert.match(rows.out, /step read[^]*step write/);
});
