import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool, type Tool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of attachment_save, named as in the reference. */
export const AttachmentSaveArgs = z.strictObject({
  index: z.int().min(0).max(LIMITS.attachmentsPerTurnMax - 1).describe(
    "Which attachment of the person's message, counting from 0",
  ),
  path: pathArg("Where to save it, below /shared or /tmp"),
  overwrite: z.boolean().optional().describe("True to replace a file that is there. Default false."),
});
export type AttachmentSaveArgs = z.infer<typeof AttachmentSaveArgs>;

/** Saves an attachment of this turn's message as a file. `timeoutSecs` is `[tools.attachment_save] timeout_secs`. */
export function toAttachmentSave(timeoutSecs: number): Tool<AttachmentSaveArgs> {
  return defineTool<AttachmentSaveArgs>({
    name: "attachment_save",
    description: "Save one file that the person attached to this message below /shared or /tmp, byte for byte.",
    args: AttachmentSaveArgs,
    effect: "side_effecting",
    timeoutMs: timeoutSecs * 1_000,
    needs: (args) => [{
      kind: "fs.write",
      path: normalizeVirtualPath(args.path),
      mode: "write",
      bytesMax: LIMITS.attachmentBytesMax,
    }],
    run: { host: "attachment_save" },
  });
}
