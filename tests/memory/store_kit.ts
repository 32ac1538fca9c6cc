import { DatabaseSync } from "node:sqlite";
import { openEventLog } from "#/memory/sqlite.ts";
import { blobOf, messageOf, sessionOf } from "../contract/event_samples.ts";

/** What a message of tests says after a name. */
export const WORDS = { name: "b.db", remedy: "leave it" };

/** Runs `body` with an empty folder. */
export async function inFolder(body: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = Deno.realPathSync(await Deno.makeTempDir());
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Makes a closed event log of `count` events and one blob. */
export async function makeStore(path: string, count: number, text = "x"): Promise<void> {
  const log = await openEventLog({ path, now: Date.now });
  await log.ensureSession(sessionOf("s"));
  const blobs = [await blobOf(new TextEncoder().encode("a blob"))];
  for (let at = 0; at < count; at++) {
    await log.append("s", `t${at}`, [{ ...messageOf(`${text}${at}`), blobs }], { durability: "normal" });
  }
  await log.close();
}

/** Texts of the events of a closed or live store. */
export function textsOf(path: string): readonly unknown[] {
  const db = new DatabaseSync(path);
  const rows = db.prepare("SELECT payload ->> 'text' AS text FROM events WHERE type <> 'turn_cancelled' ORDER BY id")
    .all();
  db.close();
  return rows.map((row) => row["text"]);
}

/** Runs SQL on a closed store. */
export function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

/** Names in a folder, sorted. */
export function namesIn(folder: string): readonly string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** How a backup can be unusable: the file, what the refusal is and says. */
export const DAMAGES: readonly (readonly [
  what: string,
  damage: (path: string) => void,
  code: string,
  message: RegExp,
])[] = [
  [
    "cut off",
    (path) => Deno.truncateSync(path, Deno.statSync(path).size - 1),
    "store_corrupt",
    /cut off \(\d+ of \d+ bytes\)/,
  ],
  ["half of it", (path) => Deno.truncateSync(path, Deno.statSync(path).size / 2), "store_corrupt", /cut off/],
  ["empty", (path) => Deno.truncateSync(path, 0), "store_corrupt", /is no backup of an event log/],
  ["99 bytes", (path) => Deno.truncateSync(path, 99), "store_corrupt", /is no backup of an event log/],
  [
    "a text",
    (path) => Deno.writeTextFileSync(path, "hello\n".repeat(999)),
    "store_corrupt",
    /is no backup of an event log/,
  ],
  [
    "pages of noise",
    (path) => {
      using file = Deno.openSync(path, { write: true });
      file.seekSync(4_096, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(12_288).fill(0xa5));
    },
    "store_corrupt",
    /is damaged \(/,
  ],
  [
    "another program's",
    (path) => change(path, "PRAGMA application_id=7"),
    "store_corrupt",
    /database of another program/,
  ],
  ["no schema", (path) => change(path, "PRAGMA user_version=0"), "store_corrupt", /tables that no version/],
  [
    "a newer one",
    (path) => change(path, "PRAGMA user_version=99"),
    "store_newer",
    /newer version.*schema 99.*update the program/,
  ],
  [
    "a trigger",
    (path) => change(path, "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events; END"),
    "store_corrupt",
    /tables that no version/,
  ],
  ["a view", (path) => change(path, "CREATE VIEW v AS SELECT 1"), "store_corrupt", /tables that no version/],
  ["a table more", (path) => change(path, "CREATE TABLE extra (a)"), "store_corrupt", /tables that no version/],
  [
    "a column more",
    (path) => change(path, "ALTER TABLE turns ADD COLUMN extra TEXT"),
    "store_corrupt",
    /tables that no version/,
  ],
  ["an index less", (path) => change(path, "DROP INDEX turns_open"), "store_corrupt", /tables that no version/],
];
