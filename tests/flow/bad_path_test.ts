/**
 * Paths that lead out, asked for by a model through the whole chain. Two kinds of refusal:
 * `path_invalid` and `path_outside`: the path names nothing that a grant could be made for. The call failed, the model may correct
 * itself, and a turn that ends well exits with 0. `tool_denied`: a good path that policy does not give; the turn exits with 5.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { interleave, reply, text, toolCall } from "../fake/openai_reply.ts";
import { type FakeOpenAi, startFakeOpenAi } from "../fake/openai_server.ts";
import { eventsOf, type Printed, readEvents } from "../fixture/events.ts";
import { makeMachine, runOxydra, vendorEnv } from "../fixture/system.ts";
import { toolResults } from "../fake/openai_scripts.ts";

interface Call {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
}

interface Ran {
  readonly code: number;
  readonly all: string;
  readonly results: readonly Printed<"tool_result">["payload"][];
}

const SECRET = "the diary of the person";

/** A machine with a file outside of the roots, and links that lead to it. */
class Place {
  readonly cwd: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #vendor: FakeOpenAi;
  #calls: readonly Call[] = [];

  constructor(machine: { cwd: string; env: Record<string, string> }, vendor: FakeOpenAi) {
    this.cwd = machine.cwd;
    this.#env = { ...machine.env, ...vendorEnv(vendor.url) };
    this.#vendor = vendor;
  }

  static async open(): Promise<Place> {
    const place: Place = new Place(
      await makeMachine(),
      await startFakeOpenAi((body) => {
        if (toolResults(body).length > 0) return reply([text("I see.")]);
        return reply([interleave(...place.#calls.map(({ tool, args }, index) => toolCall(tool, args, { index })))]);
      }),
    );
    await Deno.mkdir(join(place.shared, "sub"), { recursive: true });
    await Deno.mkdir(place.outside);
    await Deno.writeTextFile(join(place.outside, "diary.txt"), SECRET);
    return place;
  }

  get shared(): string {
    return join(this.cwd, ".oxydra/workspaces/default/shared");
  }

  get outside(): string {
    return join(this.cwd, "outside");
  }

  /** The model makes all these calls in one reply; then it ends the turn. */
  async run(calls: readonly Call[]): Promise<Ran> {
    this.#calls = calls;
    const options = { cwd: this.cwd, env: this.#env };
    const { code, out, err } = await runOxydra(["run", "--json", "--session", crypto.randomUUID(), "go"], options);
    const results = eventsOf(readEvents(out), "tool_result").map((event) => event.payload);
    assert.equal(results.length, calls.length, err);
    return { code, all: out + err + JSON.stringify(this.#vendor.requests), results };
  }

  /** Nothing outside was read, made, changed or removed, and nobody was told where it lies. */
  assertUntouched({ all }: Ran): void {
    assert.deepEqual([...Deno.readDirSync(this.outside)].map(({ name }) => name), ["diary.txt"]);
    assert.equal(Deno.readTextFileSync(join(this.outside, "diary.txt")), SECRET);
    assert.ok(!all.includes(SECRET), "not a byte of what lies outside");
    assert.ok(!all.includes(this.cwd), "no host path");
  }

  close(): Promise<void> {
    return this.#vendor.close();
  }
}

/** The same path through every tool. */
function callsOn(path: string): Call[] {
  return [
    { tool: "file_read", args: { path } },
    { tool: "file_list", args: { path } },
    { tool: "file_search", args: { path, pattern: "diary" } },
    { tool: "file_write", args: { path, content: "overwritten" } },
    { tool: "file_edit", args: { path, old_text: "diary", new_text: "x" } },
    { tool: "file_delete", args: { path } },
  ];
}

const BAD: readonly (readonly [path: string, code: string])[] = [
  ["/shared/../../../../outside/diary.txt", "path_invalid"],
  ["/shared/sub/../../internal/oxydra.db", "path_invalid"],
  ["../shared/a.txt", "path_invalid"],
  ["/shared/./a.txt", "path_invalid"],
  ["/shared/a\0.txt", "path_invalid"],
  ["/shared/a\n.txt", "path_invalid"],
  ["/shared\\..\\outside", "path_invalid"],
  ["/etc/passwd", "path_outside"],
  ["/proc/self/environ", "path_outside"],
  ["~/.ssh/id_ed25519", "path_outside"],
  ["file:///etc/passwd", "path_outside"],
  ["/internal/oxydra.db", "path_outside"],
  ["/sharedx/a.txt", "path_outside"],
  ["/shared/.oxydra/agent.toml", "path_outside"],
  ["/shared/.OXYDRA/agent.toml", "path_outside"],
];

Deno.test("a path with .., a NUL, of the host or beside the roots is refused by every tool, naming the roots", async () => {
  const place = await Place.open();
  try {
    for (const half of [BAD.slice(0, 8), BAD.slice(8)]) {
      const ran = await place.run(half.flatMap(([path]) => callsOn(path)));
      assert.equal(ran.code, 0, "the model corrected itself; nothing was denied by policy");
      for (const [at, [path, code]] of half.entries()) {
        for (const result of ran.results.slice(at * 6, at * 6 + 6)) {
          assert.equal(result.code, code, `${result.tool} ${JSON.stringify(path)}: ${result.text}`);
          assert.match(result.text, /\/shared, \/tmp or \/vault/);
        }
      }
      place.assertUntouched(ran);
    }
  } finally {
    await place.close();
  }
});

Deno.test("a link that leads out of the roots is not followed by any tool, as a file, as a folder or on the way", async () => {
  const place = await Place.open();
  try {
    await Deno.symlink(join(place.outside, "diary.txt"), join(place.shared, "file"));
    await Deno.symlink(place.outside, join(place.shared, "folder"));
    await Deno.symlink("../internal", join(place.shared, "sibling"));
    await Deno.symlink("loop", join(place.shared, "loop"));
    const paths = [
      "/shared/file",
      "/shared/folder",
      "/shared/folder/diary.txt",
      "/shared/folder/new.txt",
      "/shared/loop",
    ];
    const ran = await place.run([...paths, "/shared/sibling/oxydra.db"].flatMap(callsOn));
    for (const result of ran.results) {
      assert.ok(!result.ok, `${result.tool}: ${result.text}`);
      assert.equal(result.code, "path_outside", `${result.tool}: ${result.text}`);
      assert.match(result.text, /\/shared/, "the reason names the root");
    }
    place.assertUntouched(ran);

    // A search and a listing of the tree around the links pass by them.
    const around = await place.run([
      { tool: "file_search", args: { path: "/shared", pattern: "diary" } },
      { tool: "file_list", args: { path: "/shared", recursive: true } },
    ]);
    assert.ok(around.results.every(({ ok }) => ok));
    assert.doesNotMatch(around.results[1]!.text, /diary|oxydra\.db/);
    place.assertUntouched(around);
  } finally {
    await place.close();
  }
});

Deno.test("a good path that policy does not give is denied, and the turn exits with 5", async () => {
  const place = await Place.open();
  try {
    const vault = join(place.shared, "../vault");
    await Deno.mkdir(vault);
    await Deno.writeTextFile(join(vault, "key.txt"), SECRET);
    const ran = await place.run(callsOn("/vault/key.txt"));
    assert.equal(ran.code, 5);
    for (const result of ran.results) {
      assert.equal(result.code, "tool_denied", `${result.tool}: ${result.text}`);
      assert.match(result.text, /\/vault/);
    }
    // One denied call in a turn that did other work as well is enough.
    const mixed = await place.run([
      { tool: "file_write", args: { path: "/shared/ok.txt", content: "ok" } },
      { tool: "file_read", args: { path: "/vault/key.txt" } },
    ]);
    assert.deepEqual([mixed.code, mixed.results.map(({ code }) => code)], [5, ["ok", "tool_denied"]]);
    place.assertUntouched(mixed);
  } finally {
    await place.close();
  }
});
