/** `oxydra setup` against a vendor on a real socket, from a pipe and in a terminal. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runSetup } from "#/cli/setup.ts";
import { writeSetup } from "#/cli/setup_files.ts";
import { openModelTrial } from "#/cli/setup_trial.ts";
import { Secret } from "#/lib/secret.ts";
import { say } from "../fake/anthropic_dialect.ts";
import { reply, text, usage, vendorError } from "../fake/openai_reply.ts";
import { type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { makeMachine, runOxydra, startGateway } from "../fixture/system.ts";
import { SRC } from "../fixture/source_tree.ts";
import { thisProgram } from "../fixture/workspace.ts";

const KEY = "sk-setup-0123456789abcdef";
const OK: Script = () => reply([text("OK")], { usage: usage(9, 1) });

async function withVendor(script: Script, body: (url: string, port: number) => Promise<void>): Promise<void> {
  const vendor = await startFakeOpenAi(script, { models: ["fake-1", "fake-2"] });
  try {
    await body(vendor.url, vendor.port);
  } finally {
    await vendor.close();
  }
}

function configOf(machine: { env: Record<string, string> }, name: string): string {
  return join(machine.env.HOME!, ".config/oxydra", name);
}

Deno.test("oxydra setup asks, tries the model once and writes both files for the person alone; a run then uses it", async () => {
  await withVendor(OK, async (url) => {
    const machine = await makeMachine();
    const done = await runOxydra(["setup", "--base-url", url, "--provider", "acme"], {
      ...machine,
      stdin: `${KEY}\n2\n`,
    });
    assert.equal(done.code, 0, done.err);
    assert.match(done.err, /✓ acme\/fake-2 answers: OK/);
    assert.ok(!(done.out + done.err).includes(KEY));
    for (const name of ["providers.toml", "agent.toml"]) {
      assert.equal((await Deno.stat(configOf(machine, name))).mode! & 0o777, 0o600);
    }
    assert.match(await Deno.readTextFile(configOf(machine, "providers.toml")), /\[providers\.registry\.acme\]/);
    const again = await runOxydra(["run", "hello"], {
      ...machine,
      env: { ...machine.env, OXYDRA__CATALOG__SKIP_CATALOG_VALIDATION: "true" },
    });
    assert.equal(again.code, 0, again.err);
    assert.match(again.out, /OK/);
  });
});

Deno.test("oxydra setup writes nothing when the key is refused, the model fails, nobody listens or input ends", async () => {
  const refuse: Script = () => vendorError(401, "no such key");
  const cases: readonly (readonly [Script, readonly string[], string, number, RegExp])[] = [
    [refuse, [], `${KEY}\n\n`, 3, /refused the API key/],
    [() => vendorError(404, "no such model"), ["--model", "nope"], `${KEY}\n`, 3, /does not know the model "nope"/],
    [OK, [], "", 2, /input ended/],
    [OK, ["--provider", "No Good"], `${KEY}\n`, 2, /small letters/],
    [OK, [], "sk with a blank\n", 2, /no API key has/],
  ];
  for (const [script, flags, stdin, code, says] of cases) {
    await withVendor(script, async (url) => {
      const machine = await makeMachine();
      const done = await runOxydra(["setup", "--base-url", url, ...flags], { ...machine, stdin });
      assert.equal(done.code, code, done.err);
      assert.match(done.err, says);
      assert.ok(!done.err.includes(KEY) && !done.err.includes("    at "), done.err);
      await assert.rejects(Deno.stat(join(machine.env.HOME!, ".config/oxydra")));
    });
  }
  const machine = await makeMachine();
  const gone = await runOxydra(["setup", "--base-url", "http://127.0.0.1:9", "--model", "m"], {
    ...machine,
    stdin: "\n",
  });
  assert.equal(gone.code, 3, gone.err);
});

Deno.test("oxydra setup says when a start will refuse the model that answered, because the catalog lacks it", async () => {
  await withVendor(OK, async (url) => {
    const machine = await makeMachine();
    await Deno.mkdir(join(machine.env.HOME!, ".config/oxydra"), { recursive: true });
    await Deno.writeTextFile(
      configOf(machine, "providers.toml"),
      '[providers.registry.acme]\ncatalog_provider = "openai"\n',
    );
    const options = { ...machine, stdin: `${KEY}\n` };
    const done = await runOxydra(["setup", "--base-url", url, "--provider", "acme", "--model", "fake-1"], options);
    assert.equal(done.code, 0, done.err);
    assert.match(done.err, /Before it can start: .*openai has no model fake-1 .*oxydra catalog fetch/);
  });
});

Deno.test("oxydra setup says why it cannot write, without a stack, and what a broken project says, without undoing its own", async () => {
  await withVendor(OK, async (url) => {
    const machine = await makeMachine();
    await Deno.writeTextFile(join(machine.env.HOME!, ".config"), "a file");
    const flags = ["setup", "--base-url", url, "--model", "fake-1"];
    const done = await runOxydra(flags, { ...machine, stdin: `${KEY}\n` });
    assert.equal(done.code, 2, done.err);
    assert.match(done.err, /\.config\/oxydra\/providers\.toml cannot be written \(.+\)\. Nothing was changed there/);
    assert.ok(!done.err.includes("    at "), done.err);
    await Deno.remove(join(machine.env.HOME!, ".config"));
    await Deno.mkdir(join(machine.cwd, ".oxydra"));
    await Deno.writeTextFile(join(machine.cwd, ".oxydra/agent.toml"), "[selectio\n");
    const beside = await runOxydra(flags, { ...machine, stdin: `${KEY}\n` });
    assert.equal(beside.code, 0, beside.err);
    assert.match(beside.err, /Before it can start: \.oxydra\/agent\.toml:1: /);
  });
});

Deno.test("oxydra setup says that a gateway which runs already changes to what it wrote", async () => {
  await withVendor(OK, async (url) => {
    const machine = await makeMachine();
    const setup = () => runOxydra(["setup", "--base-url", url, "--model", "m"], { ...machine, stdin: `${KEY}\n` });
    assert.doesNotMatch((await setup()).err, /gateway/);
    const gateway = await startGateway(machine);
    try {
      assert.match((await setup()).err, /The gateway that runs here changes to it by itself/);
    } finally {
      await gateway.stop();
    }
  });
});

Deno.test("oxydra setup takes a vendor's name at another address for that vendor's protocol", async () => {
  const script: Script = () => say([{ kind: "text", text: "OK" }]);
  const vendor = await startFakeOpenAi(script, { models: ["claude-x"] });
  try {
    const machine = await makeMachine();
    const flags = ["setup", "--provider", "anthropic", "--base-url", vendor.url];
    const done = await runOxydra(flags, { ...machine, stdin: `${KEY}\n\n` });
    assert.equal(done.code, 0, done.err);
    assert.deepEqual(vendor.requests.map(({ path }) => path), ["/v1/messages"]);
    assert.match(await Deno.readTextFile(configOf(machine, "providers.toml")), /provider_type = "anthropic"/);
  } finally {
    await vendor.close();
  }
});

Deno.test("a server that setup was given no key for gets none, also when a vendor's is in the environment", async () => {
  const vendor = await startFakeOpenAi(OK, { models: ["fake-1"] });
  try {
    const machine = await makeMachine();
    const env = { ...machine.env, OPENAI_API_KEY: KEY, API_KEY: KEY };
    const done = await runOxydra(["setup", "--base-url", vendor.url], { ...machine, env, stdin: "\n\n" });
    assert.equal(done.code, 0, done.err);
    const ran = await runOxydra(["run", "hello"], { ...machine, env });
    assert.equal(ran.code, 0, ran.err);
    assert.equal(vendor.requests.length, 2);
    assert.ok(!JSON.stringify(vendor.seen).includes(KEY));
  } finally {
    await vendor.close();
  }
});

Deno.test("oxydra setup says which providers there are when it does not know one", async () => {
  const machine = await makeMachine();
  const done = await runOxydra(["setup", "--provider", "opneai"], { ...machine, stdin: "" });
  assert.equal(done.code, 2);
  assert.match(done.err, /there are: openai, anthropic, gemini.*other/);
});

Deno.test("runSetup() without a HOME has nowhere to write", async () => {
  const home = Deno.env.get("HOME");
  Deno.env.delete("HOME");
  try {
    await assert.rejects(runSetup({}), /HOME is not set/);
  } finally {
    if (home !== undefined) Deno.env.set("HOME", home);
  }
});

Deno.test("oxydra setup in a terminal does not show the key, and leaves the terminal as it was", async () => {
  await withVendor(OK, async (url) => {
    const machine = await makeMachine();
    const config = join(SRC, "../deno.json");
    const command = `${Deno.execPath()} run -A --no-prompt --config ${config} ${join(SRC, "../mod.ts")} setup ` +
      `--base-url ${url} --provider acme --model fake-1; stty -a | grep -o '[-]*echo ' | head -1`;
    const terminal = new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      cwd: machine.cwd,
      env: { ...machine.env, SHELL: "/bin/sh" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = terminal.stdin.getWriter();
    const shown: string[] = [];
    let typed = false;
    for await (const chunk of terminal.stdout.pipeThrough(new TextDecoderStream())) {
      shown.push(chunk);
      if (!typed && shown.join("").includes("API key (not shown")) {
        typed = true;
        // As a terminal pastes: with brackets; the person takes one key back.
        await writer.write(new TextEncoder().encode(`\x1b[200~${KEY}\x1b[201~x\x7f\r`));
      }
    }
    await writer.close().catch(() => {});
    await terminal.status;
    const text = shown.join("");
    assert.match(text, /✓ acme\/fake-1 answers: OK/, text);
    assert.ok(!text.includes(KEY) && !text.includes("sk-setup"), text);
    assert.match(text, /(^|[^-])echo /m);
    assert.ok((await Deno.readTextFile(configOf(machine, "providers.toml"))).includes(KEY));
  });
});

Deno.test("writeSetup() keeps what else stands in the files, follows a link, and says what to write when it cannot", async () => {
  const home = await Deno.makeTempDir();
  const folder = join(home, ".config/oxydra");
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(home, "dotfile.toml"), "# mine\n[runtime]\nmax_turns = 5\n");
  await Deno.symlink(join(home, "dotfile.toml"), join(folder, "agent.toml"));
  const chosen = { name: "acme", type: "openai", baseUrl: "http://x/v1", key: new Secret(KEY), model: "m" } as const;
  assert.deepEqual(await writeSetup(chosen, home), [
    join(folder, "providers.toml"),
    Deno.realPathSync(join(home, "dotfile.toml")),
  ]);
  assert.match(
    await Deno.readTextFile(join(home, "dotfile.toml")),
    /^# mine\n[^]*max_turns = 5\n\n\[selection\]\nprovider = "acme"/,
  );
  assert.ok((await Deno.lstat(join(folder, "agent.toml"))).isSymlink);
  const before = `providers = { registry = { acme = { provider_type = "openai" } } }\n`;
  await Deno.writeTextFile(join(folder, "providers.toml"), before);
  await assert.rejects(writeSetup(chosen, home), (error: Error) => {
    return /is not changed/.test(error.message) && /\[providers\.registry\.acme\]/.test(error.message) &&
      !error.message.includes(KEY);
  });
  assert.equal(await Deno.readTextFile(join(folder, "providers.toml")), before);
});

Deno.test("writeSetup() names the variable of a key that is in the environment, and takes a written key out", async () => {
  const home = await Deno.makeTempDir();
  const chosen = { name: "openai", type: "openai", key: new Secret(KEY), model: "m" } as const;
  const [path] = await writeSetup(chosen, home);
  assert.ok((await Deno.readTextFile(path!)).includes(KEY));
  await writeSetup({ ...chosen, keyVariable: "OPENAI_API_KEY" }, home);
  const text = await Deno.readTextFile(path!);
  assert.ok(!text.includes(KEY) && text.includes('api_key_env = "OPENAI_API_KEY"'), text);
});

Deno.test("openModelTrial() tries a model in a process that reaches its host alone, and leaves no file", async () => {
  await withVendor(OK, async (url) => {
    const said: string[] = [];
    await using trial = await openModelTrial({
      program: thisProgram(),
      env: Deno.env.toObject(),
      say: (line) => void said.push(line),
    });
    const chosen = { name: "acme", type: "openai", baseUrl: url, key: new Secret(KEY) } as const;
    assert.deepEqual(await trial.models(chosen), { ok: true, models: ["fake-1", "fake-2"] });
    const replied = await trial.reply({ ...chosen, model: "fake-1" });
    assert.ok(replied.ok && replied.text === "OK" && replied.ms > 0);
    assert.equal(said.length, 2);
  });
});
