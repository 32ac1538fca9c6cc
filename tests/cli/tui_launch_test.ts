import assert from "node:assert/strict";
import { nameTuiEntry } from "#/cli/tui_entries.ts";
import { readTerminalFacts, runTui, toTerminalMode } from "#/cli/tui_launch.ts";
import { denoEnv } from "../fixture/system.ts";
import { thisProgram } from "../fixture/workspace.ts";

Deno.test("toTerminalMode(): chat is a screen where one can be drawn, lines elsewhere; run is run", () => {
  const xterm = { isTerminal: true, term: "xterm" };
  const cases = [
    ["run", false, xterm, "run"],
    ["chat", false, xterm, "tui"],
    ["chat", true, xterm, "chat"],
    ["tui", false, xterm, "tui"],
    ["chat", false, { isTerminal: false, term: "xterm" }, "chat"],
    ["chat", false, { isTerminal: true, term: "dumb" }, "chat"],
    ["chat", false, { isTerminal: true, term: undefined }, "chat"],
    ["tui", false, { isTerminal: true, term: "dumb" }, "chat"],
  ] as const;
  for (const [mode, lines, facts, wanted] of cases) {
    assert.equal(toTerminalMode(mode, lines, facts), wanted, `${mode} ${lines} ${JSON.stringify(facts)}`);
  }
  assert.throws(() => toTerminalMode("tui", false, { isTerminal: false, term: "xterm" }), { code: "usage" });
});

Deno.test("readTerminalFacts() reads TERM and looks at stdin and stdout", () => {
  assert.equal(readTerminalFacts({ TERM: "vt100" }).term, "vt100");
  assert.equal(readTerminalFacts({}).isTerminal, Deno.stdin.isTerminal() && Deno.stdout.isTerminal());
});

Deno.test("nameTuiEntry() names the entry and loads nothing", () => assert.equal(typeof nameTuiEntry(), "function"));

Deno.test("runTui() ends with the code of its client", async () => {
  // Nobody wrote this endpoint: the gateway is gone before the terminal is touched.
  const lockPath = new URL("../../deno.lock", import.meta.url).pathname;
  const request = {
    mode: "tui",
    json: false,
    user: "ann",
    endpointPath: "/nowhere/endpoint",
    controlPath: "/nowhere/s",
  } as const;
  assert.equal(await runTui({ ...request, program: thisProgram(), env: denoEnv(), port: 1, lockPath }, request), 75);
});
