import assert from "node:assert/strict";
import { join } from "node:path";
import { toOwnEnvFile } from "#/config/env_file.ts";
import { readGivenEnv } from "#/cli/given_env.ts";

Deno.test("readGivenEnv() lays --env over --env-file over the person's own .env", async () => {
  const home = await Deno.makeTempDir();
  try {
    const inherited = { HOME: home, FROM: "outside" };
    assert.deepEqual(readGivenEnv({}, inherited), {});
    Deno.mkdirSync(join(home, ".config", "oxydra"), { recursive: true });
    Deno.writeTextFileSync(toOwnEnvFile(home), "A=own\nB=own\nC=own\n", { mode: 0o600 });
    const envFile = join(home, "some.env");
    Deno.writeTextFileSync(envFile, "B=file\nC=file\n");
    const given = readGivenEnv({ envFile, env: ["C=line", "D=x=y", "FROM"] }, inherited);
    assert.deepEqual(given, { A: "own", B: "file", C: "line", D: "x=y", FROM: "outside" });
    assert.deepEqual(readGivenEnv({ env: ["D="] }, {}), { D: "" });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("readGivenEnv() refuses a name that is not set and a file that is not there", () => {
  for (const env of [["NOPE"], ["toString"], [""]]) {
    assert.throws(() => readGivenEnv({ env }, {}), { code: "usage", message: /NAME that is set here/ });
  }
  assert.throws(() => readGivenEnv({ env: ["TZ=Nowhere/At_all"] }, {}), { code: "usage", message: /^TZ: / });
  assert.throws(() => readGivenEnv({ envFile: "/no/such/file" }, {}), { code: "usage", message: /there is no file/ });
});
