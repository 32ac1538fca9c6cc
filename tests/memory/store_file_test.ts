import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { backUpStoreFile, lockStoreFile } from "#/memory/store_file.ts";

Deno.test("lockStoreFile() is exclusive, also within one process, until release()", async () => {
  await inFolder((folder) => {
    const path = `${folder}/new/deep/a.db`;
    const held = lockStoreFile(path);
    assert.deepEqual([held.name, held.bytes, held.isUnclean], ["a.db", 0, false]);
    assert.throws(() => lockStoreFile(path), hasCode("lock_held"));
    lockStoreFile(`${folder}/new/deep/b.db`).release();
    held.release();
    held.release();
    const again = lockStoreFile(path);
    again.release();
    assert.equal(Deno.statSync(`${folder}/new/deep`).mode! & 0o777, 0o700);
  });
});

Deno.test("lockStoreFile() sees what an unclean close left", async () => {
  await inFolder((folder) => {
    const path = `${folder}/a.db`;
    Deno.writeTextFileSync(path, "12345");
    Deno.writeTextFileSync(`${path}-wal`, "");
    const clean = lockStoreFile(path);
    assert.deepEqual([clean.bytes, clean.isUnclean], [5, false]);
    clean.release();
    Deno.writeTextFileSync(`${path}-wal`, "x");
    const unclean = lockStoreFile(path);
    assert.ok(unclean.isUnclean);
    unclean.release();
  });
});

Deno.test("lockStoreFile() refuses what cannot be a file, and holds nothing after that", async () => {
  await inFolder((folder) => {
    for (const path of ["", "a.db", "./a.db", ":memory:", "file:///a.db", `${folder}/`]) {
      assert.throws(() => lockStoreFile(path), RangeError, path);
    }
    Deno.mkdirSync(`${folder}/a.db`);
    Deno.writeTextFileSync(`${folder}/file`, "");
    for (const path of [`${folder}/a.db`, `${folder}/file/a.db`]) {
      assert.throws(() => lockStoreFile(path), hasCode("store_failed"), path);
    }
    Deno.removeSync(`${folder}/a.db`);
    lockStoreFile(`${folder}/a.db`).release();
  });
});

Deno.test("backUpStoreFile() copies whole, in place of an older copy, and not beside a live write-ahead log", async () => {
  await inFolder((folder) => {
    const file = lockStoreFile(`${folder}/a.db`);
    for (const text of ["first", "second"]) {
      Deno.writeTextFileSync(file.path, text);
      backUpStoreFile(file, 3);
      assert.equal(Deno.readTextFileSync(`${file.path}.v3.bak`), text);
    }
    assert.equal(Deno.statSync(`${file.path}.v3.bak`).mode! & 0o777, 0o600);
    Deno.writeTextFileSync(`${file.path}-wal`, "live");
    Deno.writeTextFileSync(file.path, "third");
    assert.throws(() => backUpStoreFile(file, 3), hasCode("store_failed"));
    assert.equal(Deno.readTextFileSync(`${file.path}.v3.bak`), "second");
    Deno.removeSync(`${file.path}-wal`);
    Deno.removeSync(file.path);
    assert.throws(() => backUpStoreFile(file, 3), hasCode("store_failed"));
    assert.equal(Deno.readTextFileSync(`${file.path}.v3.bak`), "second");
    file.release();
  });
});

async function inFolder(body: (folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code && !error.message.includes("/");
}
