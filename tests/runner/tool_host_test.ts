import assert from "node:assert/strict";
import { join } from "node:path";
import type { ToolRequest } from "#/core/capability.ts";
import { WebSearchConfig } from "#/tools/config.ts";
import { openTools, planToolChild, type ToolHost, type ToolHostInput } from "#/runner/tool_host.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import { isAlive } from "../fixture/system.ts";
import { makeFolders, thisProgram, TOOL_HOST_DEFAULTS } from "../fixture/workspace.ts";

const never = new AbortController().signal;

function toInput(folders = makeFolders(), plan = TOOL_HOST_DEFAULTS.plan): ToolHostInput {
  return { ...TOOL_HOST_DEFAULTS, folders, plan };
}

const open = (...place: Parameters<typeof toInput>): Promise<ToolHost> => openTools(toInput(...place));

function call(tool: string, args: unknown): ToolRequest {
  const principal = { user: "default", agent: ["default"], origin: "channel" } as const;
  return { principal, session: "s", turn: "t", callId: crypto.randomUUID(), tool, args };
}

Deno.test("openTools() runs the file tools in children of its own, which go with it", async () => {
  const folders = makeFolders();
  const host = await open(folders);
  assert.deepEqual(host.childPids, [], "nobody asked for one yet");
  await host.warm();
  const [pid] = host.childPids;
  assert.ok(pid !== undefined && isAlive(pid));
  const wrote = await host.broker.call(call("file_write", { path: "/shared/a.txt", content: "rivers run" }), never);
  assert.equal(wrote.kind, "ok", wrote.text);
  const read = await host.broker.call(call("file_read", { path: "/shared/a.txt" }), never);
  assert.match(read.text, /rivers run/);
  assert.equal(await Deno.readTextFile(join(folders.shared, "a.txt")), "rivers run");
  const pids = host.childPids;
  await host.close();
  assert.deepEqual(pids.filter(isAlive), []);
});

Deno.test("openTools() ends what a deleted session has in each part, and knows by its log that its calls ran", async () => {
  const folders = makeFolders();
  const ended: string[] = [];
  const browsers: Browsers = {
    run: () => Promise.reject(new TypeError("nobody browses")),
    end: (session) => Promise.resolve(void ended.push(session)),
    close: () => Promise.resolve(),
    pids: [],
  };
  const host = await openTools({ ...toInput(folders), browsers });
  const wrote = call("file_write", { path: "/shared/a.txt", content: "secret words" });
  const first = await host.broker.call(wrote, never);
  assert.equal(first.kind, "ok", first.text);
  const asked = await host.broker.call(call("file_read", { path: "/vault/key" }), never);
  assert.equal(asked.kind, "ask", asked.text);
  assert.equal((await host.broker.call({ ...wrote, resumed: true }, never)).text, first.text);
  await host.broker.forget("s");
  assert.deepEqual([ended, host.approvals.pending], [["s"], []]);
  const again = await host.broker.call({ ...wrote, resumed: true }, never);
  assert.match(again.text, /what it said is lost. It was not run a second time/);
  await host.close();
});

Deno.test("openTools() warms the file tools alone: a child of the web tools costs what most turns do not need", async () => {
  const host = await open();
  await host.warm();
  await host.warm();
  assert.equal(host.childPids.length, 1);
  const names = await host.broker.call(call("no_such_tool", {}), never);
  assert.match(names.text, /web_fetch, web_search/);
  await host.close();
});

Deno.test("openTools() grants web_search what the person's settings name", async () => {
  const webSearch = WebSearchConfig.parse({ provider: "searxng", base_url: "http://search.example:81" });
  const host = await open(makeFolders(), { ...TOOL_HOST_DEFAULTS.plan, settings: { webSearch } });
  const asked = await host.broker.call(call("web_search", { query: "q" }), never);
  assert.match(asked.text, /search\.example/, "port 81 is no port of the web: the policy names what it was asked for");
  await host.close();
});

Deno.test("openTools() keeps what was overwritten in the runner's own folder, and hides the host path from the model", async () => {
  const folders = makeFolders();
  const host = await open(folders);
  for (const content of ["one", "two"]) {
    const { kind } = await host.broker.call(call("file_write", { path: "/shared/a", content }), never);
    assert.equal(kind, "ok");
  }
  await Deno.writeTextFile(join(folders.shared, "b"), folders.root);
  const read = await host.broker.call(call("file_read", { path: "/shared/b" }), never);
  assert.ok(!read.text.includes(folders.root), read.text);
  await host.close();
  assert.ok([...Deno.readDirSync(join(folders.run, "kept"))].length > 0);
});

Deno.test("openTools() asks the policy that ships: no vault, no folder of ours, nobody else's tools", async () => {
  const folders = makeFolders();
  await Deno.writeTextFile(join(folders.vault, "key"), "secret");
  const host = await open(folders);
  const outcomes = [
    await host.broker.call(call("file_read", { path: "/vault/key" }), never),
    await host.broker.call(call("file_read", { path: "/internal/oxydra.db" }), never),
    await host.broker.call(call("shell", { command: "id" }), never),
    await host.broker.call({
      ...call("file_list", { path: "/shared" }),
      principal: { user: "alice", agent: [], origin: "channel" },
    }, never),
  ];
  assert.deepEqual(host.childPids, [], "none of these reached a child");
  await host.close();
  for (const outcome of outcomes) assert.notEqual(outcome.kind, "ok", outcome.text);
  assert.deepEqual([outcomes[0]!.kind, outcomes[0]!.code], ["ask", "approval_needed"]);
});

Deno.test("openTools() opens nothing where the file walk cannot be proven or a root is missing", async () => {
  const folders = makeFolders();
  const file = join(folders.logs, "file");
  await Deno.writeTextFile(file, "");
  await assert.rejects(open({ ...folders, run: join(file, "run") }), { code: "self_test_failed" });
  await assert.rejects(open({ ...folders, tmp: join(folders.root, "gone") }), (error: Error) => {
    assert.match(`${error.cause ?? error}`, /ENOENT|NotFound|no such/i);
    return true;
  });
});

Deno.test("planToolChild() gives no permission, and a host only to a program from a URL", () => {
  const program = thisProgram();
  const { args, env } = planToolChild({ program, env: { HOME: "/h", OPENAI_API_KEY: "sk", DENO_DIR: "/d" } });
  assert.deepEqual(args.filter((arg) => arg.startsWith("--allow") || arg === "-A"), []);
  assert.equal(args.at(-1), `${program.srcUrl}sandbox/child.ts`);
  assert.ok(!("OPENAI_API_KEY" in env));
  const remote = planToolChild({
    program: { ...program, source: "url", srcUrl: "http://127.0.0.1:8000/src/", setprivPath: "/usr/bin/setpriv" },
    env: {},
  });
  assert.equal(remote.command, "/usr/bin/setpriv");
  assert.deepEqual(remote.args.filter((arg) => arg.startsWith("--allow")), ["--allow-import=127.0.0.1:8000"]);
});
