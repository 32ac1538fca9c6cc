import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { editToml } from "#/config/edit_toml.ts";

const SELECTION = { table: ["selection"], values: { provider: "openai", model: "gpt-x" } };

Deno.test("editToml() writes a table into an empty text and behind a full one", () => {
  assert.equal(editToml("", SELECTION), '[selection]\nprovider = "openai"\nmodel = "gpt-x"\n');
  const before = "# mine\n[runtime]\nmax_turns = 5 # few";
  assert.equal(editToml(before, SELECTION), `${before}\n\n[selection]\nprovider = "openai"\nmodel = "gpt-x"\n`);
});

Deno.test("editToml() changes, adds and takes out keys, and leaves every other line as it was", () => {
  const before = '# a\n[selection] # b\nprovider = "old" # c\nstale = "x"\n\n[runtime]\nmax_turns = 5\n';
  const after = editToml(before, { table: ["selection"], values: { provider: "new", model: "m", stale: undefined } });
  assert.equal(after, '# a\n[selection] # b\nmodel = "m"\nprovider = "new"\n\n[runtime]\nmax_turns = 5\n');
});

Deno.test("editToml() finds a table however it is written", () => {
  const edit = { table: ["providers", "registry", "my llm"], values: { base_url: "http://x" } };
  for (
    const before of [
      '[providers.registry."my llm"]\nprovider_type = "openai"\nbase_url = "y"\n',
      '[providers.registry."my llm"]\n',
    ]
  ) {
    const after = editToml(before, edit);
    assert.equal(editToml(after, edit), after, before);
    assert.ok(after.includes('base_url = "http://x"') || after.includes('"http://x"'), after);
  }
});

Deno.test("editToml() writes what TOML must escape", () => {
  const value = 'a"b\\c\td\u007f';
  const after = editToml("", { table: ["t"], values: { k: value } });
  assert.equal(editToml(after, { table: ["t"], values: { k: value } }), after);
});

Deno.test("editToml() refuses what it would get wrong, without showing a line of the file", () => {
  const secret = "sk-hunter2";
  for (
    const before of [
      `selection = { provider = "${secret}" }\n`,
      `selection = "${secret}"\n`,
      `selection.provider = "${secret}"\n`,
      `[[selection]]\nprovider = "${secret}"\n`,
      `[selection]\nprovider = """\n${secret}"""\n`,
      `[selection\nprovider = "${secret}"\n`,
    ]
  ) {
    assert.throws(() => editToml(before, SELECTION), (error) => {
      assert.ok(error instanceof AppError && error.code === "config_invalid", before);
      return !error.message.includes(secret);
    });
  }
});
