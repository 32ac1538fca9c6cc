import { join } from "#/lib/path.ts";
import type { z } from "zod";
import type { ConfigFolder } from "#/config/folders.ts";
import type { Problem } from "#/config/problem.ts";
import { type ConfigText, readConfigFile, toShownPath } from "#/config/read_file.ts";
import { AgentFile, RunnerFile, UserFile } from "#/config/schema.ts";
import { checkSource, problemIn, type RawSource, type Source } from "#/config/source.ts";
import { isTrusted, readTrustList, type TrustedFile } from "#/config/trust.ts";
import { isTable, type Tree } from "#/config/tree.ts";
import { AppError } from "#/core/error.ts";

/** What one kind of file holds, and where that belongs in Config. */
interface FileKind {
  readonly schema: z.ZodType;
  readonly at: readonly string[];
  /** The reference reads agent.toml and providers.toml through figment, which knows profiles; runner files it reads plainly. */
  readonly profiles: boolean;
}

const AGENT: FileKind = { schema: AgentFile, at: [], profiles: true };
const RUNNER: FileKind = { schema: RunnerFile, at: ["runner"], profiles: false };
const USER: FileKind = { schema: UserFile, at: ["user"], profiles: false };

/** Files of one folder, the later one wins. */
const FILES: readonly (readonly [name: string, kind: FileKind])[] = [
  ["agent.toml", AGENT],
  ["providers.toml", AGENT],
  ["runner.toml", RUNNER],
];

/** Reads files as sources and collects what is wrong with them. */
export class LayerReader {
  readonly problems: Problem[] = [];
  /** Config paths whose value was left out. */
  readonly wrong: string[] = [];
  readonly #cwd: string;
  readonly #home: string | undefined;
  #trusted: readonly TrustedFile[] | undefined;

  constructor(cwd: string, home: string | undefined) {
    this.#cwd = cwd;
    this.#home = home;
  }

  /** The sources of a folder, weakest first. */
  async readFolder(folder: ConfigFolder): Promise<Source[]> {
    const sources: Source[] = [];
    if (folder.realPath === undefined) return sources;
    const within = folder.layer === "project" ? folder.realPath : undefined;
    for (const [name, kind] of FILES) {
      sources.push(...await this.#read(join(folder.path, name), kind, folder.layer, within) ?? []);
    }
    return sources;
  }

  /** The source of a user's file; `within` as for `readConfigFile`. Undefined when it is not there, which the caller reports. */
  async readUser(path: string, layer: Source["layer"], within: string | undefined): Promise<Source[] | undefined> {
    return await this.#read(path, USER, layer, within);
  }

  async #read(path: string, kind: FileKind, layer: Source["layer"], within?: string): Promise<Source[] | undefined> {
    const place = toShownPath(path, this.#cwd);
    const file = await readConfigFile(path, within);
    if (file.kind === "absent") return undefined;
    if (file.kind === "bad") {
      const line = file.line === undefined ? {} : { line: file.line };
      this.problems.push({ code: "config_invalid", place, ...line, key: "", sentence: file.sentence });
      return [];
    }
    const trusted = layer !== "project" ||
      isTrusted(this.#trustList(), { path: file.realPath, sha256: file.sha256 });
    const base = { layer, place, file: path, at: kind.at, lines: file.lines, trusted };
    return this.#profiles(file, kind, base).map((raw) => this.check(raw, kind.schema));
  }

  /** Checks a source and keeps its problems. */
  check(raw: RawSource, schema: z.ZodType): Source {
    const { source, problems, wrong } = checkSource(raw, schema);
    this.problems.push(...problems);
    this.wrong.push(...wrong);
    return source;
  }

  /** One raw source, or one for each profile that figment would select: `default`, then `global`. */
  #profiles(file: ConfigText, kind: FileKind, base: Omit<RawSource, "profile" | "raw">): RawSource[] {
    const names = ["default", "global"].filter((name) => kind.profiles && isTable(file.tree[name]));
    if (names.length === 0) return [{ ...base, profile: [], raw: file.tree }];
    for (const key of Object.keys(file.tree).filter((key) => !names.includes(key))) {
      const sentence = `is not read: this file has profiles, and only ${names.join(" and ")} can be chosen`;
      this.problems.push(problemIn({ ...base, at: [], profile: [] }, [key], sentence));
    }
    return names.map((name) => ({ ...base, profile: [name], raw: file.tree[name] as Tree }));
  }

  #trustList(): readonly TrustedFile[] {
    if (this.#trusted !== undefined) return this.#trusted;
    this.#trusted = [];
    try {
      this.#trusted = readTrustList(this.#home);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.problems.push({ code: "config_invalid", place: "trust", key: "", sentence: error.message });
    }
    return this.#trusted;
  }
}
