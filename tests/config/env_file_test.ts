import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { parseEnvEntry, parseEnvFile, readEnvFile } from "#/config/env_file.ts";

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    assert.equal((error as { code?: string }).code, "usage");
    return (error as Error).message;
  }
  throw new assert.AssertionError({ message: "it was taken" });
};

Deno.test("parseEnvEntry() takes the name before the first equals sign and everything behind it", () => {
  assert.deepEqual(parseEnvEntry("A=b=c", "--env"), ["A", "b=c"]);
  assert.deepEqual(parseEnvEntry("_x1=", "--env"), ["_x1", ""]);
});

Deno.test("parseEnvEntry() says what is wrong and never what was written: it may be a key", () => {
  for (const entry of ["sk-secret", "sk-secret=1", "=sk-secret", "1A=sk-secret", "A B=sk-secret", "A=sk-secret\0"]) {
    const message = refusal(() => parseEnvEntry(entry, "--env"));
    assert.match(message, /^--env: /);
    assert.ok(!message.includes("sk-secret"), message);
  }
});

Deno.test("parseEnvFile() reads one variable a line, and nothing but quotes around a value is special", () => {
  const text = [
    "# a comment",
    "",
    "A=1",
    "  export B = spaced ",
    'C="two words"',
    "D='x'",
    'E="half',
    "F=$A\\n#no comment",
    "A=2",
  ];
  assert.throws(() => parseEnvFile(text.join("\r\n"), ".env"), { code: "usage", message: /^\.env:4: / });
  text[3] = "export B=spaced ";
  assert.deepEqual(parseEnvFile(text.join("\r\n"), ".env"), {
    A: "2",
    B: "spaced",
    C: "two words",
    D: "x",
    E: '"half',
    F: "$A\\n#no comment",
  });
  assert.deepEqual(parseEnvFile("", ".env"), {});
});

Deno.test("readEnvFile() wants a file that only its owner can read when it is asked to, and says how to make it one", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, ".env");
    assert.equal(readEnvFile(path), undefined);
    Deno.writeTextFileSync(path, "A=1\n", { mode: 0o644 });
    assert.deepEqual(readEnvFile(path), { A: "1" });
    assert.match(refusal(() => readEnvFile(path, { isPrivate: true })), /chmod 600/);
    Deno.chmodSync(path, 0o600);
    assert.deepEqual(readEnvFile(path, { isPrivate: true }), { A: "1" });
    assert.match(refusal(() => readEnvFile(dir)), /is a folder/);
    Deno.writeFileSync(path, new Uint8Array(LIMITS.configBytesMax + 1).fill(35));
    assert.match(refusal(() => readEnvFile(path)), /is larger than/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
