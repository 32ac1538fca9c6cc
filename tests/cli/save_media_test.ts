import assert from "node:assert/strict";
import { join } from "node:path";
import { prepareMediaFolder, saveMedia } from "#/cli/save_media.ts";

const HASH = "039058c6f2c0";
const file = { data: "AQID", file_name: "cat.png" };

async function inFolder(check: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await check(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("saveMedia() writes a file that its content names, and says where", async () => {
  await inFolder(async (dir) => {
    assert.equal(await saveMedia(file, dir), `saved as ${dir}/${HASH}.png`);
    assert.deepEqual(Deno.readFileSync(join(dir, `${HASH}.png`)), new Uint8Array([1, 2, 3]));
    assert.equal(await saveMedia(file, dir), `saved as ${dir}/${HASH}.png`);
    assert.deepEqual(namesIn(dir), [`${HASH}.png`]);
  });
});

Deno.test("saveMedia() takes nothing of a name but a plain ending, and changes nothing that is there", async () => {
  await inFolder(async (dir) => {
    for (const file_name of ["../../evil", "a.PNG", "x.tar.gz/..", ".\x1b[2J", undefined, 5, `a.${"x".repeat(9)}`]) {
      assert.equal(await saveMedia({ data: "AQID", file_name }, dir), `saved as ${dir}/${HASH}.bin`);
    }
    assert.deepEqual(namesIn(dir), [`${HASH}.bin`]);
    Deno.writeTextFileSync(join(dir, "target"), "mine");
    Deno.symlinkSync(join(dir, "target"), join(dir, `${HASH}.gif`));
    await saveMedia({ data: "AQID", file_name: "a.gif" }, dir);
    assert.equal(Deno.readTextFileSync(join(dir, "target")), "mine");
  });
});

Deno.test("saveMedia() says why it could not, and never throws", async () => {
  await inFolder(async (dir) => {
    assert.match(await saveMedia({ data: "no base64!", file_name: "a.png" }, dir), /^could not be saved: /);
    assert.match(await saveMedia({}, dir), /^could not be saved: /);
    assert.match(await saveMedia(file, join(dir, "none")), /^could not be saved: .*No such file/);
    assert.deepEqual(namesIn(dir), []);
  });
});

Deno.test("prepareMediaFolder() makes the folder and gives its real place, or refuses", async () => {
  await inFolder((dir) => {
    const real = Deno.realPathSync(dir);
    assert.equal(prepareMediaFolder(join(dir, "a/b")), join(real, "a/b"));
    Deno.symlinkSync(join(dir, "a/b"), join(dir, "link"));
    assert.equal(prepareMediaFolder(join(dir, "link")), join(real, "a/b"));
    Deno.writeTextFileSync(join(dir, "file"), "");
    assert.throws(() => prepareMediaFolder(join(dir, "file/x")), { code: "usage", message: /--save-media/ });
  });
});
