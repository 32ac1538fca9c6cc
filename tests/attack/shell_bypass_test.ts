/**
 * Rules about commands are a convenience, and these are the published ways round them: each is run behind the walls, where the host sees
 * that it reaches nothing, and without them, where the host sees that it would.
 */
import assert from "node:assert/strict";
import { SHELL_CASES } from "./shell_cases.ts";
import { type Effect, ShellHouse } from "./shell_house.ts";

const PATH = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
const WORDS: Readonly<Record<Effect, string>> = {
  reads: "read a file or a variable of the host",
  writes: "write to a folder of the host",
  connects: "reach a socket of the host",
  ends: "end a process of the host",
};

for (const effect of ["reads", "writes", "connects", "ends"] as const) {
  Deno.test(`no command behind the walls can ${WORDS[effect]}`, async (test) => {
    await using house = await ShellHouse.open();
    const cases = SHELL_CASES.filter((one) => one.effect === effect);
    const tried = cases.filter(({ needs }) => needs === undefined || isHere(needs));
    for (const { what, command, unproven } of tried) {
      await test.step(what, async () => {
        const walled = await house.walled(command);
        assert.deepEqual([...walled.effects], [], `behind the walls: ${walled.said.slice(0, 2_000)}`);
        if (unproven !== undefined) return;
        const free = await house.free(command);
        assert.ok(free.effects.has(effect), `it is no attack: ${free.said.slice(0, 2_000)}`);
      });
    }
    const missing = new Set(cases.filter((one) => !tried.includes(one)).map(({ needs }) => needs));
    const note = missing.size === 0 ? "" : `; not tried, for they are not here: ${[...missing].join(", ")}`;
    console.log(`${tried.length} of ${cases.length} attacks that would ${WORDS[effect]}${note}`);
    assert.ok(tried.length > cases.length / 2, note);
  });
}

function isHere(program: string): boolean {
  return PATH.some((dir) => {
    try {
      return Deno.statSync(`${dir}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}
