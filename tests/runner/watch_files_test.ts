import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { FileWatch, type FolderWatch, type WatchOptions } from "#/runner/watch_files.ts";
import { waitUntil } from "../fixture/system.ts";

interface Seen extends Disposable {
  readonly root: string;
  readonly file: string;
  /** Resolves once `onChange` was called this often. */
  has(count: number): Promise<void>;
  readonly count: () => number;
  readonly watch: FileWatch;
}

function open(options: Partial<WatchOptions> = {}, prepare: (file: string) => void = () => {}): Seen {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  const file = join(root, "config/oxydra/agent.toml");
  prepare(file);
  let count = 0;
  const watch = new FileWatch({ files: () => [file], onChange: () => void count++, since: Infinity, ...options });
  return {
    root,
    file,
    watch,
    count: () => count,
    has: (wanted) => waitUntil(() => count === wanted, `${count} changes were seen, not ${wanted}`),
    [Symbol.dispose]() {
      watch.close();
      Deno.removeSync(root, { recursive: true });
    },
  };
}

const folderOf = (file: string) => join(file, "..");

function save(file: string, text: string): void {
  Deno.writeTextFileSync(`${file}~`, text);
  Deno.renameSync(`${file}~`, file);
}

Deno.test("FileWatch sees a file appear with its folders, change, go, come back as a link, and its target change", async () => {
  using seen = open();
  const { file, root } = seen;
  Deno.mkdirSync(folderOf(file), { recursive: true });
  save(file, "one");
  await seen.has(1);
  save(file, "two");
  await seen.has(2);
  Deno.writeTextFileSync(file, "tw0");
  await seen.has(3);
  Deno.removeSync(folderOf(file), { recursive: true });
  await seen.has(4);
  Deno.mkdirSync(folderOf(file));
  const target = join(root, "dotfiles");
  Deno.mkdirSync(target);
  Deno.writeTextFileSync(join(target, "a"), "linked");
  Deno.symlinkSync(join(target, "a"), file);
  await seen.has(5);
  Deno.writeTextFileSync(join(target, "a"), "changed");
  await seen.has(6);
  Deno.removeSync(file);
  Deno.mkdirSync(file);
  await seen.has(7);
});

Deno.test("FileWatch waits until a file stands still, and takes no other file for it", async () => {
  using seen = open({}, (file) => Deno.mkdirSync(folderOf(file), { recursive: true }));
  const { file } = seen;
  const writes = Math.ceil(LIMITS.configSettleMs / 10) * 2;
  for (let at = 0; at < writes; at++) {
    Deno.writeTextFileSync(file, "x".repeat(at));
    Deno.writeTextFileSync(`${file}.other`, "x");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await seen.has(1);
  Deno.writeTextFileSync(`${file}.other`, "y");
  seen.watch.look();
  save(file, "last");
  await seen.has(2);
});

Deno.test("FileWatch reads a file that changes all the time after configSettleRoundsMax looks", async () => {
  let size = 0;
  const files = () => {
    const [file] = paths;
    Deno.writeTextFileSync(file!, "x".repeat(++size));
    return paths;
  };
  const paths = [join(Deno.makeTempDirSync(), "agent.toml")];
  let count = 0;
  const watch = new FileWatch({ files, onChange: () => void count++, since: Infinity });
  watch.look();
  await waitUntil(() => count > 0, "it waits for ever");
  assert.ok(size >= LIMITS.configSettleRoundsMax);
  watch.close();
});

Deno.test("FileWatch tells of what changed before anybody watched, and nothing of what is older", async () => {
  const prepare = (file: string) => {
    Deno.mkdirSync(folderOf(file), { recursive: true });
    Deno.writeTextFileSync(file, "edited");
  };
  using late = open({ since: Date.now() - 1_000 }, prepare);
  await late.has(1);
  using early = open({ since: Date.now() + 60_000 }, prepare);
  save(early.file, "now");
  await early.has(1);
});

Deno.test("FileWatch looks by itself where the system tells nobody, or stops to", async () => {
  const folders: string[][] = [];
  using blind = open({
    watch(watched) {
      folders.push(watched);
      throw new Error("no inotify");
    },
  }, (file) => Deno.mkdirSync(folderOf(file), { recursive: true }));
  Deno.writeTextFileSync(blind.file, "one");
  await blind.has(1);
  assert.deepEqual(folders[0], [join(blind.root, "config"), folderOf(blind.file)]);
  using broken = open({
    watch: () => ({
      close() {},
      // deno-lint-ignore require-yield
      async *[Symbol.asyncIterator]() {
        await Promise.resolve();
        throw new Error("too many");
      },
    }),
  }, (file) => Deno.mkdirSync(folderOf(file), { recursive: true }));
  Deno.writeTextFileSync(broken.file, "one");
  await broken.has(1);
});

Deno.test("FileWatch sees what changes while its watch is set up, at first and for folders that came later", async () => {
  let file = "";
  let change = () => {};
  const begun = Promise.withResolvers<void>();
  // Tells nobody of what happens from here on: it is the look behind it that has to see the change.
  const watch = (): FolderWatch => {
    change();
    return {
      close() {},
      async *[Symbol.asyncIterator]() {
        await begun.promise;
        yield;
      },
    };
  };
  const prepare = (path: string) => {
    file = path;
    Deno.mkdirSync(folderOf(file), { recursive: true });
    change = () => save(file, "one");
  };
  using seen = open({ watch, since: Date.now() - 1_000 }, prepare);
  await seen.has(1);
  Deno.removeSync(folderOf(file), { recursive: true });
  change = () => {
    change = () => {};
    Deno.mkdirSync(folderOf(file), { recursive: true });
    save(file, "two");
  };
  begun.resolve();
  await seen.has(2);
  assert.equal(Deno.readTextFileSync(file), "two");
});

Deno.test("close() calls nobody any more", async () => {
  const seen = open({}, (file) => Deno.mkdirSync(folderOf(file), { recursive: true }));
  Deno.writeTextFileSync(seen.file, "one");
  seen.watch.look();
  seen.watch.close();
  seen.watch.close();
  seen.watch.look();
  await new Promise((resolve) => setTimeout(resolve, LIMITS.configSettleMs * 3));
  assert.equal(seen.count(), 0);
  seen[Symbol.dispose]();
});
