import assert from "node:assert/strict";
import { toShellEnv } from "#/runner/shell_env.ts";

Deno.test("toShellEnv() has the zone, the listed names and what was handed over for the shell, and nothing else", () => {
  const env = { NPM_TOKEN: "n", OPENAI_API_KEY: "sk", HOME: "/home/a", SHELL_SESSION_ID: "mac", SHELL_X: "given" };
  const keys = ["NPM_TOKEN", "NOT_SET", "constructor"];
  const given = { SHELL_X: "given", SHELL_: "no name", OTHER: "guest's" };
  assert.deepEqual(toShellEnv({ keys, env, given, timezone: "Europe/Berlin" }), {
    TZ: "Europe/Berlin",
    NPM_TOKEN: "n",
    X: "given",
  });
});

Deno.test("toShellEnv() obeys a zone that was handed to the start, and one for the shell alone before it", () => {
  const of = (given: Record<string, string>) => toShellEnv({ keys: [], env: {}, given, timezone: "UTC" }).TZ;
  assert.equal(of({ TZ: "Asia/Tokyo" }), "Asia/Tokyo");
  assert.equal(of({ TZ: "Asia/Tokyo", SHELL_TZ: "Asia/Seoul" }), "Asia/Seoul");
});
