import assert from "node:assert/strict";
import { lookThrough } from "#/sandbox/shell_rules_wrappers.ts";

const words = (text: string) =>
  text.split(" ").map((word) => ({ source: word, text: word.startsWith("$") ? undefined : word }));
const look = (text: string) => lookThrough({ words: words(text), name: text.split(" ")[0]! });

Deno.test("lookThrough() gives the command behind options that it knows", () => {
  assert.deepEqual(look("nice -n 5 ls x"), [{ kind: "command", words: words("ls x") }]);
  assert.deepEqual(look("ls x"), [{ kind: "nothing" }]);
  assert.deepEqual(look("command -v ls"), [{ kind: "nothing" }]);
  assert.deepEqual(look("toString x"), [{ kind: "nothing" }]);
});

Deno.test("lookThrough() gives up at an option that it does not know", () => {
  assert.deepEqual(look("nice --what ls"), [{ kind: "dynamic", source: "--what" }]);
  assert.deepEqual(look("env $X ls"), [{ kind: "dynamic", source: "$X" }]);
});

Deno.test("lookThrough() remembers that xargs and find put words in", () => {
  assert.deepEqual(look("xargs -I % ls %"), [{ kind: "command", words: words("ls %"), replaced: "%", appended: true }]);
  assert.deepEqual(look("find . -exec ls {} ; -delete"), [{ kind: "command", words: words("ls {}"), replaced: "{}" }]);
  assert.deepEqual(look("xargs -0"), [{ kind: "nothing" }]);
  const put = lookThrough({ words: words("{}"), name: "{}", replaced: "{}" });
  assert.deepEqual(put, [{ kind: "dynamic", source: "{}" }]);
});
