import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { Reloader, type ReloaderDeps } from "#/runner/reload.ts";
import type { RunnerSettings } from "#/runner/settings.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { demoBootstrap, makeFolders } from "../fixture/workspace.ts";

const { version, timezone, model, settings, startupStatus } = demoBootstrap("/w");
const BASE: RunnerSettings = {
  told: { version, timezone, model, settings, startupStatus },
  hosts: [],
  tools: NO_TOOLS_PLAN,
  folders: makeFolders(),
};
const inZone = (zone: string): RunnerSettings => ({ ...BASE, told: { ...BASE.told, timezone: zone } });

function open(load: ReloaderDeps["load"], apply: ReloaderDeps["apply"] = () => Promise.resolve()) {
  const notes: string[] = [];
  let now = 0;
  const reloader = new Reloader({ load, apply, onNote: (line) => notes.push(line), now: () => now++ }, BASE);
  return { reloader, notes };
}

Deno.test("reload() applies what differs, and nothing where nothing does", async () => {
  let next = BASE;
  const applied: unknown[] = [];
  const { reloader, notes } = open(
    () => Promise.resolve({ settings: next, later: [] }),
    (change, { told }) => Promise.resolve(void applied.push([change.what, told.timezone])),
  );
  assert.deepEqual(reloader.state, { state: "in_force", at: 0, note: "" });
  await reloader.reload();
  assert.deepEqual([applied, notes], [[], []]);
  next = inZone("Asia/Tokyo");
  assert.equal((await reloader.reload()).state, "in_force");
  await reloader.reload();
  assert.deepEqual(applied, [[["timezone"], "Asia/Tokyo"]]);
  assert.equal(reloader.settings, next);
  assert.deepEqual(notes, ["the configuration changes: timezone"]);
});

Deno.test("reload() keeps the last good settings, tells a refusal once and cut at its limit, and that it is over", async () => {
  let error: Error | undefined = new AppError("config_invalid", `agent.toml:3: bad ${"x".repeat(10_000)}`);
  const { reloader, notes } = open(() =>
    error ? Promise.reject(error) : Promise.resolve({ settings: BASE, later: [] })
  );
  const refused = await reloader.reload();
  assert.deepEqual([refused.state, refused.note.length], ["refused", LIMITS.configNoteCharsMax]);
  await reloader.reload();
  assert.match(notes.join("\n"), /^the last edit of the configuration is refused: agent\.toml:3: bad x+$/);
  error = new TypeError("a path of this machine");
  assert.match((await reloader.reload()).note, /^internal error \(/);
  error = undefined;
  assert.equal((await reloader.reload()).state, "in_force");
  assert.equal(notes.at(-1), "the configuration is good again");
  assert.equal(reloader.settings, BASE);
});

Deno.test("reload() refuses settings that could not be put in force, and says what is for the next start", async () => {
  const later = ["workspace_root"];
  const { reloader, notes } = open(
    () => Promise.resolve({ settings: inZone("UTC+1"), later }),
    () => Promise.reject(new AppError("guest_failed", "it does not start")),
  );
  assert.deepEqual(await reloader.reload(), { state: "refused", at: 1, note: "it does not start" });
  assert.equal(reloader.settings, BASE);
  const other = open(() => Promise.resolve({ settings: BASE, later }));
  assert.equal((await other.reloader.reload()).note, "workspace_root takes effect at the next start");
  assert.equal(other.notes.length, 1);
  assert.equal(notes.length, 2);
  const stopped = open(() => Promise.reject(new AppError("cancelled", "stopping")));
  assert.equal((await stopped.reloader.reload()).state, "in_force", "a runner that stops refuses nothing");
});

Deno.test("reload() runs once at a time, and once more for all who asked meanwhile", async () => {
  let running = 0;
  let loads = 0;
  const held: (() => void)[] = [];
  const { reloader } = open(async () => {
    assert.equal(++running, 1);
    loads++;
    await new Promise<void>((resolve) => held.push(resolve));
    running--;
    return { settings: BASE, later: [] };
  });
  const first = reloader.reload();
  const storm = Array.from({ length: 200 }, () => reloader.reload());
  while (held.length === 0) await Promise.resolve();
  const late = Array.from({ length: 200 }, () => reloader.reload());
  held.shift()!();
  await Promise.all([first, ...storm]);
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve));
  held.shift()!();
  await Promise.all(late);
  assert.equal(loads, 2);
});
