import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { AttachmentSaveArgs, toAttachmentSave } from "#/tools/attachment_save.ts";

Deno.test("toAttachmentSave() needs the one file that it writes, for as long as the person set", () => {
  const tool = toAttachmentSave(7);
  assert.deepEqual(tool.needs({ index: 0, path: "/shared//in/a.png" }), [
    { kind: "fs.write", path: "/shared/in/a.png", mode: "write", bytesMax: LIMITS.attachmentBytesMax },
  ]);
  assert.deepEqual([tool.name, tool.timeoutMs, tool.effect, tool.run], [
    "attachment_save",
    7_000,
    "side_effecting",
    { host: "attachment_save" },
  ]);
  assert.throws(() => tool.needs({ index: 0, path: "/shared/../../etc/cron.d/x" }), { code: "path_invalid" });
});

Deno.test("attachment_save takes an index that a message can have, and nothing beside its arguments", () => {
  const isGood = (value: unknown) => AttachmentSaveArgs.safeParse(value).success;
  const path = "/shared/a";
  for (const index of [0, LIMITS.attachmentsPerTurnMax - 1]) assert.ok(isGood({ index, path }));
  for (
    const wrong of [
      { path },
      { index: 0 },
      { index: -1, path },
      { index: LIMITS.attachmentsPerTurnMax, path },
      { index: 0.5, path },
      { index: "0", path },
      { index: 0, path, session: "other" },
      { index: 0, path, turn: "other" },
      { index: 0, path: "" },
    ]
  ) assert.ok(!isGood(wrong), JSON.stringify(wrong));
});
