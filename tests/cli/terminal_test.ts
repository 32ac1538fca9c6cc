import assert from "node:assert/strict";
import { join } from "node:path";
import { Terminal } from "#/cli/terminal.ts";
import { SRC } from "../fixture/source_tree.ts";

/** What a program that asks three times gets from this stdin; questions are on stderr. */
async function ask(stdin: string): Promise<{ out: unknown; err: string }> {
  const script = `
    import { Terminal } from "#/cli/terminal.ts";
    const t = new Terminal();
    t.say("hi");
    console.log(JSON.stringify([await t.ask("a? ") ?? null, await t.askSecret("b? ") ?? null, await t.ask("c? ") ?? null]));
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", join(SRC, "../deno.json"), script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await new Blob([stdin]).stream().pipeTo(child.stdin);
  const { stdout, stderr } = await child.output();
  const text = new TextDecoder().decode(stdout);
  return { out: text === "" ? undefined : JSON.parse(text), err: new TextDecoder().decode(stderr) };
}

Deno.test("Terminal takes a line for each question, whatever ends it, and says when there are no more", async () => {
  assert.deepEqual((await ask("one\n two \r\nthree")).out, ["one", "two", "three"]);
  assert.deepEqual((await ask("one\n\n")).out, ["one", "", null]);
  assert.deepEqual((await ask("")).out, [null, null, null]);
  assert.deepEqual((await ask("ä\nö\nü\n")).out, ["ä", "ö", "ü"]);
});

Deno.test("Terminal asks on stderr and refuses a line without an end", async () => {
  assert.equal((await ask("1\n2\n3\n")).err, "hi\na? \nb? \nc? \n");
  assert.match((await ask("x".repeat(10_000))).err, /a line of more than 8192 bytes/);
});

Deno.test("Terminal knows whether a person sits at it", () => {
  assert.equal(new Terminal().isTerminal, Deno.stdin.isTerminal());
});
