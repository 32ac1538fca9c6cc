import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { vaultCopyto, VaultCopytoArgs } from "#/tools/vault_copyto.ts";

Deno.test("vault_copyto needs the one file that it reads and the one that it writes, in their one form", () => {
  const args = { source_path: "/vault//a/cert.pem", destination_path: "/shared/cert.pem/", overwrite: true };
  assert.deepEqual(vaultCopyto.needs(args), [
    { kind: "fs.read", path: "/vault/a/cert.pem", scope: "file", bytesMax: LIMITS.fileBytesMax },
    { kind: "fs.write", path: "/shared/cert.pem", mode: "write", bytesMax: LIMITS.fileBytesMax },
  ]);
  assert.deepEqual([vaultCopyto.effect, vaultCopyto.run], ["side_effecting", { host: "vault_copyto" }]);
});

Deno.test("vault_copyto takes no path out of the roots, and its arguments are strict", () => {
  const good = { source_path: "/vault/a", destination_path: "/tmp/a" };
  for (const path of ["/etc/passwd", "../vault/a", "/vault/../../etc/passwd", "/vault/a\0", "/internal/x"]) {
    assert.throws(() => vaultCopyto.needs({ ...good, source_path: path }), (error: { code?: string }) => {
      assert.match(error.code ?? "", /^path_(invalid|outside)$/, path);
      return true;
    });
    assert.throws(() => vaultCopyto.needs({ ...good, destination_path: path }), path);
  }
  assert.ok(VaultCopytoArgs.safeParse(good).success);
  const long = `/vault/${"x".repeat(LIMITS.pathBytesMax)}`;
  for (
    const wrong of [
      { source_path: "/vault/a" },
      { ...good, overwrite: "yes" },
      { ...good, mode: "0777" },
      { ...good, source_path: "" },
      { ...good, source_path: long },
      { ...good, source_path: ["/vault/a", "/vault/b"] },
    ]
  ) {
    assert.ok(!VaultCopytoArgs.safeParse(wrong).success, JSON.stringify(wrong).slice(0, 80));
  }
});
