import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { BlobRef, EventType } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionRow } from "#/core/store.ts";
import { parseChainedLine, sha256Of, toChainedLine } from "#/lib/chained_line.ts";
import { EVENT_PAYLOADS } from "#/memory/event_payload.ts";

/**
 * A session as a file: one JSON object a line, each with the hash of the one before, so that the first line that was changed, left out or
 * added is known. The hashes prove that the file is whole, not who wrote it.
 */
const FORMAT = "oxydra-session";
const FORMAT_VERSION = 1;

const place = {
  seq: z.number().int().positive(),
  at: z.number().int().nonnegative(),
  prev: z.string(),
  sha256: z.string(),
};
const id = z.string().min(1).max(LIMITS.logIdCharsMax).refine((text) => !text.includes("\0") && text.isWellFormed());
const name = z.string().max(LIMITS.sessionNameCharsMax);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const Header = z.strictObject({ ...place, type: z.literal("header"), format: z.literal(FORMAT), version: count });
const Session = z.strictObject({
  ...place,
  type: z.literal("session"),
  session: z.strictObject({ id, agent: name.min(1), name: name.nullable(), channel: name, createdAt: count }),
});
const Blob = z.strictObject({ ...place, type: z.literal("blob"), content: hash, bytes: count, data: z.string() });
const Event = z.strictObject({
  ...place,
  type: z.literal("event"),
  event: z.strictObject({
    seq: z.number().int().positive(),
    turn: id,
    type: z.custom<EventType>(
      (value) => typeof value === "string" && Object.hasOwn(EVENT_PAYLOADS, value),
      "no kind of event",
    ),
    v: z.number().int().positive(),
    at: count,
    payload: z.record(z.string(), z.unknown()),
    blobs: z.array(z.strictObject({ sha256: hash, bytes: count, mimeType: z.string().max(256) })).max(1_024),
  }),
});
const End = z.strictObject({ ...place, type: z.literal("end"), events: count, blobs: count });
const Line = z.discriminatedUnion("type", [Header, Session, Blob, Event, End]);

/** One line of a session's file. */
export type FileLine = z.infer<typeof Line>;

/** An event as the file has it. */
export type FileEvent = z.infer<typeof Event>["event"];

/** Writes the lines of one file. */
export class SessionFileWriter {
  readonly #at: number;
  #seq = 0;
  #prev = "";
  #events = 0;
  #blobs = 0;

  /** `at`: now, integer ms UTC. */
  constructor(at: number) {
    this.#at = at;
  }

  /** The first two lines. */
  begin({ id, agent, displayName, channel, createdAt }: SessionRow): readonly string[] {
    const session = { id, agent, name: displayName, channel, createdAt };
    return [
      this.#line({ type: "header", format: FORMAT, version: FORMAT_VERSION }),
      this.#line({ type: "session", session }),
    ];
  }

  /** Before the event that has it first. */
  blob(content: Uint8Array, ref: BlobRef): string {
    this.#blobs++;
    return this.#line({ type: "blob", content: ref.sha256, bytes: ref.bytes, data: content.toBase64() });
  }

  event(event: FileEvent): string {
    this.#events++;
    return this.#line({ type: "event", event });
  }

  /** Without this line the file is not whole. */
  end(): string {
    return this.#line({ type: "end", events: this.#events, blobs: this.#blobs });
  }

  #line(content: Readonly<Record<string, unknown>>): string {
    const { line, sha256 } = toChainedLine({ ...content, seq: ++this.#seq, at: this.#at, prev: this.#prev });
    this.#prev = sha256;
    return `${line}\n`;
  }
}

/** Reads the lines of one file, one after the other. Every method throws AppError `usage` that names the line. */
export class SessionFileReader {
  #seq = 0;
  #prev = "";
  #events = 0;
  readonly #blobs = new Set<string>();
  #isOver = false;

  /** The next line, without its newline. The first two are the header and the session, and each kind comes where it may. */
  read(bytes: Uint8Array): FileLine {
    this.#seq++;
    if (this.#isOver) throw this.wrong("something follows the last line");
    const entry = parseChainedLine(bytes);
    if (entry === "broken") throw this.wrong("it is no JSON; was the file cut off?");
    if (entry === "forged") throw this.wrong("it was changed after it was written, or is not ours");
    const parsed = Line.safeParse(entry);
    if (!parsed.success) throw this.wrong(this.#describe(entry, parsed.error));
    const line = parsed.data;
    if (line.seq !== this.#seq || line.prev !== this.#prev) {
      throw this.wrong("a line before it is missing, or there twice");
    }
    this.#prev = line.sha256;
    this.#check(line);
    return line;
  }

  /** After the last line. */
  finish(): void {
    this.#seq++;
    if (!this.#isOver) throw this.wrong("the file ends before its last line; it was cut off");
  }

  /** An error at the line that was read last. */
  wrong(text: string, cause?: unknown): AppError {
    return new AppError("usage", `line ${this.#seq}: ${text}`, { cause, params: { line: this.#seq } });
  }

  #check(line: FileLine): void {
    const wanted = this.#seq === 1 ? "header" : this.#seq === 2 ? "session" : undefined;
    const isFirst = line.type === "header" || line.type === "session";
    if (wanted === undefined ? isFirst : line.type !== wanted) {
      throw this.wrong(`no place for a line of type ${line.type}`);
    }
    if (line.type === "header" && line.version !== FORMAT_VERSION) {
      throw this.wrong(`format version ${line.version} is not known; this program reads ${FORMAT_VERSION}`);
    }
    if (line.type === "blob") this.#checkBlob(line);
    if (line.type === "event" && ++this.#events > LIMITS.importEventsMax) {
      throw this.wrong(`more than ${LIMITS.importEventsMax} events`);
    }
    if (line.type !== "end") return;
    if (line.events !== this.#events || line.blobs !== this.#blobs.size) {
      throw this.wrong("its counts are not those of the file");
    }
    this.#isOver = true;
  }

  #checkBlob({ content, bytes, data }: z.infer<typeof Blob>): void {
    if (this.#blobs.has(content)) throw this.wrong("this blob came before");
    if (bytes > LIMITS.blobBytesMax) throw this.wrong(`a blob has at most ${LIMITS.blobBytesMax} bytes`);
    const made = this.contentOf(data);
    if (made.length !== bytes || sha256Of(made) !== content) throw this.wrong("the blob is not what its hash says");
    this.#blobs.add(content);
  }

  /** The bytes of a blob's line. */
  contentOf(data: string): Uint8Array {
    try {
      return Uint8Array.fromBase64(data);
    } catch (cause) {
      throw this.wrong("the blob is no base64", cause);
    }
  }

  #describe(entry: unknown, error: z.ZodError): string {
    if (this.#seq === 1) return "this is no file that `oxydra sessions export` wrote";
    const issue = error.issues[0];
    const kind = String((entry as { type?: unknown }).type).slice(0, LIMITS.quotedCharsMax);
    return `${[kind, ...issue?.path ?? []].join(".")}: ${issue?.message ?? "invalid"}`;
  }
}
