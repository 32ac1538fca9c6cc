/**
 * Breaks every src file, one at a time, and asks its tests to notice: what an export of it throws must fail a test.
 *
 * `deno run -A tests/mutants.ts [--only <path in src, or a part of it>] [--each]`
 *
 * A mutant re-exports the original and puts a proxy over each function and class that throws when it is called; a file that exports
 * only constants gets constants that throw when they are looked into. An import map whose exact key wins over `#/` puts the mutant
 * in the file's place, for tests and for src alike. `--each` breaks one export at a time, which finds the export that only looks
 * tested. A test file that fails counts when it says by which mutant, or else when it passes with the same import map and no mutant in it.
 * Prints a line each and `N killed, N survived`; exit 1 when one survived.
 */
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { judgeAll, runTests, type TestRun, type Verdict } from "./fixture/judging.ts";
import { join, relative, type SourceFile, sourceFiles, SRC, TESTS, toImports } from "./fixture/source_tree.ts";

/**
 * What runs as a process of its own. An import map of a test does not reach into a child process, and importing the file would run
 * it: for these a test that starts the very file is asked for instead, and it has to name the file.
 */
const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ["app/guest.ts", "the guest's entry: ends its process when its stdin ends"],
  ["cli/log_copier.ts", "the copier of a log: ends its process when it has said how that went"],
  ["cli/log_reader.ts", "the reader of a log: ends its process when it has printed them"],
  ["cli/client.ts", "the client's entry: ends its process with its turn"],
  ["cli/tui.ts", "the terminal client's entry: ends its process when the person leaves"],
  ["sandbox/component_inspect.ts", "the inspection's entry: ends with its verdict"],
  ["sandbox/self_test_probe.ts", "the probe of walls: ends its process when it has tried them"],
  ["sandbox/browser.ts", "the entry of a browser's driver: ends its process when its stdin ends"],
  ["runner/relay.ts", "the relay of a container: runs until its runner ends"],
  ["sandbox/egress.ts", "the egress process's entry: ends its process when its stdin ends"],
  ["sandbox/tunnel_egress.ts", "the entry of the egress process of tunnels: ends its process when its stdin ends"],
  ["lib/stderr_console.ts", "no export; turns the console of a whole process to stderr"],
]);

/** As many at a time: most tests wait for something. */
const WORKERS = 4;
/** Test files asked for one mutant, the nearest first. */
const TEST_FILES_MAX = 8;

/** A src file with what can be broken in it. */
interface Target {
  readonly path: string;
  /** Exports to break, in one mutant or in one each. */
  readonly names: readonly string[];
}

async function main(args: readonly string[]): Promise<number> {
  const at = args.indexOf("--only");
  const only = at === -1 ? "" : args[at + 1] ?? "";
  const each = args.includes("--each");
  const folder = await Deno.makeTempDir({ prefix: "oxydra-mutants-" });
  try {
    const lab = new Lab(folder);
    const files = sourceFiles().filter((file) => file.path.includes(only.replace(/^(\.\/)?src\//, "")));
    const programs = files.filter(({ path }) => PROGRAMS.has(path));
    const mutants: Target[] = [];
    for (const file of files.filter(({ path }) => !PROGRAMS.has(path))) {
      const target = await toTarget(file);
      if (target === null) continue;
      mutants.push(...(each ? target.names.map((name) => ({ path: target.path, names: [name] })) : [target]));
    }
    return await judgeAll([
      ...programs.map(({ path }) => () => Promise.resolve(judgeProgram(path, lab.tests))),
      ...mutants.map((mutant) => () => lab.judge(mutant, each)),
    ], WORKERS);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What of a file can be broken; null when nothing of it exists at run time. */
async function toTarget(file: SourceFile): Promise<Target | null> {
  const entries = Object.entries(await import(pathToFileURL(file.absolute).href) as Record<string, unknown>);
  const callable = entries.filter(([, value]) => typeof value === "function");
  const names = (callable.length > 0 ? callable : entries).map(([name]) => name);
  return names.length === 0 ? null : { path: file.path, names };
}

/** The static rule for a program: a test starts it, and says its name. */
function judgeProgram(path: string, tests: readonly TestFile[]): Verdict {
  const test = tests.find((file) => file.text.includes(`src/${path}`));
  const detail = test === undefined ? "no test names it" : `started by ${test.path}: ${PROGRAMS.get(path)}`;
  return { label: path, killed: test !== undefined, detail };
}

/** A test file and the src files it imports: 0 by itself, 1 through a file beside it, and so on. */
interface TestFile extends SourceFile {
  readonly distance: ReadonlyMap<string, number>;
}

/** Runs test files against mutants. */
class Lab {
  readonly tests: readonly TestFile[] = toTestFiles();
  readonly #folder: string;
  readonly #baselines = new Map<string, Promise<boolean>>();
  #maps = 0;

  constructor(folder: string) {
    this.#folder = folder;
    Deno.writeTextFileSync(join(folder, "broken.js"), BROKEN);
  }

  /** Asks the nearest test files, one after another, until one fails. */
  async judge(target: Target, each: boolean): Promise<Verdict> {
    const label = each ? `${target.path} ${target.names[0]}` : target.path;
    const map = this.#writeMap(target);
    const asked = nearest(target.path, this.tests);
    for (const test of asked) {
      const { end, took, text } = await this.#run(test, map);
      if (end === "passed") continue;
      if (text.includes(MARK) || await this.#baseline(test)) {
        return { label, killed: true, detail: `by ${test.path} (${took})` };
      }
      return { label, killed: false, detail: `${test.path} fails without a mutant, too` };
    }
    const detail = asked.length === 0 ? "no test imports it" : `asked ${asked.map(({ path }) => path).join(", ")}`;
    return { label, killed: false, detail };
  }

  #baseline(test: TestFile): Promise<boolean> {
    const known = this.#baselines.get(test.path);
    if (known !== undefined) return known;
    const passes = this.#run(test, this.#writeMap(null)).then(({ end }) => end === "passed");
    this.#baselines.set(test.path, passes);
    return passes;
  }

  /**
   * Our import map; with a target, its specifier leads to the mutant. Returns the path. For `--import-map`: in the file of `--config`,
   * `#/` wins over the exact key (measured, Deno 2.9.6), and no mutant is ever loaded.
   */
  #writeMap(target: Target | null): string {
    const folder = join(this.#folder, String(this.#maps++));
    Deno.mkdirSync(folder);
    const { imports } = JSON.parse(Deno.readTextFileSync(join(SRC, "../deno.json")));
    const map: Record<string, string> = { ...imports, "#/": `${pathToFileURL(SRC).href}/` };
    if (target !== null) {
      Deno.writeTextFileSync(join(folder, "mutant.js"), toMutant(target));
      map[`#/${target.path}`] = "./mutant.js";
    }
    const path = join(folder, "imports.json");
    Deno.writeTextFileSync(path, JSON.stringify({ imports: map }));
    return path;
  }

  /** Asks one test file; a run that never ends is no pass. */
  #run(test: TestFile, map: string): Promise<TestRun> {
    // A copy of our lock: without it ranges of packages are looked up anew, and it is written to for what the map names otherwise.
    const lock = join(dirname(map), "deno.lock");
    Deno.copyFileSync(join(SRC, "../deno.lock"), lock);
    const args = ["--fail-fast", "--no-config", `--lock=${lock}`, "--import-map", map, test.absolute];
    return runTests(args, { cwd: dirname(SRC) });
  }
}

/** The original under its own URL, and over each name something that throws. */
function toMutant({ path, names }: Target): string {
  const url = JSON.stringify(pathToFileURL(join(SRC, path)).href);
  return [
    `export * from ${url};`,
    `import * as original from ${url};`,
    `import { broken } from "../broken.js";`,
    ...names.map((name) => `export const ${name} = broken(${JSON.stringify(name)}, original.${name});`),
  ].join("\n");
}

/** What a broken export throws. */
const MARK = "mutant: ";

/** Runs inside the test's process. What an async function throws comes as a rejection; `instanceof` goes on working. */
const BROKEN = `
const BREAKING = ["get", "has", "ownKeys", "getOwnPropertyDescriptor"];
export function broken(name, original) {
  const boom = () => { throw new Error("${MARK}" + name); };
  if (typeof original === "function") {
    const isAsync = original.constructor.name === "AsyncFunction";
    return new Proxy(original, {
      apply: () => isAsync ? Promise.reject(new Error("${MARK}" + name)) : boom(),
      construct: boom,
      get: (target, key) => typeof target[key] === "function" && typeof key === "string" ? boom : target[key],
    });
  }
  if (typeof original === "object" && original !== null) {
    return new Proxy(original, Object.fromEntries(BREAKING.map((trap) => [trap, boom])));
  }
  return Symbol("${MARK}" + name);
}
`;

/** Test files for a src file, the nearest first: its mirror, what imports it itself, its folder, then what reaches it through a kit. */
function nearest(path: string, tests: readonly TestFile[]): readonly TestFile[] {
  const mirror = path.replace(/\.ts$/, "_test.ts");
  const rank = (test: TestFile): number => {
    if (test.path === mirror) return 0;
    const distance = test.distance.get(path);
    const isNear = dirname(test.path) === dirname(path);
    if (distance !== undefined) return 1 + 2 * distance + (isNear ? 0 : 1);
    return isNear ? 50 : Infinity;
  };
  return tests.filter((test) => rank(test) < Infinity).sort((a, b) => rank(a) - rank(b) || a.lines - b.lines)
    .slice(0, TEST_FILES_MAX);
}

function toTestFiles(): TestFile[] {
  const files = new Map(sourceFiles(TESTS).map((file) => [file.path, file]));
  return [...files.values()].filter(({ path }) => basename(path).endsWith("_test.ts")).map((test) => {
    const distance = new Map<string, number>();
    const seen = new Set<string>();
    const walk = (file: SourceFile, depth: number): void => {
      if (seen.has(file.path)) return;
      seen.add(file.path);
      for (const name of toImports({ ...file, text: file.text.replace(/^import type [^;]*;/gm, "") })) {
        if (name.startsWith("#/")) distance.set(name.slice(2), Math.min(depth, distance.get(name.slice(2)) ?? depth));
        const beside = name.startsWith(".")
          ? files.get(relative(TESTS, join(dirname(file.absolute), name)))
          : undefined;
        if (beside !== undefined) walk(beside, depth + 1);
      }
    };
    walk(test, 0);
    return { ...test, distance };
  });
}

Deno.exit(await main(Deno.args));
