import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { toChainedLine } from "#/lib/chained_line.ts";
import { SessionFileReader, SessionFileWriter } from "#/memory/session_file.ts";
import { blobOf, sessionOf } from "../contract/event_samples.ts";

const encoder = new TextEncoder();
const row = { ...sessionOf("s"), createdAt: 1, lastActiveAt: 2, archived: false };
const event = (seq: number) => ({
  seq,
  turn: "t",
  type: "user_message" as const,
  v: 1,
  at: 1,
  payload: { text: "hi", channel: "tui" },
  blobs: [],
});

/** Lines with a good chain, whatever they say. */
function chain(contents: readonly Record<string, unknown>[]): Uint8Array[] {
  let prev = "";
  return contents.map((content, at) => {
    const { line, sha256 } = toChainedLine({ ...content, seq: at + 1, at: 1, prev });
    prev = sha256;
    return encoder.encode(line);
  });
}

const HEADER = { type: "header", format: "oxydra-session", version: 1 };
const SESSION = { type: "session", session: { id: "s", agent: "default", name: null, channel: "tui", createdAt: 1 } };

function refuses(contents: readonly Record<string, unknown>[], message: RegExp): void {
  const reader = new SessionFileReader();
  const lines = chain(contents);
  for (const line of lines.slice(0, -1)) reader.read(line);
  assert.throws(() => reader.read(lines.at(-1)!), message);
}

Deno.test("SessionFileReader reads what SessionFileWriter wrote, one line at a time", async () => {
  const writer = new SessionFileWriter(5);
  const content = encoder.encode("blob");
  const lines = [
    ...writer.begin(row),
    writer.blob(content, await blobOf(content)),
    writer.event(event(1)),
    writer.end(),
  ];
  assert.ok(lines.every((line) => line.indexOf("\n") === line.length - 1));
  const reader = new SessionFileReader();
  const read = lines.map((line) => reader.read(encoder.encode(line.trimEnd())));
  assert.deepEqual(read.map(({ type }) => type), ["header", "session", "blob", "event", "end"]);
  assert.ok(read[2]?.type === "blob" && read[3]?.type === "event" && read[4]?.type === "end");
  assert.deepEqual(reader.contentOf(read[2].data), content);
  assert.deepEqual(read[3].event, event(1));
  reader.finish();
});

Deno.test("SessionFileReader refuses what has a good chain and is no such file", async () => {
  const content = await blobOf(encoder.encode("blob"));
  const blob = { type: "blob", content: content.sha256, bytes: 4, data: content.content.toBase64() };
  const wrapped = (more: object) => ({ type: "event", event: { ...event(1), ...more } });
  refuses([{ seen: true }], /^AppError: line 1: this is no file that/);
  refuses([{ ...HEADER, version: 2 }], /line 1: format version 2 is not known/);
  refuses([SESSION], /line 1: no place for a line of type session/);
  refuses([HEADER, HEADER], /line 2: no place/);
  refuses([HEADER, { type: "event", event: event(1) }], /line 2: no place/);
  refuses([HEADER, { ...SESSION, session: { ...SESSION.session, user: "root" } }], /line 2: session\.session: /);
  refuses([HEADER, { ...SESSION, session: { ...SESSION.session, id: "a\0b" } }], /line 2: session\.session\.id/);
  refuses([HEADER, SESSION, { ...blob, bytes: 5 }], /line 3: the blob is not what its hash says/);
  refuses([HEADER, SESSION, { ...blob, data: "###" }], /line 3: the blob is no base64/);
  refuses([HEADER, SESSION, { ...blob, bytes: LIMITS.blobBytesMax + 1 }], /line 3: a blob has at most/);
  refuses([HEADER, SESSION, blob, blob], /line 4: this blob came before/);
  refuses([HEADER, SESSION, wrapped({ type: "toString" })], /line 3: event\.event\.type: no kind of event/);
  refuses([HEADER, SESSION, wrapped({ type: "telepathy" })], /no kind of event/);
  refuses([HEADER, SESSION, wrapped({ turn: "\ud800" })], /line 3: it was changed|line 3: event\.event\.turn/);
  refuses([HEADER, SESSION, wrapped({ payload: [] })], /line 3: event\.event\.payload/);
  refuses([HEADER, SESSION, wrapped({ more: 1 })], /line 3: event\.event: /);
  refuses([HEADER, SESSION, { type: "end", events: 1, blobs: 0 }], /line 3: its counts are not those of the file/);
});

Deno.test("SessionFileReader counts events", () => {
  const reader = new SessionFileReader();
  let prev = "";
  let seq = 0;
  const read = (content: Record<string, unknown>) => {
    const { line, sha256 } = toChainedLine({ ...content, seq: ++seq, at: 1, prev });
    prev = sha256;
    return reader.read(encoder.encode(line));
  };
  read(HEADER);
  read(SESSION);
  // The bound is on what one import may hold; a chain this long costs two seconds here.
  for (let n = 1; n <= LIMITS.importEventsMax; n++) read({ type: "event", event: event(n) });
  assert.throws(() => read({ type: "event", event: event(seq) }), /more than 200000 events/);
});
