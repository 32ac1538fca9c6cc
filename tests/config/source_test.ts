import assert from "node:assert/strict";
import { RunnerFile } from "#/config/schema.ts";
import { checkSource, lineIn, originIn, problemIn, type RawSource } from "#/config/source.ts";

const RAW: RawSource = {
  layer: "user",
  place: "runner.toml",
  file: "/h/runner.toml",
  at: ["runner"],
  profile: [],
  lines: new Map([["web", 2], ["web.bind", 3], ["web.bnd", 4]]),
  raw: { web: { bind: "127.0.0.1:1", bnd: 1 } },
  trusted: true,
};

Deno.test("checkSource() puts a file's keys where they belong in Config and speaks of them as written", () => {
  const { source, problems, wrong } = checkSource(RAW, RunnerFile);
  assert.equal(JSON.stringify(source.tree), '{"runner":{"web":{"bind":"127.0.0.1:1"}}}');
  assert.deepEqual(problems, [{
    code: "config_invalid",
    place: "runner.toml",
    line: 4,
    key: "web.bnd",
    sentence: "unknown key; the nearest known key is bind",
  }]);
  assert.deepEqual(wrong, ["runner.web.bnd"]);
});

Deno.test("lineIn() falls back to the table around a key; originIn() and problemIn() use it", () => {
  const { source } = checkSource(RAW, RunnerFile);
  assert.equal(lineIn(source, ["runner", "web", "bind"]), 3);
  assert.equal(lineIn(source, ["runner", "web", "auth_mode"]), 2);
  assert.equal(lineIn(source, ["runner", "users"]), undefined);
  assert.deepEqual(originIn(source, ["runner", "web", "bind"]), { layer: "user", file: "/h/runner.toml", line: 3 });
  assert.equal(problemIn(source, ["runner", "web", "bind"], "x", "config_untrusted").code, "config_untrusted");
});
