import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { isWithin, readConfigFile, toRealPath, toShownPath } from "#/config/read_file.ts";

const inFolder = (name: string, run: (folder: string) => Promise<void>) =>
  Deno.test(name, async () => {
    const folder = Deno.realPathSync(Deno.makeTempDirSync());
    try {
      await run(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

const sentence = async (path: string, within?: string) => {
  const read = await readConfigFile(path, within);
  return read.kind === "bad" ? `${read.line ?? ""} ${read.sentence}`.trim() : read.kind;
};

inFolder("readConfigFile() refuses what is no config file, each with its reason", async (folder) => {
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return path;
  };
  assert.equal(await sentence(join(folder, "missing.toml")), "absent");
  assert.equal(await sentence(file("empty.toml", "")), "read");
  assert.equal(await sentence(file("bom.toml", "\ufeffa = 1")), "read");
  assert.equal(await sentence(folder), "is a folder, expected a file");
  assert.match(await sentence(join(file("plain", ""), "agent.toml")), /a part of its path is not a folder/);
  assert.equal(await sentence(file("binary", new Uint8Array([97, 10, 98, 10, 0xff, 0xfe]))), "3 is not UTF-8 text");
  assert.match(await sentence(file("nul", "a = \0")), /^1 TOML syntax/);
  assert.match(await sentence(file("half", 'a = 1\nb = "sk-secret')), /^2 TOML syntax/);
  assert.match(await sentence(file("twice", "a = 1\na = 2")), /^2 TOML syntax/);
  assert.match(await sentence(file("deep", `a = ${"[".repeat(5_000)}`)), /TOML syntax/);
});

inFolder("readConfigFile() never repeats the text of a broken file", async (folder) => {
  Deno.writeTextFileSync(join(folder, "a"), 'api_key = "sk-very-secret" oops');
  assert.doesNotMatch(await sentence(join(folder, "a")), /secret/);
});

inFolder("readConfigFile() reads up to its limit and refuses one byte more", async (folder) => {
  const path = join(folder, "big");
  Deno.writeTextFileSync(path, "#".repeat(LIMITS.configBytesMax));
  assert.equal(await sentence(path), "read");
  Deno.writeTextFileSync(path, "#".repeat(LIMITS.configBytesMax + 1));
  assert.match(await sentence(path), /larger than 1048576 bytes/);
});

inFolder("readConfigFile() does not wait for a pipe and does not read a device", async (folder) => {
  const pipe = join(folder, "pipe");
  const made = await new Deno.Command("mkfifo", { args: [pipe] }).output();
  assert.ok(made.success);
  assert.equal(await sentence(pipe), "is not a regular file");
  assert.equal(await sentence("/dev/zero"), "is not a regular file");
});

inFolder("readConfigFile() refuses a link that leads out, in a circle or nowhere", async (folder) => {
  const within = join(folder, "project");
  Deno.mkdirSync(within);
  Deno.writeTextFileSync(join(folder, "own.toml"), "a = 1");
  Deno.writeTextFileSync(join(within, "real.toml"), "a = 1");
  const link = (target: string, name: string) => {
    Deno.symlinkSync(target, join(within, name));
    return join(within, name);
  };
  assert.match(await sentence(link("../own.toml", "out.toml"), within), /leads out of its folder/);
  assert.equal(await sentence(link("../own.toml", "out2.toml")), "read");
  assert.equal(await sentence(link("real.toml", "in.toml"), within), "read");
  assert.match(await sentence(link("self.toml", "self.toml"), within), /circle|cannot be read/);
  assert.match(await sentence(link("gone.toml", "gone_link.toml"), within), /link to a file that is not there/);
});

inFolder("toRealPath() resolves what exists of a path and refuses a link to nowhere", (folder) => {
  Deno.mkdirSync(join(folder, "real"));
  Deno.symlinkSync(join(folder, "real"), join(folder, "link"));
  Deno.symlinkSync(join(folder, "gone"), join(folder, "dangling"));
  assert.equal(toRealPath(join(folder, "link", "new", "file")), join(folder, "real", "new", "file"));
  assert.throws(() => toRealPath(join(folder, "dangling", "x")), Deno.errors.NotFound);
  return Promise.resolve();
});

Deno.test("isWithin() is not fooled by a common beginning", () => {
  const cases: [string, string, boolean][] = [
    ["/a/b", "/a/b", true],
    ["/a/b", "/a/b/c", true],
    ["/a/b", "/a/bc", false],
    ["/a/b", "/a", false],
    ["/a/b", "/a/b/..c", true],
    ["/", "/x", true],
  ];
  for (const [folder, path, expected] of cases) assert.equal(isWithin(folder, path), expected, `${folder} ${path}`);
});

Deno.test("toShownPath() is short below the current folder only", () => {
  assert.equal(toShownPath("/w/.oxydra/agent.toml", "/w"), ".oxydra/agent.toml");
  assert.equal(toShownPath("/etc/oxydra/agent.toml", "/w"), "/etc/oxydra/agent.toml");
});
