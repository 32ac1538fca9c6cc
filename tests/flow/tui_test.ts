/** The terminal client, src/cli/tui.ts, as a person starts it: real processes in a real terminal, and the terminal afterwards. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openPty, type Pty } from "../fixture/pty.ts";
import { SRC } from "../fixture/source_tree.ts";
import { denoEnv, isAlive, makeMachine, processTree, runOxydra, vendorEnv, waitUntil } from "../fixture/system.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { assertScreen } from "./tui_kit.ts";

interface Options {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

async function openCommand(args: readonly string[], options: Options = {}): Promise<Pty & { readonly cwd: string }> {
  const machine = await makeMachine();
  const cwd = options.cwd ?? machine.cwd;
  const root = join(SRC, "..");
  const command = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-prompt",
    "--config",
    `${root}/deno.json`,
    `${root}/mod.ts`,
    ...args,
  ];
  const env = { ...denoEnv(), HOME: machine.env.HOME!, ...options.env };
  const pty = await openPty({ command, cwd, env, columns: options.columns ?? 80, rows: options.rows ?? 24 });
  return { ...pty, cwd };
}

/** The process of this terminal whose command line has the word. */
function findProcess(pty: Pty, word: string): number {
  const found = processTree(pty.process.pid).find((pid) => {
    const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
    return words.some((each) => each.endsWith(word)) && words[0]!.endsWith("deno");
  });
  assert.ok(found, word);
  return found;
}

async function assertRestored(pty: Pty): Promise<void> {
  const all = pty.bytes();
  for (
    const [on, off] of [["\x1b[?2004h", "\x1b[?2004l"], ["\x1b[?25l", "\x1b[?25h"], ["\x1b[?2026h", "\x1b[?2026l"]]
  ) {
    assert.ok(all.lastIndexOf(off!) > all.lastIndexOf(on!), `${JSON.stringify(off)} is last`);
  }
  const modes = await pty.modes();
  for (const mode of ["icanon", "echo", "isig"]) assert.match(modes, new RegExp(`(^|\\s)${mode}\\b`), mode);
}

for (const columns of [60, 100]) {
  Deno.test(`a card in the terminal at ${columns} columns: shown as the runner made it, answered after Tab alone, and its turn goes on`, async () => {
    const vendor = await startFakeOpenAi((body) => {
      const results = toolResults(body);
      return results.length === 0
        ? reply([toolCall("file_read", { path: "/vault/key" }, { id: "call_1" })])
        : reply([text(`It said: ${results.at(-1)}`)]);
    });
    const machine = await makeMachine();
    const vault = join(machine.cwd, ".oxydra/workspaces/default/vault");
    await Deno.mkdir(vault, { recursive: true });
    await Deno.writeTextFile(join(vault, "key"), "rivers-run-4711");
    const pty = await openCommand(["tui", "--session", "vault"], {
      cwd: machine.cwd,
      columns,
      env: vendorEnv(vendor.url),
    });
    try {
      await pty.shows("Type a message");
      await pty.type("read the key\r");
      await pty.shows("Tab, then a key");
      await pty.type("y");
      await pty.shows("› y");
      await assertScreen(pty, "card", columns);
      await pty.type("\t");
      await pty.shows("y once");
      await assertScreen(pty, "card_chosen", columns);
      await pty.type("y");
      await pty.shows("It said: rivers-run-4711");
      await pty.type("\x15/sessions\r");
      await pty.shows("goes there");
      await assertScreen(pty, "sessions", columns);
      await pty.type("/exit\r");
      assert.equal(await pty.end(), 0);
      await assertRestored(pty);
      assert.doesNotMatch(pty.screen().join("\n"), /── /, "nothing of the live part stays");
    } finally {
      await vendor.close();
    }
  });
}

Deno.test("chat on a terminal is the screen; on one that is dumb, and from a pipe, it is lines", async () => {
  const screen = await openCommand(["chat"]);
  await screen.shows("/help lists commands");
  await screen.type("\x04");
  assert.equal(await screen.end(), 0);
  await assertRestored(screen);
  const dumb = await openCommand(["tui"], { env: { TERM: "dumb" } });
  await dumb.shows("Ctrl-C stops the running turn");
  await dumb.type("/exit\n");
  assert.equal(await dumb.end(), 0);
  assert.ok(!dumb.bytes().includes("\x1b[?"));
  const machine = await makeMachine();
  const piped = await runOxydra(["tui"], machine);
  assert.deepEqual([piped.code, piped.err.includes("tui needs a terminal")], [2, true], piped.err);
});

Deno.test("whatever ends the terminal client gives the terminal back: Ctrl-C, SIGTERM of either process, and SIGKILL of the client", async () => {
  const ways: readonly (readonly [string, (pty: Pty) => void | Promise<void>])[] = [
    ["Ctrl-C twice", (pty) => pty.type("\x03\x03")],
    ["SIGTERM of the launcher", (pty) => Deno.kill(findProcess(pty, "mod.ts"), "SIGTERM")],
    ["SIGTERM of the client", (pty) => Deno.kill(findProcess(pty, "cli/tui.ts"), "SIGTERM")],
    ["SIGKILL of the client", (pty) => Deno.kill(findProcess(pty, "cli/tui.ts"), "SIGKILL")],
    ["SIGKILL of the guest, then Ctrl-C", async (pty) => {
      Deno.kill(findProcess(pty, "app/guest.ts"), "SIGKILL");
      await pty.type("\x03\x03");
    }],
  ];
  for (const [what, end] of ways) {
    const pty = await openCommand(["tui"]);
    await pty.shows("Type a message");
    await pty.type("a message that is not sent");
    await pty.shows("not sent");
    const pids = processTree(pty.process.pid);
    await end(pty);
    await pty.end();
    await assertRestored(pty).catch((error) => assert.fail(`${what}: ${error.message}`));
    await waitUntil(() => pids.every((pid) => !isAlive(pid)), `${what}: nothing is left`);
  }
});

Deno.test("a launcher that is killed takes its terminal client along, which gives the terminal back", async () => {
  const pty = await openCommand(["tui"]);
  await pty.shows("Type a message");
  const pids = processTree(pty.process.pid);
  Deno.kill(findProcess(pty, "mod.ts"), "SIGKILL");
  await pty.end();
  await waitUntil(() => pids.every((pid) => !isAlive(pid)), "nothing is left");
  assert.ok(pty.bytes().lastIndexOf("\x1b[?25h") > pty.bytes().lastIndexOf("\x1b[?25l"));
});
