/**
 * Threat: a secret lies where it does not belong. Canaries stand in each place that holds one, and are looked for in every file, every
 * prompt, every word to the outside, and in the memory of every process while a turn runs.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { reply, text, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { Script } from "../fake/openai_server.ts";
import { processTree, runOxydra } from "../fixture/system.ts";
import {
  filesIn,
  filesWith,
  formsOf,
  holds,
  obeys,
  openSite,
  openWebHouse,
  type Told,
  withTalk,
} from "../fixture/web_house.ts";

/** In every canary, so that one search finds them all; it is made of two parts, so that this program's text does not hold it. */
const MARK = `cAnArY${crypto.randomUUID().replaceAll("-", "")}`;
const canary = (name: string) => `${MARK}_${name}_end`;
const MODEL = canary("model");
const SEARCH = canary("search");
const DECLARED = canary("declared");
const ENVIRONMENT = canary("environment");
const VAULT = canary("vault");

type Role = "runner" | "client" | "guest" | "egress" | "child";

/** What a process is, by the entry that its command line names. */
function roleOf(pid: number): Role {
  const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  const entries: [string, Role][] = [
    ["/src/app/guest.ts", "guest"],
    ["/src/cli/client.ts", "client"],
    ["/src/sandbox/egress.ts", "egress"],
    ["/src/sandbox/child.ts", "child"],
    ["/mod.ts", "runner"],
  ];
  const found = entries.find(([entry]) => words.some((word) => word.endsWith(entry)));
  assert.ok(found, `an unknown process: ${words.join(" ")}`);
  return found[1];
}

interface Memory {
  readonly role: Role;
  /** Names of the canaries that are there, `?` for one in an encoding. */
  readonly found: ReadonlySet<string>;
  readonly bytes: number;
  /** Its environment, or its command line, has one. */
  readonly isTold: { readonly environment: boolean; readonly command: boolean };
}

/** Searches what is resident of a process's memory; file mappings that it cannot write hold what their file holds. */
function searchMemory(pid: number): Memory {
  const has = (name: string) => Deno.readTextFileSync(`/proc/${pid}/${name}`).includes(MARK);
  const told = { role: roleOf(pid), isTold: { environment: has("environ"), command: has("cmdline") } };
  const found = new Set<string>();
  let bytes = 0;
  using memory = Deno.openSync(`/proc/${pid}/mem`);
  for (const { start, end } of residentRegions(pid)) {
    for (let at = start; at < end; at += CHUNK) {
      const size = Math.min(CHUNK + OVERLAP, end - at);
      const chunk = readAt(memory, at, size);
      bytes += Math.min(chunk.length, CHUNK);
      const chars = chunk.toString("latin1");
      for (const { 0: form, index } of chars.matchAll(ANY_FORM)) found.add(nameAt(chars, index, form));
    }
  }
  return { ...told, found, bytes };
}

const CHUNK = 4 << 20;
const OVERLAP = 4_096;
/** Every form of the mark as bytes that are written as characters: a RegExp finds them ten times faster than a Buffer. */
const ANY_FORM = new RegExp(
  formsOf(MARK).map((form) => form.toString("latin1").replaceAll(/[^0-9A-Za-z]/g, "\\$&")).join("|"),
  "g",
);

/** `_model_end` behind the mark, in UTF-8 or UTF-16; a piece of a canary counts as well. */
function nameAt(chars: string, at: number, form: string): string {
  const rest = chars.slice(at + form.length, at + form.length + 80);
  return /^_([a-z]+)_end/.exec(rest.replaceAll("\0", ""))?.[1] ?? "?";
}

function residentRegions(pid: number): { start: number; end: number }[] {
  const regions: { start: number; end: number }[] = [];
  const smaps = Deno.readTextFileSync(`/proc/${pid}/smaps`);
  for (const block of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)/.exec(block);
    if (head === null || !head[3]!.startsWith("r") || /\nRss: +0 kB/.test(block)) continue;
    if (head[4] !== "0" && !head[3]!.includes("w")) continue;
    regions.push({ start: parseInt(head[1]!, 16), end: parseInt(head[2]!, 16) });
  }
  return regions;
}

/** What can be read there: a region may be gone by now, and some, such as [vvar], nobody may read. */
function readAt(memory: Deno.FsFile, at: number, size: number): Buffer {
  const out = Buffer.alloc(size);
  let got = 0;
  try {
    memory.seekSync(at, Deno.SeekMode.Start);
    while (got < size) {
      const count = memory.readSync(out.subarray(got));
      if (count === null || count === 0) break;
      got += count;
    }
  } catch {
    // Told above.
  }
  return out.subarray(0, got);
}

Deno.test("canary: while a turn runs, a secret is in the memory of the process that is given it, and of no other", async () => {
  const release = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  const script: Script = (body, n, request) => {
    const isLast = toolResults(body).length === 2;
    if (!isLast) return obeys(body, n, request);
    waiting.resolve();
    return reply([text("One moment. "), waitFor(release.promise), text("Done.")]);
  };
  await using google = openSite(() =>
    Response.json({ items: [{ title: "T", link: "https://example.com/", snippet: "s" }] })
  );
  await using house = await openWebHouse(script, {
    GOOGLE_KEY: SEARCH,
    GOOGLE_CX: "engine:1",
    DECLARED_KEY: DECLARED,
    UNRELATED_TOKEN: ENVIRONMENT,
    OXYDRA__PROVIDERS__REGISTRY__FAKE__API_KEY: MODEL,
  });
  Deno.writeTextFileSync(join(house.workspace, "vault/key"), VAULT);
  Deno.writeTextFileSync(join(house.workspace, "shared/a"), "alpha");
  await house.configure(`
[tools.web_search]
provider = "google"
base_url = "${google.url}/customsearch/v1"
api_key_env = "GOOGLE_KEY"
engine_id_env = "GOOGLE_CX"
egress_allowlist = ["127.0.0.1:${google.port}"]

[secrets.declared]
env = "DECLARED_KEY"
hosts = ["api.example.com"]
`);
  const copy: Told = ["vault_copyto", { source_path: "/vault/key", destination_path: "/shared/copy" }];
  const calls: Told[] = [["file_read", { path: "/shared/a" }], ["web_search", { query: "rivers" }]];
  await withTalk(house, async ({ turn, frames, gateway }) => {
    assert.match((await turn([copy], { answer: "once" })).results[0]!, /^Copied/);
    const running = turn(calls);
    await Promise.race([waiting.promise, running]);
    const memories = processTree(gateway.process.pid).map(searchMemory);
    const shown = JSON.stringify(memories.map(({ role, found, bytes }) => [role, [...found], bytes]));
    assert.deepEqual([...new Set(memories.map(({ role }) => role))].sort(), [
      "child",
      "client",
      "egress",
      "guest",
      "runner",
    ]);
    // The search sees: what each of these was given is there, in megabytes of memory that could be read.
    const allowed: Record<Role, readonly string[]> = {
      runner: ["model", "search", "declared", "environment", "vault", "?"],
      guest: ["model"],
      // For one request; what its collector has not swept yet.
      egress: ["search"],
      client: [],
      child: [],
    };
    for (const { role, found, bytes, isTold } of memories) {
      assert.ok(bytes > 10_000_000, shown);
      for (const name of found) assert.ok(allowed[role].includes(name), `${name} is in the ${role}'s memory: ${shown}`);
      assert.deepEqual(isTold, { environment: role === "runner", command: false }, role);
    }
    const of = (role: Role) => memories.find((memory) => memory.role === role)!.found;
    for (const name of ["model", "search", "declared", "environment"]) assert.ok(of("runner").has(name), shown);
    assert.ok(of("guest").has("model"), shown);
    release.resolve();
    assert.match((await running).results[1]!, /1 result/);
    for (const said of [...frames, gateway.errors()]) assert.ok(!holds(said, MARK), said);
    for (const args of [["config", "show"], ["doctor"], ["audit", "show"], ["run", JSON.stringify([])]]) {
      const { out, err } = await runOxydra(args, house.machine);
      assert.ok(!holds(out + err, MARK), `${args.join(" ")}: ${out}${err}`);
    }
  });
  for (const { body, headers, path } of house.vendor.seen) {
    const { authorization, ...rest } = headers;
    assert.equal(authorization, `Bearer ${MODEL}`);
    assert.ok(!holds(JSON.stringify([body, rest, path]), MARK), "a prompt");
  }
  assert.equal(google.seen[0]!.headers["x-goog-api-key"], SEARCH);
  const root = join(house.machine.cwd, "..");
  const looked = filesIn(root);
  for (const part of ["/logs/runtime.log", "/internal/oxydra.db", "/audit/audit-000001.jsonl", "/run/approvals.json"]) {
    assert.ok(looked.some((path) => path.endsWith(part)), part);
  }
  const places = filesWith(root, MARK).map((path) => path.slice(house.workspace.length)).sort();
  assert.deepEqual(places, ["/shared/copy", "/vault/key"], "the person's own file, and the copy that they said yes to");
});
