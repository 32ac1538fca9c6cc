import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { defineTool } from "#/core/tool.ts";
import { normalizeVirtualPath } from "#/core/normalize_path.ts";
import { pathArg } from "#/tools/path_arg.ts";

/** Arguments of vault_copyto, named as in the reference. */
export const VaultCopytoArgs = z.strictObject({
  source_path: pathArg("File in the vault, e.g. /vault/certificate.pem"),
  destination_path: pathArg("Where the copy goes, below /shared or /tmp"),
  overwrite: z.boolean().optional().describe("True to replace a file that is there. Default false."),
});
export type VaultCopytoArgs = z.infer<typeof VaultCopytoArgs>;

/** Copies one file out of the vault: first it is read, with that power alone, then it is written, with that power alone. */
export const vaultCopyto = defineTool<VaultCopytoArgs>({
  name: "vault_copyto",
  description: "Copy one file from /vault to /shared or /tmp without showing its content to anybody. " +
    "The person is asked first. Use it when a program needs the file; to read it yourself use file_read.",
  args: VaultCopytoArgs,
  effect: "side_effecting",
  timeoutMs: 30_000,
  needs: (args) => [
    { kind: "fs.read", path: normalizeVirtualPath(args.source_path), scope: "file", bytesMax: LIMITS.fileBytesMax },
    {
      kind: "fs.write",
      path: normalizeVirtualPath(args.destination_path),
      mode: "write",
      bytesMax: LIMITS.fileBytesMax,
    },
  ],
  run: { host: "vault_copyto" },
});
