/** What each process can reach, tried from inside it: the flags are those that `doctor` prints, the entry alone is replaced by a probe. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SRC } from "../fixture/source_tree.ts";
import { makeMachine, runOxydra } from "../fixture/system.ts";

interface Plan {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

/** One thing that a process tries; the argument is a port on which somebody listens. */
const PROBES: Readonly<Record<string, string>> = {
  spawn: `new Deno.Command("/bin/true").outputSync()`,
  spawnDeno: `new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync()`,
  library: `Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {})`,
  readPasswd: `Deno.readTextFileSync("/etc/passwd")`,
  readSelf: `Deno.readTextFileSync("/proc/self/environ")`,
  write: `Deno.writeTextFileSync("/tmp/oxydra-probe-" + crypto.randomUUID(), "x")`,
  connect: `(await Deno.connect({ hostname: "127.0.0.1", port: PORT })).close()`,
  fetch: `await (await fetch("http://127.0.0.1:" + PORT + "/")).text()`,
  listen: `Deno.listen({ hostname: "0.0.0.0", port: 0 }).close()`,
  env: `if (Deno.env.get("HOME") === undefined) throw new Deno.errors.NotCapable("it is not there")`,
  sys: `Deno.hostname()`,
  importHost: `await import("http://127.0.0.1:" + PORT + "/evil.ts")`,
  worker: `await new Promise((resolve, reject) => {
    const code = "try { Deno.readTextFileSync('/etc/passwd'); postMessage('read') } catch (e) { postMessage(e.name) }";
    const worker = new Worker("data:text/javascript," + encodeURIComponent(code), { type: "module" });
    worker.onmessage = (e) => e.data === "read" ? resolve() : reject(new Deno.errors.NotCapable(e.data));
    worker.onerror = (e) => { e.preventDefault(); reject(new Deno.errors.NotCapable(e.message)); };
  })`,
};

function toProbeScript(port: number): string {
  const tries = Object.entries(PROBES).map(([name, code]) => `  ${JSON.stringify(name)}: async () => { ${code}; },`)
    .join("\n");
  return `const PORT = ${port};\nconst tries = {\n${tries}\n};\nconst found = {};
for (const [name, run] of Object.entries(tries)) {
  try { await run(); found[name] = "done"; } catch (error) { found[name] = error.name + ": " + error.message; }
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(found)));
Deno.exit(0);
`;
}

async function probe(command: string, args: readonly string[]): Promise<Record<string, string>> {
  const home = Deno.env.get("HOME") ?? "";
  const output = await new Deno.Command(command, {
    args: [...args],
    clearEnv: true,
    env: { HOME: home, DENO_DIR: Deno.env.get("DENO_DIR") ?? join(home, ".cache/deno"), DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  assert.ok(text.startsWith("{"), `${command} ${args.join(" ")}\n${new TextDecoder().decode(output.stderr)}`);
  return JSON.parse(text);
}

async function withPlans(
  check: (plans: ReadonlyMap<string, Plan>, script: string, port: number) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("export {};", { headers: { "content-type": "text/typescript" } }),
  );
  try {
    const machine = await makeMachine();
    // A first run writes the lock that the guest's flags name.
    assert.equal((await runOxydra(["run", "hello"], machine)).code, 0);
    const doctor = await runOxydra(["doctor", "--json"], machine);
    assert.equal(doctor.code, 0, doctor.out + doctor.err);
    const plans = new Map<string, Plan>(JSON.parse(doctor.out).processes.map((plan: Plan) => [plan.name, plan]));
    const script = join(await Deno.makeTempDir(), "probe.js");
    await Deno.writeTextFile(script, toProbeScript(server.addr.port));
    await check(plans, script, server.addr.port);
  } finally {
    await server.shutdown();
  }
}

/** The plan's own flags, with the probe in place of its entry and of what follows it. */
function withProbe(plan: Plan, script: string): string[] {
  const entry = plan.args.findIndex((arg) => arg.startsWith("file:"));
  assert.ok(entry > 0, plan.args.join(" "));
  return [...plan.args.slice(0, entry), script];
}

Deno.test("guest, client and tool child can do none of what the same probe does under -A", async () => {
  await withPlans(async (plans, script) => {
    const free = await probe(Deno.execPath(), ["run", "-A", "-q", "--no-config", "--no-lock", script]);
    for (const name of Object.keys(PROBES)) {
      assert.equal(free[name], "done", `${name} fails even under -A: ${free[name]}`);
    }
    for (const name of ["guest", "client", "tui", "tool child"]) {
      const plan = plans.get(name)!;
      const found = await probe(plan.command, withProbe(plan, script));
      for (const [tried, result] of Object.entries(found)) {
        // A module host that is not allowed is refused as an import, which Deno reports as a TypeError.
        const refused = tried === "importHost"
          ? /^TypeError: .*(remote|import access|cached-only|not allowed)/i
          : /^NotCapable: /;
        assert.match(result, refused, `${name}: ${tried}`);
      }
    }
  });
});

Deno.test("the guest reads and writes its own folder and no other of the workspace", async () => {
  await withPlans(async (plans, script) => {
    const guest = plans.get("guest")!;
    const internal = guest.args.find((arg) => arg.startsWith("--allow-read="))!.slice("--allow-read=".length);
    const folders = ["shared", "tmp", "vault", "ipc", "run", "logs", "audit"].map((name) => join(internal, "..", name));
    await Deno.writeTextFile(
      script,
      `const found = {};
      for (const folder of ${JSON.stringify([internal, ...folders])}) {
        for (const [kind, run] of [["list", () => [...Deno.readDirSync(folder)]], ["write", () => Deno.writeTextFileSync(folder + "/probe", "x")]]) {
          try { run(); found[folder + " " + kind] = "done"; } catch (error) { found[folder + " " + kind] = error.name; }
        }
      }
      Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(found))); Deno.exit(0);`,
    );
    const found = await probe(guest.command, withProbe(guest, script));
    for (const [tried, result] of Object.entries(found)) {
      assert.equal(result, tried.startsWith(internal + " ") ? "done" : "NotCapable", tried);
    }
  });
});

interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly specifier: string;
    readonly isDynamic?: boolean;
    readonly code?: { readonly specifier: string };
  }[];
}

/** Packages that are evaluated when these files are imported: types and literal `import()` do not count. */
async function evaluatedPackages(entries: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const entry of entries) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", join(SRC, entry)],
      stderr: "null",
    }).output();
    const graph = new Map<string, GraphModule>(
      JSON.parse(new TextDecoder().decode(stdout)).modules.map((module: GraphModule) => [module.specifier, module]),
    );
    const seen = new Set<string>();
    const visit = (specifier: string): void => {
      if (seen.has(specifier)) return;
      seen.add(specifier);
      if (specifier.startsWith("npm:")) {
        found.add(specifier.slice("npm:".length).replace(/^\//, "").replace(/(?!^)@.*/, ""));
      }
      for (const dependency of graph.get(specifier)?.dependencies ?? []) {
        if (dependency.code !== undefined && dependency.isDynamic !== true) visit(dependency.code.specifier);
      }
    };
    visit(new URL(join(SRC, entry), "file:///").href);
    assert.ok(seen.size > 3, `${entry}: ${seen.size} modules`);
  }
  return [...found].sort();
}

Deno.test("the runner evaluates zod, the TOML parser and the flag parser, and no other package", async () => {
  const commands = ["main", "launch", "doctor", "config_show", "trust"].map((name) => `cli/${name}.ts`);
  assert.deepEqual(await evaluatedPackages([...commands, "runner/tool_host.ts"]), ["commander", "smol-toml", "zod"]);
});

Deno.test("client and tool child evaluate no package, and the guest only its own", async () => {
  assert.deepEqual(await evaluatedPackages(["cli/client.ts", "sandbox/child.ts"]), []);
  assert.deepEqual(await evaluatedPackages(["app/guest.ts"]), ["hono", "zod"]);
  assert.deepEqual(await evaluatedPackages(["cli/tui.ts"]), ["ink", "react", "string-width"]);
});
