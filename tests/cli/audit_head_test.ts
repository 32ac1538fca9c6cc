import assert from "node:assert/strict";
import { join } from "node:path";
import { readAuditHead } from "#/cli/audit_head.ts";
import { entriesIn, freshDir, segmentsIn, writeLog } from "../sandbox/audit_kit.ts";

Deno.test("readAuditHead() is the last whole entry, also behind half a line of a crash; null where there is no log", async () => {
  const dir = freshDir();
  assert.equal(await readAuditHead(dir), null);
  assert.equal(await readAuditHead(join(dir, "gone")), null);
  const last = writeLog(dir, 600, { segmentBytesMax: 10_000 }).at(-1)!;
  const found = (await readAuditHead(dir))!;
  assert.deepEqual([found.seq, found.sha256], [last.seq, last.sha256]);
  Deno.writeTextFileSync(join(dir, segmentsIn(dir).at(-1)!), '{"half', { append: true });
  assert.deepEqual(await readAuditHead(dir), found);
  assert.equal(typeof found.at, "number");
});

Deno.test("readAuditHead() passes over a line that was changed, and takes no link, pipe, second name or folder for a log", async () => {
  const dir = freshDir();
  writeLog(dir, 3);
  const [before, last] = entriesIn(dir).slice(-2);
  const path = join(dir, segmentsIn(dir).at(-1)!);
  const text = Deno.readTextFileSync(path);
  Deno.writeTextFileSync(
    path,
    text.replace(last!.sha256, last!.sha256.replace(/^./, (char) => char === "0" ? "1" : "0")),
  );
  assert.equal((await readAuditHead(dir))!.sha256, before!.sha256);
  const elsewhere = join(Deno.makeTempDirSync(), "log");
  Deno.renameSync(path, elsewhere);
  const inPlace: readonly (() => unknown)[] = [
    () => Deno.symlinkSync(elsewhere, path),
    () => Deno.linkSync(elsewhere, path),
    () => Deno.mkdirSync(path),
    () => new Deno.Command("mkfifo", { args: [path] }).outputSync(),
  ];
  for (const make of inPlace) {
    make();
    await assert.rejects(readAuditHead(dir), { code: "audit_failed" });
    Deno.removeSync(path, { recursive: true });
  }
  assert.equal(await readAuditHead(dir), null);
  Deno.symlinkSync(dir, `${dir}-link`);
  await assert.rejects(readAuditHead(`${dir}-link`), { code: "audit_failed" });
});
