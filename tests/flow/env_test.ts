/** Variables handed to a start: where they arrive, and where they must not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text } from "../fake/openai_reply.ts";
import { runOxydra } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

const KEY = "sk-handed-0123456789abcdef";
const HI = reply([text("Hi.")], {});

/** Command lines and environments of every process of this machine that hold the text, as `pid file`. */
function whoHolds(what: string): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    for (const file of ["cmdline", "environ"]) {
      try {
        if (Deno.readTextFileSync(`/proc/${name}/${file}`).includes(what)) found.push(`${name} ${file}`);
      } catch {
        // It has ended, or is not ours.
      }
    }
  }
  return found;
}

Deno.test("a key from --env-file, a reference to a file, or ~/.config/oxydra/.env reaches the vendor and no process's command line or environment", async () => {
  let held: string[] = [];
  const script = () => {
    held = whoHolds(KEY);
    return HI;
  };
  await withVendorMachine(script, async (machine) => {
    const { OXYDRA__PROVIDERS__REGISTRY__FAKE__API_KEY: _, ...env } = machine.env;
    env.OXYDRA__PROVIDERS__REGISTRY__FAKE__API_KEY_ENV = "HANDED_KEY";
    const own = join(env.HOME!, ".config", "oxydra");
    await Deno.mkdir(own, { recursive: true });
    const run = async (args: readonly string[]) => {
      const { code, err } = await runOxydra(["run", ...args, "hello"], { ...machine, env });
      assert.equal(code, 0, err);
      const seen = machine.vendor.requests.at(-1)!.headers.authorization;
      return [seen, held];
    };
    const envFile = join(machine.cwd, "keys.env");
    await Deno.writeTextFile(envFile, `export HANDED_KEY="${KEY}"\n`);
    assert.deepEqual(await run(["--env-file", envFile]), [`Bearer ${KEY}`, []]);

    await Deno.writeTextFile(join(own, ".env"), `HANDED_KEY=${KEY}\n`, { mode: 0o600 });
    assert.deepEqual(await run([]), [`Bearer ${KEY}`, []]);
    await Deno.remove(join(own, ".env"));

    await Deno.writeTextFile(join(machine.cwd, "key.txt"), `${KEY}\n`);
    await Deno.writeTextFile(join(own, "user.toml"), `[credential_refs]\nHANDED_KEY = "file:${machine.cwd}/key.txt"\n`);
    await Deno.writeTextFile(
      join(own, "runner.toml"),
      'default_tier = "process"\n[users.default]\nconfig_path = "user.toml"\n',
    );
    assert.deepEqual(await run([]), [`Bearer ${KEY}`, []]);

    // What is set wins over what a file says.
    const other = "sk-other-0123456789abcdef";
    assert.equal((await run(["--env", `HANDED_KEY=${other}`]))[0], `Bearer ${other}`);
  });
});

Deno.test("a project's own .env is nobody's: it is read only when a person names it", async () => {
  await withVendorMachine(() => HI, async (machine) => {
    await Deno.mkdir(join(machine.cwd, ".oxydra"));
    for (const place of [".env", ".oxydra/.env"]) {
      await Deno.writeTextFile(join(machine.cwd, place), "OXYDRA__SELECTION__MODEL=evil-1\n");
    }
    assert.equal((await runOxydra(["run", "hello"], machine)).code, 0);
    assert.equal(machine.vendor.requests.at(-1)!.body.model, "fake-1");
    const named = await runOxydra(["run", "--env-file", ".env", "hello"], machine);
    assert.equal(named.code, 0, named.err);
    assert.equal(machine.vendor.requests.at(-1)!.body.model, "evil-1");
  });
});

Deno.test("bad variables end a start with what is wrong, not with what was written", async () => {
  await withVendorMachine(() => HI, async (machine) => {
    const bad = join(machine.cwd, "bad.env");
    await Deno.writeTextFile(bad, `A=1\n${KEY}\n`);
    for (
      const args of [["--env-file", bad], ["--env-file", "none.env"], ["--env", "NOT_SET"], ["-e", "TZ=Nowhere/At_all"]]
    ) {
      const { code, err } = await runOxydra(["run", ...args, "hello"], machine);
      assert.equal(code, 2, err);
      assert.ok(!err.includes(KEY), err);
    }
  });
});
