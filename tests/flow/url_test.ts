import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text } from "../fake/openai_reply.ts";
import { whyNoEngine } from "../fixture/engine.ts";
import { startGuestEngine } from "../fixture/guest_image.ts";
import { openPty } from "../fixture/pty.ts";
import { SRC } from "../fixture/source_tree.ts";
import { denoEnv, makeMachine, runOxydra } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";
import { assemble, coreOf, toPackage } from "../sandbox/component_kit.ts";

/** What Debian's /etc/mime.types, and so `python3 -m http.server`, says of these names. */
const TYPES: Readonly<Record<string, string>> = {
  ts: "text/vnd.trolltech.linguist",
  js: "text/javascript",
  json: "application/json",
};

async function makeDist(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "oxydra-dist-" });
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", join(SRC, "../.ci/dist.ts"), join(folder, "dist")],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return join(folder, "dist");
}

function serve(folder: string, asked: string[]): { readonly entry: string; shutdown(): Promise<void> } {
  // A port may have been another run's, whose modules this machine's cache still holds.
  const base = `/${crypto.randomUUID()}`;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname: path } = new URL(request.url);
    if (!path.startsWith(`${base}/`)) return new Response("not found", { status: 404 });
    const pathname = path.slice(base.length);
    asked.push(pathname);
    try {
      const type = TYPES[pathname.split(".").at(-1)!] ?? "application/octet-stream";
      return new Response(await Deno.readFile(join(folder, pathname)), { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  return { entry: `http://127.0.0.1:${server.addr.port}${base}/mod.ts`, shutdown: () => server.shutdown() };
}

Deno.test("dist/ runs from a plain static server: guest, child and client find their modules, and a second run asks for nothing new", async () => {
  const dist = await makeDist();
  const asked: string[] = [];
  const server = serve(dist, asked);
  try {
    const machine = await makeMachine();
    const { entry } = server;
    const first = await runOxydra(["run", "write a haiku about rivers to /shared/haiku.txt, then read it back"], {
      ...machine,
      entry,
    });
    assert.equal(first.code, 0, first.err);
    const haiku = await Deno.readTextFile(join(machine.cwd, ".oxydra/workspaces/default/shared/haiku.txt"));
    assert.ok(haiku.trim().split("\n").length >= 3, haiku);
    assert.ok(first.out.includes(haiku.trim().split("\n")[0]!), first.out);
    const artefacts = ["/tools-wasm/files.json", "/tools-wasm/web.json", "/src/turn/o200k.txt"];
    for (const name of ["/src/app/guest.js", "/src/sandbox/child.js", "/src/cli/client.js", ...artefacts]) {
      assert.ok(asked.includes(name), `${name} was not served`);
    }
    const served = asked.length;
    const second = await runOxydra(["run", "--json", "read /shared/haiku.txt"], { ...machine, entry });
    assert.equal(second.code, 0, second.err);
    // More bytes than the model takes tokens: the guest opens its tokenizer.
    const long = await runOxydra(["run", "hello ".repeat(21_000)], { ...machine, entry });
    assert.equal(long.code, 0, long.err);
    assert.deepEqual(asked.slice(served), []);
    // A start with a real model needs more than the demo did, and it is here already.
    const model = await runOxydra(["doctor", "--json"], {
      ...machine,
      entry,
      env: { ...machine.env, OPENAI_API_KEY: "sk-test-0123456789abcdef" },
    });
    assert.match(model.out, /gpt-4\.1-mini: snapshot of \d{4}-/);
    assert.deepEqual(asked.slice(served).filter((path) => /catalog|describe/.test(path)), []);
    const used = await runOxydra(["usage", "--by", "model"], { ...machine, entry });
    assert.match(used.out, /^demo\/demo +[4-9]/m);
    const version = await runOxydra(["--version"], { ...machine, entry });
    assert.match(version.out, /^oxydra \d+\.\d+\.\d+ /);
  } finally {
    await server.shutdown();
  }
});

Deno.test("dist/ draws a screen: its packages are fetched for that alone, and its process finds them", async () => {
  const dist = await makeDist();
  const asked: string[] = [];
  const server = serve(dist, asked);
  try {
    const machine = await makeMachine();
    assert.equal((await runOxydra(["run", "hello"], { ...machine, entry: server.entry })).code, 0);
    assert.ok(!asked.some((path) => /tui/.test(path)), "run loads no screen");
    const pty = await openPty({
      command: [Deno.execPath(), "run", "-A", "--no-prompt", server.entry, "chat"],
      cwd: machine.cwd,
      env: { ...denoEnv(), HOME: machine.env.HOME! },
      columns: 80,
      rows: 24,
    });
    await pty.shows("Type a message");
    await pty.type("hello\r");
    await pty.shows("demo model");
    await pty.type("\x04");
    assert.equal(await pty.end(), 0);
    assert.ok(asked.includes("/src/cli/tui.js"));
  } finally {
    await server.shutdown();
  }
});

Deno.test("dist/ installs a package: its transpiler is fetched then, and by no start before", async () => {
  const dist = await makeDist();
  const { probe } = await assemble({ probe: { core: coreOf() } });
  const asked: string[] = [];
  const server = serve(dist, asked);
  try {
    const machine = await makeMachine();
    const [wasm, json] = [join(machine.cwd, "probe.wasm"), join(machine.cwd, "probe.json")];
    const { manifest } = await toPackage(probe);
    await Promise.all([Deno.writeFile(wasm, probe), Deno.writeTextFile(json, manifest)]);
    const options = { ...machine, entry: server.entry };
    assert.equal((await runOxydra(["run", "list /shared"], options)).code, 0);
    assert.ok(!asked.includes("/tools-wasm/bindgen.json"));
    const added = await runOxydra(["tools", "add", wasm, "--manifest", json, "--yes"], options);
    assert.equal(added.code, 0, added.err);
    assert.ok(asked.includes("/tools-wasm/bindgen.json"));
    assert.match((await runOxydra(["tools", "list"], options)).out, /^probe 1\.0\.0/);
  } finally {
    await server.shutdown();
  }
});

Deno.test("dist/ has no import map to lean on: no bare or `#/` specifier, no .ts name but mod.ts", async () => {
  const dist = await makeDist();
  const wrong: string[] = [];
  for await (const path of walk(dist)) {
    if (!/\.(ts|js)$/.test(path)) continue;
    if (path.endsWith(".ts") && path !== join(dist, "mod.ts")) wrong.push(path);
    const text = await Deno.readTextFile(path);
    for (
      const match of text.matchAll(
        /^(?:import|export)\b[^"';=(]*?\bfrom\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm,
      )
    ) {
      const specifier = match[1] ?? match[2]!;
      if (!/^(\.|npm:[@\w/-]+@\d|node:)/.test(specifier)) wrong.push(`${path}: ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

Deno.test({
  name: "dist/ runs its guest in a container, which finds its modules and a model server of this machine; twice",
  ignore: whyNoEngine() !== undefined,
  async fn() {
    const dist = await makeDist();
    const asked: string[] = [];
    const server = serve(dist, asked);
    const engine = await startGuestEngine();
    try {
      await withVendorMachine(() => reply([text("It is high.")]), async (machine) => {
        const env = { ...machine.env, DOCKER_HOST: `unix://${engine.socketPath}` };
        for (const prompt of ["the tide?", "and now?"]) {
          const served = asked.length;
          const { code, out, err } = await runOxydra(["run", "--tier", "container", prompt], {
            ...machine,
            env,
            entry: server.entry,
          });
          assert.deepEqual([code, out.trim()], [0, "It is high."], err.slice(-2_000));
          if (served > 0) assert.deepEqual(asked.slice(served), []);
        }
      });
    } finally {
      await engine.close();
      await server.shutdown();
    }
  },
});
