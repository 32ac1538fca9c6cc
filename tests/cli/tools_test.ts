/** `oxydra tools`, and a turn with the tool of a package that an author built: tests/fixture/packages/wordcount. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runToolsAdd, runToolsList, runToolsReinstall, runToolsRemove, toCard } from "#/cli/tools.ts";
import { PackageManifest } from "#/sandbox/component_manifest.ts";
import { reply, text, toolCall } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { denoEnv, makeMachine, runOxydra, vendorEnv } from "../fixture/system.ts";
import { SRC } from "../fixture/source_tree.ts";
import { makeMachine as makeFiles } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";
import { buildPackage } from "../../tools-wasm/package.ts";

const built = await Deno.makeTempDir({ prefix: "oxydra-wordcount-" });
await buildPackage(new URL("../fixture/packages/wordcount", import.meta.url).pathname, built);
const WASM = join(built, "wordcount.wasm");
const MANIFEST = join(built, "wordcount.json");
const ADD = ["tools", "add", WASM, "--manifest", MANIFEST];

Deno.test("oxydra tools add, list, remove; a turn uses the tool from the next start on", async () => {
  const offered: string[][] = [];
  const vendor = await startFakeOpenAi((body) => {
    offered.push((body.tools ?? []).map((tool) => tool.function.name));
    const results = toolResults(body);
    if (results.length > 0) return reply([text(`It has ${results[0]}.`)]);
    return reply([toolCall("word_count", { path: "/shared/a.txt", longest: true })]);
  });
  const machine = await makeMachine();
  const setting = { ...machine, env: { ...machine.env, ...vendorEnv(vendor.url) } };
  const oxydra = (...args: string[]) => runOxydra(args, setting);
  try {
    assert.match((await oxydra("tools", "list")).out, /no package is installed/);
    const added = await oxydra(...ADD, "--yes");
    assert.equal(added.code, 0, added.err);
    assert.match(added.out, /word_count {2}changes nothing, at most 5000 ms/);
    assert.match(added.out, /reads the file that its argument path names, ≤ 1048576 bytes/);
    assert.match(added.out, /counts from the next start/);
    assert.match((await oxydra("tools", "list")).out, /wordcount 1\.0\.0 .*sha256 [0-9a-f]{64}/);
    await Deno.writeTextFile(
      join(machine.cwd, ".oxydra/workspaces/default/shared/a.txt"),
      "rivers find the sea\nstones remember",
    );
    const turn = await oxydra("run", "how many words?");
    assert.equal(turn.code, 0, turn.err);
    assert.match(turn.out, /It has 6 words, the longest: remember\./);
    assert.ok(offered[0]!.includes("word_count") && offered[0]!.includes("file_read"), offered[0]!.join());
    assert.match((await oxydra("tools", "reinstall", "wordcount")).out, /installed wordcount 1\.0\.0 again/);
    assert.match((await oxydra("tools", "remove", "wordcount")).out, /removed wordcount/);
    assert.equal((await oxydra("tools", "remove", "wordcount")).code, 2);
    assert.match((await oxydra("tools", "list")).out, /no package is installed/);
    await oxydra("run", "again");
    assert.ok(!offered.at(-1)!.includes("word_count"));
  } finally {
    await vendor.close();
  }
});

Deno.test("oxydra tools add installs nothing that nobody agreed to, that cannot be read, or that is refused", async () => {
  const machine = await makeMachine();
  const add = (...args: string[]) => runOxydra(["tools", "add", ...args], machine);
  const silent = await add(WASM, "--manifest", MANIFEST);
  assert.deepEqual([silent.code, /--yes agrees/.test(silent.err)], [2, true], silent.err);
  const wrong: [args: string[], message: RegExp][] = [
    [[join(built, "gone.wasm"), "--manifest", MANIFEST], /gone\.wasm cannot be read/],
    [[built, "--manifest", MANIFEST], /is no file/],
    [[WASM, "--manifest", WASM], /over 262144 bytes/],
    [[MANIFEST, "--manifest", MANIFEST], /sha256/],
    [[WASM], /--manifest/],
  ];
  for (const [args, message] of wrong) {
    const { code, err } = await add(...args, "--yes");
    assert.equal(code, 2, err);
    assert.match(err, message);
  }
  const manifest = JSON.parse(await Deno.readTextFile(MANIFEST));
  const bare = join(built, "bare.json");
  await Deno.writeTextFile(bare, JSON.stringify({ ...manifest, imports: [] }));
  const widens = await add(WASM, "--manifest", bare, "--yes");
  assert.match(widens.err, /refused at tools\.0\.needs\.0\.kind: fs\.read needs oxydra:tool\/fs-read/);
  assert.match((await runOxydra(["tools", "list"], machine)).out, /no package is installed/);
});

Deno.test("oxydra tools add asks on a terminal: y installs, everything else does not", async () => {
  const machine = await makeMachine();
  for (const [typed, code] of [["n\n", 2], ["\n", 2], ["y\n", 0]] as const) {
    const command = [
      Deno.execPath(),
      "run",
      "-A",
      "--config",
      join(SRC, "../deno.json"),
      join(SRC, "../mod.ts"),
      ...ADD,
    ];
    // util-linux's script gives the command a terminal and passes on what it is sent.
    const child = new Deno.Command("script", {
      args: ["-qec", command.map((word) => `'${word}'`).join(" "), "/dev/null"],
      cwd: machine.cwd,
      clearEnv: true,
      env: { ...denoEnv(), ...machine.env, SHELL: "/bin/sh", PATH: "/usr/bin:/bin", TERM: "dumb" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(typed));
    const { code: ended, stdout } = await child.output();
    await writer.close().catch(() => {});
    const out = new TextDecoder().decode(stdout);
    assert.match(out, /install it\? \[y\/N\]/);
    assert.equal(ended, code, out);
  }
});

Deno.test("toCard() says every need in words", async () => {
  const manifest = PackageManifest.parse(JSON.parse(await Deno.readTextFile(MANIFEST)));
  const http = {
    kind: "http",
    methods: ["POST"],
    scope: "tree",
    bytesUpMax: 1,
    bytesDownMax: 2,
    redirectsMax: 3,
  } as const;
  const needs = [
    { kind: "fs.read", path: "/shared", scope: "tree", bytesMax: 1 },
    { kind: "fs.list", path: "/tmp", scope: "tree", entriesMax: 1 },
    { kind: "fs.write", path: "$path", mode: "write", bytesMax: 1 },
    { kind: "fs.write", path: "$path", mode: "delete", bytesMax: 0 },
    { ...http, url: "https://example.com/a" },
    { kind: "clock" },
    { kind: "random" },
    { kind: "log" },
  ] as const;
  const tool = { ...manifest.tools[0]!, description: "a\n\x1b[2J", effect: "privileged" } as const;
  const card = toCard(PackageManifest.parse({ ...manifest, tools: [{ ...tool, needs }, { ...tool, needs: [] }] }));
  for (
    const words of [
      "changes things that matter",
      String.raw`says: "a\n\u001b[2J"`,
      "reads everything below the folder /shared, ≤ 1 bytes",
      "lists the folder /tmp and all below it, ≤ 1 entries",
      "writes the file that its argument path names, ≤ 1 bytes",
      "deletes the file that its argument path names",
      "sends POST to everything below the address https://example.com/a, ≤ 1 bytes up, ≤ 2 down, ≤ 3 redirects",
      "reads the time",
      "gets random numbers",
      "writes to the log",
      "reaches nothing",
    ]
  ) assert.ok(card.includes(words), `${words}\n${card}`);
});

Deno.test("runToolsAdd(), runToolsList(), runToolsReinstall() and runToolsRemove() in one process", async () => {
  using machine = makeFiles({});
  using realm = enterRealm({ cwd: machine.cwd, env: { ...denoEnv(), HOME: machine.home } });
  assert.equal(await runToolsAdd(WASM, { manifest: MANIFEST, yes: true }), 0);
  assert.doesNotMatch(realm.out(), /replaces/);
  assert.equal(await runToolsAdd(WASM, { manifest: MANIFEST, yes: true }), 0);
  assert.match(realm.out(), /replaces wordcount 1\.0\.0 {2}\(sha256 /);
  assert.equal(await runToolsReinstall("wordcount", {}), 0);
  assert.equal(await runToolsList({}), 0);
  assert.equal(await runToolsRemove("wordcount", {}), 0);
  assert.match(realm.out(), /installed wordcount[\s\S]*again[\s\S]*word_count[\s\S]*removed wordcount/);
  await assert.rejects(runToolsRemove("wordcount", {}), { code: "usage" });
});
