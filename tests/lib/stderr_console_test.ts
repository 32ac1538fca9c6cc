import assert from "node:assert/strict";
import { fromFileUrl } from "../fixture/source_tree.ts";

Deno.test("stderr_console.ts leaves stdout to frames, whatever a package prints", async () => {
  const module = new URL("../../src/lib/stderr_console.ts", import.meta.url).href;
  const code = `import ${JSON.stringify(module)};
    for (const name of ["log", "info", "debug", "warn", "error", "table", "dir"]) console[name]([{ from: name }]);`;
  const output = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      "--no-prompt",
      "--config",
      fromFileUrl(new URL("../../deno.json", import.meta.url)),
      `data:text/javascript,${encodeURIComponent(code)}`,
    ],
  }).output();
  assert.equal(new TextDecoder().decode(output.stdout), "");
  const shown = new TextDecoder().decode(output.stderr);
  for (const name of ["log", "info", "debug", "warn", "error", "table", "dir"]) {
    assert.ok(shown.includes(`"${name}"`), shown);
  }
});
