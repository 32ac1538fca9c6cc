import assert from "node:assert/strict";
import { join } from "node:path";
import { Secret } from "#/lib/secret.ts";
import { resolveCredentialRefs } from "#/config/credential_refs.ts";

Deno.test("resolveCredentialRefs() looks up variables and files, and takes anything else as the value", async () => {
  const home = await Deno.makeTempDir();
  try {
    Deno.writeTextFileSync(join(home, "key"), "from file\r\n");
    const refs = {
      a: new Secret("env:A"),
      unset: new Secret("env:NOPE"),
      inherited: new Secret("env:constructor"),
      absolute: new Secret(`file:${join(home, "key")}`),
      ofHome: new Secret("file:~/key"),
      literal: new Secret("ghp_1:2"),
      nothing: undefined,
    };
    const { values, notes } = resolveCredentialRefs(refs, { env: { A: "from env" }, home });
    assert.deepEqual(values, { a: "from env", absolute: "from file", ofHome: "from file", literal: "ghp_1:2" });
    assert.deepEqual(notes, []);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("resolveCredentialRefs() says which entry has no value and why, without its text", () => {
  const refs = { v: new Secret("vault:secret/x#k"), f: new Secret("file:/no/such/file"), d: new Secret("file:/") };
  const { values, notes } = resolveCredentialRefs(refs, { env: {}, home: undefined });
  assert.deepEqual(values, {});
  assert.deepEqual(notes, [
    "credential_refs.v: there is no secret store here; write env:NAME or file:/path",
    "credential_refs.f: its file is not there",
    "credential_refs.d: its file is a folder, expected a file",
  ]);
});
