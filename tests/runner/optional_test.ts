import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import { OPTIONAL_PACKAGES } from "#/lib/optional_packages.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { installOptional } from "#/runner/optional.ts";
import { toModuleFlags } from "#/runner/process_plan.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

const SPECIFIER = OPTIONAL_PACKAGES.anthropic;

/** A guest's lock and an empty cache of Deno, and what an installation says. */
async function makeMachine(env: Readonly<Record<string, string>> = {}) {
  const folders = makeFolders();
  const lockPath = join(folders.run, "guest.lock");
  await writeGuestLock(thisProgram(), lockPath, true);
  const said: string[] = [];
  const deps = {
    program: thisProgram(),
    env: { ...denoEnv(), DENO_DIR: join(folders.root, "cache"), ...env },
    lockPath,
    say: (line: string) => void said.push(line),
  };
  return { folders, deps, said };
}

/** What a process with a guest's module flags says of the package. */
async function importIt({ deps, folders }: Awaited<ReturnType<typeof makeMachine>>): Promise<string> {
  const script = join(folders.tmp, "import.ts");
  await Deno.writeTextFile(
    script,
    `const it = await import(Deno.args[0]).catch((error) => error); console.log(typeof it.default, it.message);`,
  );
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", ...toModuleFlags(deps.program, deps.lockPath), script, SPECIFIER],
    env: deps.env,
    clearEnv: true,
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test("installOptional() puts a package where a guest without a network finds it, says so once, and is silent after", async () => {
  const machine = await makeMachine();
  assert.match(await importIt(machine), /^undefined .*not found in cache/s);
  await installOptional(["anthropic"], machine.deps);
  assert.equal(machine.said.length, 2, machine.said.join("\n"));
  assert.equal(machine.said[0], `· installing ${SPECIFIER} for anthropic, once …`);
  assert.match(machine.said[1]!, /^✓ installed in \d+\.\d s$/);
  assert.match(await importIt(machine), /^function /);
  const lock = await Deno.readTextFile(machine.deps.lockPath);
  await installOptional(["anthropic"], {
    ...machine.deps,
    env: { ...machine.deps.env, HTTPS_PROXY: "http://127.0.0.1:1", HTTP_PROXY: "http://127.0.0.1:1" },
  });
  assert.equal(machine.said.length, 2);
  assert.equal(await Deno.readTextFile(machine.deps.lockPath), lock);
});

Deno.test("installOptional() without a network says which package is missing and what to do", async () => {
  const { deps, said } = await makeMachine({ NPM_CONFIG_REGISTRY: "http://127.0.0.1:1" });
  await assert.rejects(installOptional(["anthropic"], deps), (error) => {
    assert.ok(error instanceof AppError && error.code === "config_invalid");
    assert.match(
      error.message,
      /^anthropic needs the package @anthropic-ai\/sdk@[\d.]+, which cannot be installed: .*connect/i,
    );
    assert.match(error.message, /select another provider\.$/);
    assert.ok(!error.message.includes("\n"));
    return true;
  });
  assert.ok(said.every((line) => !line.startsWith("✓")));
});

Deno.test("installOptional() gives up after its time, and its process is gone", async () => {
  // Takes connections and never answers.
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { deps } = await makeMachine({ NPM_CONFIG_REGISTRY: `http://127.0.0.1:${silent.addr.port}` });
  await assert.rejects(installOptional(["anthropic"], { ...deps, timeoutMs: 1_000 }), /it took longer than 1 s/);
  silent.close();
});

Deno.test("installOptional() refuses a package whose bytes are not those of our lock", async () => {
  const machine = await makeMachine();
  const lock = await Deno.readTextFile(machine.deps.lockPath);
  // What the registry sends is then no longer what was pinned.
  const forged = lock.replace(/("@anthropic-ai\/sdk@[^"]+": \{\s+"integrity": "sha512-)[\w+/]{4}/, "$1AAAA");
  assert.notEqual(forged, lock);
  await Deno.writeTextFile(machine.deps.lockPath, forged);
  await assert.rejects(installOptional(["anthropic"], machine.deps), { code: "config_invalid" });
  assert.match(await importIt(machine), /^undefined /);
});
