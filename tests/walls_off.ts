/**
 * Switches one defence off, runs the attack that it is against, and wants that to go through: a test that stays green without what it
 * tests proves nothing.
 *
 * `deno run -A tests/walls_off.ts [--only <part of a threat, a test or a file>]`
 *
 * Each row is tried in a scratch copy of the sources. It is killed when a test of its file fails by an assertion, or by something else
 * while other tests of the file pass, so that a copy that does not even start is no success. The same run has to pass with the defence on.
 * A row whose text is not in its file exactly once survives: it says something else by now. Where two walls stand behind each other both
 * are off, and `threat` says so. Prints a line each and `N killed, N survived`; exit 1 when one survived.
 */
import { installToolchain } from "../tools-wasm/build/toolchain.ts";
import { judgeAll, runTests, type TestRun, type Verdict, WORKERS } from "./fixture/judging.ts";
import { ScratchCopy } from "./fixture/scratch_copy.ts";
import { WAY } from "./fixture/small_disk.ts";
import { join } from "./fixture/source_tree.ts";
import { type Wall, WALLS } from "./fixture/walls.ts";

/** What the tests need of the repository. */
const COPIED = ["src", "tests", "tools-wasm", "mod.ts", "deno.json", "deno.lock"];

async function main(args: readonly string[]): Promise<number> {
  const at = args.indexOf("--only");
  const only = at === -1 ? "" : args[at + 1] ?? "";
  await installToolchain();
  using copies = new DisposableStack();
  const labs = Array.from({ length: WORKERS }, () => new Lab(copies.use(new ScratchCopy(COPIED))));
  const chosen = WALLS.filter(({ threat, test, off }) =>
    [threat, test, ...off.map(([file]) => file)].some((text) => text.includes(only))
  ).filter(({ test }) => WAY !== undefined || test !== "full_disk_test.ts");
  if (WAY === undefined) console.log("full_disk_test.ts: not tried, for nobody may mount a disk here");
  return await judgeAll(chosen.map((wall) => (worker) => labs[worker]!.judge(wall)), WORKERS);
}

/** Runs attacks in one copy, one after another. */
class Lab {
  /** What passes with every defence on; of all labs, since one look is enough. */
  static readonly #baselines = new Map<string, Promise<boolean>>();
  readonly #copy: ScratchCopy;
  readonly #report: string;
  readonly #temp: string;

  constructor(copy: ScratchCopy) {
    this.#copy = copy;
    this.#report = join(copy.root, "report.xml");
    this.#temp = join(copy.root, "t");
    Deno.mkdirSync(this.#temp);
  }

  async judge(wall: Wall): Promise<Verdict> {
    const label = wall.threat;
    try {
      for (const change of wall.off) this.#copy.replace(...change);
      await this.#rebuild(wall);
      const { isSeen, detail } = await this.#attack(wall);
      this.#copy.restore();
      if (!isSeen || await this.#baseline(wall)) return { label, killed: isSeen, detail };
      return { label, killed: false, detail: `${wall.test} fails with the defence, too` };
    } catch (error) {
      return { label, killed: false, detail: error instanceof Error ? error.message : String(error) };
    } finally {
      this.#copy.restore();
    }
  }

  /** What runs of tools-wasm/ is its artefact. */
  async #rebuild({ off }: Wall): Promise<void> {
    if (!off.some(([file]) => file.startsWith("tools-wasm/"))) return;
    this.#copy.keep("tools-wasm/web.json");
    const args = ["run", "-A", "-q", "tools-wasm/build.ts"];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: this.#copy.root }).output();
    if (!success) throw new Error(`tools-wasm does not build: ${new TextDecoder().decode(stderr).slice(-300)}`);
  }

  #baseline(wall: Wall): Promise<boolean> {
    const tests = `${wall.test} ${wall.filter}`;
    const known = Lab.#baselines.get(tests) ?? this.#run(wall).then(({ end }) => end === "passed");
    Lab.#baselines.set(tests, known);
    return known;
  }

  async #attack(wall: Wall): Promise<{ isSeen: boolean; detail: string }> {
    const { end, took, report } = await this.#run(wall);
    if (end === "late") return { isSeen: false, detail: `${wall.test} did not end (${took})` };
    const { passed, failures } = readReport(report);
    const [failure] = failures.filter(({ message }) => passed > 0 || message.includes("AssertionError"));
    if (failure !== undefined) return { isSeen: true, detail: `by ${wall.test}: ${failure.test} (${took})` };
    const [other] = failures;
    const what = other === undefined
      ? `has ${passed} tests that pass and none that fails`
      : `fails by ${other.message}`;
    return { isSeen: false, detail: `${wall.test} ${what} (${took})` };
  }

  async #run({ test, filter }: Wall): Promise<TestRun & { readonly report: string }> {
    const args = [`--junit-path=${this.#report}`, ...(filter === undefined ? [] : ["--filter", filter])];
    try {
      // In here, so that whatever a test starts names this copy in its command line: an entry in src, or a script that was written.
      const run = await runTests([...args, join("tests/attack", test)], {
        cwd: this.#copy.root,
        env: { TMPDIR: this.#temp },
      });
      return { ...run, report: takeText(this.#report) };
    } finally {
      endAll(this.#copy.root);
    }
  }
}

/** Of Deno's JUnit report: how many tests passed, and which failed by what. A file that could not be loaded is in none. */
function readReport(xml: string): { passed: number; failures: { test: string; message: string }[] } {
  const cases = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*>([^]*?)<\/testcase>/g)];
  const failures = cases.flatMap(([, test = "", body = ""]) => {
    const message = /<failure message="([^"]*)"/.exec(body)?.[1];
    return message === undefined ? [] : [{ test: unescapeXml(test), message: unescapeXml(message).slice(0, 200) }];
  });
  const skipped = cases.filter(([, , body = ""]) => body.includes("<skipped")).length;
  return { passed: cases.length - skipped - failures.length, failures };
}

function unescapeXml(text: string): string {
  const signs: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(\w+);/g, (all, name: string) => signs[name] ?? all).replace(/\s+/g, " ");
}

/** Ends what a test left that did not come to its end: a defence that is off may be the one that ends it. */
function endAll(root: string): void {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(root)) Deno.kill(Number(name), "SIGKILL");
    } catch {
      // It has ended, or is not ours.
    }
  }
}

/** The text of a file, which is gone then; empty when there is none. */
function takeText(path: string): string {
  try {
    const text = Deno.readTextFileSync(path);
    Deno.removeSync(path);
    return text;
  } catch {
    return "";
  }
}

Deno.exit(await main(Deno.args));
