/**
 * Threat: code that runs in a process of ours brings more code along: from a host, a registry or a file, or out of a text. From outside
 * nothing comes, however it is asked for. Out of a text it does: `data:` and `blob:` need no permission, and the built-in modules are there
 * for everyone. What came so has the flags of its process, and tries them here.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCacheView } from "#/runner/cache_view.ts";
import { planAll } from "#/runner/plan_all.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import type { Program } from "#/runner/process_plan.ts";
import { findProgram } from "#/runner/program.ts";
import { type EvilRegistry, openEvilRegistry, STRANGER } from "../fixture/evil_registry.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { SRC } from "../fixture/source_tree.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders } from "../fixture/workspace.ts";

/** Beside the probe: what it tries to import. */
const FILES: Readonly<Record<string, string>> = {
  "outside.js": STRANGER,
  "outside.cjs": "exports.ran = 1;",
  "outside.json": '{"ran":1}',
  "outside.wasm": "\0asm\x01\0\0\0",
};

/** What no process may import, with its attributes. */
const SPECIFIERS: readonly (readonly [name: string, specifier: string, type?: string])[] = [
  ["a host", "URL/evil.ts"],
  ["JSON of a host", "URL/evil.json", "json"],
  ["our own host, beside its graph", "OWN/evil.ts"],
  ["npm:", "npm:oxydra-evil@1.0.0"],
  ["jsr:", "jsr:@oxydra/evil@1.0.0"],
  ["a file", "file://DIR/outside.js"],
  ["JSON of a file", "file://DIR/outside.json", "json"],
  ["the text of a file", "file:///etc/passwd", "text"],
  ["our own sources", "file://SRC/lib/path.ts"],
];

/** The same by other means. */
const OTHER_WAYS: Readonly<Record<string, string>> = {
  "import.source": `await new Function("it", "return import.source(it)")("file://DIR/outside.wasm")`,
  "import.defer": `(await new Function("it", "return import.defer(it)")("file://DIR/outside.js")).ran`,
  "require": `(await import("node:module")).createRequire("file://DIR/x.cjs")("DIR/outside.cjs")`,
  "require of JSON": `(await import("node:module")).createRequire("file://DIR/x.cjs")("DIR/outside.json")`,
  "a worker of a file": `await answerOf(new Worker("file://DIR/outside.js", { type: "module", name: "stranger" }))`,
  "a worker of a host": `await answerOf(new Worker("URL/evil.ts", { type: "module", name: "stranger" }))`,
  "a thread of a file": `await answerOf(new (await import("node:worker_threads")).Worker("DIR/outside.cjs"), "online")`,
};

/** What code may not do here, by Deno's own names and by the built-in modules. */
const POWERS: Readonly<Record<string, string>> = {
  "read a file": `Deno.readTextFileSync("/etc/passwd")`,
  "write a file": `Deno.writeTextFileSync("DIR/written", "x")`,
  // With --ignore-env nothing is refused, and nothing is there.
  "read the environment": `if (Deno.env.get("HOME") === undefined) throw new Deno.errors.NotCapable("it is not there")`,
  "start a program": `new Deno.Command("/bin/true").outputSync()`,
  "load a library": `Deno.dlopen("libc.so.6", {}).close()`,
  "listen to everyone": `Deno.listen({ hostname: "0.0.0.0", port: 0 }).close()`,
  "connect inside": `(await Deno.connect({ hostname: "127.0.0.1", port: PORT })).close()`,
  "node:fs, reading": `(await import("node:fs")).readFileSync("/etc/passwd")`,
  "node:fs, writing": `(await import("node:fs")).writeFileSync("DIR/written", "x")`,
  "node:child_process": `const { spawn } = await import("node:child_process");
    await new Promise((resolve, reject) => spawn("/bin/true", { env: {} }).on("error", reject).on("exit", resolve))`,
  "node:net": `const { connect } = await import("node:net"); await new Promise((resolve, reject) => {
    const socket = connect(PORT, "127.0.0.1", () => { socket.destroy(); resolve(); }).on("error", reject); })`,
  "node:process, environment": `const { env } = await import("node:process");
    if (env.HOME === undefined) throw new Deno.errors.NotCapable("it is not there")`,
  "node:process, a signal": `(await import("node:process")).kill(PID, 0)`,
  "node:os": `(await import("node:os")).hostname()`,
  "node:sqlite": `new (await import("node:sqlite")).DatabaseSync("DIR/new.db").close()`,
  "node:sqlite, a second file": `const { DatabaseSync } = await import("node:sqlite");
    new DatabaseSync(":memory:").exec("ATTACH 'DIR/other.db' AS other")`,
  "node:sqlite, a copy": `const { DatabaseSync } = await import("node:sqlite");
    new DatabaseSync(":memory:").exec("CREATE TABLE t(x); VACUUM INTO 'DIR/" + crypto.randomUUID() + "'")`,
  "node:inspector":
    `const session = new (await import("node:inspector")).Session(); session.connect(); session.disconnect();`,
  "node:wasi": `new (await import("node:wasi")).WASI({ version: "preview1", preopens: { "/": "/" } })`,
  "node:vm": `(await import("node:vm")).runInThisContext("Deno.readTextFileSync('/etc/passwd')")`,
  "node:worker_threads": `const { Worker } = await import("node:worker_threads"); await answerOf(new Worker(
    "require('fs').readFileSync('/etc/passwd'); require('worker_threads').parentPort.postMessage(1)", { eval: true }))`,
};

/** How it is refused: by a flag, or by what SQLite and WASI are given without one. */
const REFUSED =
  /^(NotCapable|\w*Error): (?!late)[^]*(Requires \w+ access|--no-remote|--no-npm|--cached-only|too many attached databases|failed to open preopen|it is not there)/;

/** Names and places in the texts above. */
type Places = Readonly<Record<"URL" | "OWN" | "DIR" | "SRC" | "PORT" | "PID", string>>;

/** A module whose `find()` makes every try and says what came of each. */
function toFinder(places: Places): string {
  const imports = SPECIFIERS.map(([name, specifier, type]) => {
    // No literal, so that nothing looks for it before it is tried.
    const target = `[${JSON.stringify(specifier)}].join("")`;
    return [
      `import of ${name}`,
      `await import(${target}${type === undefined ? "" : `, { with: { type: "${type}" } }`})`,
    ];
  });
  const tries = [...imports, ...Object.entries(OTHER_WAYS), ...Object.entries(POWERS)];
  return fill(
    `
    const answerOf = (worker, event = "message") => new Promise((resolve, reject) => {
      worker.on?.(event, resolve).on("error", reject);
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => { event.preventDefault?.(); reject(new Error(event.message)); };
    });
    const late = () => new Promise((_, reject) => setTimeout(() => reject(new Error("late")), 20_000));
    const allOf = async (tries) => {
      const found = {};
      for (const [name, run] of Object.entries(tries)) {
        found[name] = await Promise.race([run(), late()]).then(() => "done", (error) => error.name + ": " + error.message);
      }
      return found;
    };
    const tries = {\n${tries.map(([name, code]) => `${JSON.stringify(name)}: async () => { ${code}; }`).join(",\n")} };
    export function find() {
      return allOf(tries);
    }`,
    places,
  );
}

/** The probe: the tries in each place where code can be made out of a text, and there an import as the first statement. */
function toProbe(places: Places): string {
  const statements = SPECIFIERS.map(([name, specifier, type]) => [
    name,
    fill(`import "${specifier}"${type === undefined ? "" : ` with { type: "${type}" }`};`, places),
  ]);
  return `${toFinder(places)}
    addEventListener("error", (event) => event.preventDefault());
    const FINDER = ${JSON.stringify(toFinder(places))};
    const toData = (code) => "data:text/javascript," + encodeURIComponent(code);
    const toBlob = (code) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const inWorker = (url) => answerOf(new Worker(url, { type: "module" }));
    const STATEMENTS = ${JSON.stringify(statements)};
    const firsts = (run) => allOf(Object.fromEntries(STATEMENTS.map(([name, statement]) => [name, () => run(statement)])));
    const found = {
      "its own file": await find(),
      "data:": await (await import(toData(FINDER))).find(),
      "blob:": await (await import(toBlob(FINDER))).find(),
      "a worker": await inWorker(toData(FINDER + "\\npostMessage(await find());")),
      "the first line of data:": await firsts((statement) => import(toData(statement))),
      "the first line of blob:": await firsts((statement) => import(toBlob(statement))),
      "the first line of a worker": await firsts((statement) => inWorker(toData(statement + "postMessage(1);"))),
    };
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(found)));
    Deno.exit(0);`;
}

function fill(text: string, places: Places): string {
  return text.replace(/\b(URL(?=\/)|OWN|DIR|SRC|PORT|PID)\b/g, (name) => places[name as keyof Places]);
}

/** What came of each try, by the place it was made in. */
type Found = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A folder with the probe and the files that it tries to import. */
async function writeProbe(dir: string, registry: EvilRegistry, own: EvilRegistry): Promise<string> {
  for (const [name, text] of Object.entries(FILES)) await Deno.writeTextFile(join(dir, name), text);
  const [URL, OWN] = [registry, own].map(({ url }) => url.slice(0, -1)) as [string, string];
  const PORT = URL.slice(URL.lastIndexOf(":") + 1);
  const script = join(dir, "probe.js");
  await Deno.writeTextFile(script, toProbe({ URL, OWN, DIR: dir, SRC, PORT, PID: `${Deno.pid}` }));
  return script;
}

/** The same probe without a wall: what it tries can be done here. */
async function probeFree(): Promise<Found> {
  await using registry = await openEvilRegistry();
  const dir = await Deno.makeTempDir({ prefix: "oxydra-modules-" });
  try {
    const script = await writeProbe(dir, registry, registry);
    const args = ["run", "-A", "-q", "--no-config", "--no-lock", script];
    return await probe(Deno.execPath(), args, { ...toEvilEnv(registry), HOME: dir, DENO_DIR: join(dir, "deno") });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A script in the place of every process of a program that comes from a file, or from a host of ours; `env` is added to each. */
async function probeProcesses(
  source: Program["source"],
  own: EvilRegistry,
  write: (dir: string) => Promise<string>,
  env: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, Found>>> {
  const folders = makeFolders();
  try {
    const script = await write(folders.tmp);
    await Deno.copyFile(join(SRC, "../deno.lock"), join(folders.run, "guest.lock"));
    makeCacheView(await findDenoDir(denoEnv()), folders.run);
    const here = findProgram(`file://${join(SRC, "runner/runner.ts")}`);
    const program: Program = source === "file" ? here : { ...here, source, srcUrl: `${own.url}src/` };
    const tools = { ...NO_TOOLS_PLAN, egress: { allowlist: ["127.0.0.1:9"], mode: "default" as const } };
    const plans = planAll({ program, env: denoEnv(), folders, port: 9, hosts: [], tools });
    const tried = plans.filter(({ name }) => name !== "runner").map(async (plan) => {
      const entry = plan.args.findIndex((arg) => arg.startsWith(program.srcUrl));
      const found = await probe(plan.command, [...plan.args.slice(0, entry), script], { ...plan.env, ...env });
      return [plan.name, found] as const;
    });
    return Object.fromEntries(await Promise.all(tried));
  } finally {
    await Deno.remove(folders.root, { recursive: true });
  }
}

async function probeAll(source: Program["source"]): Promise<Readonly<Record<string, Found>>> {
  await using registry = await openEvilRegistry();
  await using own = await openEvilRegistry();
  const found = await probeProcesses(source, own, (dir) => writeProbe(dir, registry, own), toEvilEnv(registry));
  assert.deepEqual([registry.seen, own.seen], [[], []], "somebody was asked");
  return found;
}

/** As bad as it can be: the process is told to ask the stranger. */
function toEvilEnv({ url }: EvilRegistry): Record<string, string> {
  return { NPM_CONFIG_REGISTRY: url, JSR_URL: url };
}

async function probe(command: string, args: readonly string[], env: Record<string, string>): Promise<Found> {
  const options: Deno.CommandOptions = { args: [...args], clearEnv: true, env, stdin: "null" };
  const { stdout, stderr } = await new Deno.Command(command, options).output();
  assert.ok(stdout.length > 0, `${args.join(" ")}\n${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("modules: no process gets code from outside, and code out of a text gains it nothing", async () => {
  // At once: most of the time each waits for workers.
  const [free, ofFile, ofUrl] = await Promise.all([probeFree(), probeAll("file"), probeAll("url")]);
  for (const [place, tries] of Object.entries(free)) {
    for (const [name, came] of Object.entries(tries)) assert.equal(came, "done", `-A, in ${place}: ${name}`);
  }
  for (const found of [ofFile, ofUrl]) {
    assert.deepEqual(Object.keys(found).sort(), [
      "client",
      "egress listed",
      "egress public",
      "guest",
      "inspector",
      "log reader",
      "tool child",
      "tui",
    ]);
    for (const [process, places] of Object.entries(found)) {
      // That a place is there is what an import of a text came to: it ran.
      assert.deepEqual(Object.keys(places), Object.keys(free), process);
      for (const [place, tries] of Object.entries(places)) {
        assert.deepEqual(Object.keys(tries), Object.keys(free[place]!), `${process}, in ${place}`);
        for (const [name, came] of Object.entries(tries)) {
          assert.match(came, REFUSED, `${process}, in ${place}: ${name}`);
        }
      }
    }
  }
});

/**
 * What comes of an import from npm in a process that has it. From a file the lock is frozen; from a URL it is not, and what this machine has
 * in its cache is there too. Neither has more power than the process.
 */
const OF_NPM = {
  file: {
    "npm:commander@15.1.0": /^done$/,
    "npm:commander": /lockfile|--cached-only/,
    "npm:oxydra-evil@1.0.0": /--cached-only|lockfile/,
  },
  url: {
    "npm:commander@15.1.0": /^done$/,
    "npm:commander": /^done$|--cached-only/,
    "npm:oxydra-evil@1.0.0": /--cached-only/,
  },
} as const;

Deno.test("modules: of npm a process gets what our lock pins, from a URL what is in the cache, and most get nothing", async () => {
  await using own = await openEvilRegistry();
  for (const source of ["file", "url"] as const) {
    const script = `const found = {};
      for (const name of ${JSON.stringify(Object.keys(OF_NPM[source]))}) {
        found[name] = await import([name].join("")).then(() => "done", (error) => error.name + ": " + error.message);
      }
      Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ found })));`;
    const write = async (dir: string) => {
      const path = join(dir, "probe.js");
      await Deno.writeTextFile(path, script);
      return path;
    };
    const processes = await probeProcesses(source, own, write, {});
    for (const [process, { found }] of Object.entries(processes)) {
      const hasNpm = process === "guest" || process === "tui" || process.startsWith("egress");
      for (const [name, expected] of Object.entries(OF_NPM[source])) {
        assert.match(found![name]!, hasNpm ? expected : /--no-npm/, `${source}, ${process}: ${name}`);
      }
    }
  }
});

/** A memory of 64 bits, whose bounds are checked by compiled code and not by pages that nobody may touch; reads far beyond. */
const BEYOND = `
  const bytes = new Uint8Array([0,97,115,109,1,0,0,0,1,6,1,96,1,126,1,127,3,2,1,0,5,3,1,4,1,7,5,1,1,102,0,0,10,9,1,7,0,32,0,40,2,0,11]);
  let said;
  try { said = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f(0x7000_0000_0000n); } catch (error) { said = error.message; }
  Deno.stdout.writeSync(new TextEncoder().encode(String(said)));
  Deno.exit(0);`;

Deno.test("modules: node:v8 takes flags from everyone, but none that takes WebAssembly's bounds away, and writes no file", async () => {
  const OFF = "--no-wasm-bounds-checks";
  const run = async (flags: readonly string[], code: string) => {
    const script = `data:text/javascript,${encodeURIComponent(code)}`;
    const args = ["run", "-q", "--no-prompt", "--no-config", "--no-lock", ...flags, script];
    const { stdout, stderr, signal } = await new Deno.Command(Deno.execPath(), { args }).output();
    return { out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr), signal };
  };
  const takeAway = `import v8 from "node:v8"; v8.setFlagsFromString("${OFF}");`;
  const inWorker = `new Worker(${
    JSON.stringify(`data:text/javascript,${encodeURIComponent(BEYOND)}`)
  }, { type: "module" });`;
  for (const code of [BEYOND, takeAway + BEYOND, takeAway + inWorker]) {
    const { out, err } = await run([], code);
    assert.equal(out, "memory access out of bounds", err);
  }
  // On the command line the flag does: the read ends the process.
  assert.equal((await run([`--v8-flags=${OFF}`], BEYOND)).signal, "SIGSEGV");
  const { err } = await run([], `(await import("node:v8")).writeHeapSnapshot("/tmp/oxydra-snapshot")`);
  assert.match(err, /NotCapable: Requires write access/);
});
