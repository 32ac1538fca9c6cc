/** An installed package that attacks while it runs: it ends within its limits, and the pool serves the next call. */
import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import type { ComponentPackage } from "#/sandbox/component.ts";
import { listEntries } from "#/sandbox/component_cache.ts";
import { installPackage } from "#/sandbox/component_install.ts";
import { GrantMeter } from "#/sandbox/grant.ts";
import type { OnHostCall } from "#/sandbox/child_process.ts";
import type { ToolReply } from "#/sandbox/outcome.ts";
import { isAlive, never, planRealChild } from "../sandbox/child_kit.ts";
import { assemble, coreOf, DONE, makeInstall, READ, toPackage } from "../sandbox/component_kit.ts";

const LOOP = "(loop $for (br $for)) (unreachable)";
/** The tool that attacks only for `{"attack":true}`, so that the call after it shows a pool that serves. */
const when = (attack: string) => `(if (i32.gt_u (local.get 3) (i32.const 4)) (then ${attack})) ${DONE}`;

const components = await assemble({
  loops: { core: coreOf({ execute: when(LOOP) }) },
  recurses: { core: coreOf({ fields: "(func $deep (call $deep) (call $deep))", execute: when("(call $deep)") }) },
  grows: {
    core: coreOf({
      execute: when(
        `(block $full (loop $more (br_if $full (i32.eq (memory.grow (i32.const 64)) (i32.const -1))) (br $more)))
        (return (call $ok (i32.const 256) (i32.add (i32.const 0) (memory.size))))`,
      ),
    }),
  },
  shouts: {
    core: coreOf({
      execute: when(
        `(drop (memory.grow (i32.const 700))) (memory.fill (i32.const 65536) (i32.const 97) (i32.const 41943040))
        (return (call $ok (i32.const 65536) (i32.const 41943040)))`,
      ),
    }),
  },
  asks: {
    core: coreOf({
      ...READ,
      execute: `(local $left i32) ${
        when(`(local.set $left (i32.const 1000000))
          (loop $again (drop (call $read)) (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if $again (local.get $left)))`)
      }`,
    }),
  },
  startLoops: { core: coreOf({ fields: `(func $begin (loop $for (br $for))) (start $begin)` }) },
  describeLoops: {
    core: coreOf().replace(`(func (export "describe") (result i32)`, `(func (export "describe") (result i32) ${LOOP}`),
  },
});

type Name = keyof typeof components;

/** A pool over the installed package; closed at the end, with nothing left. */
async function openPool(name: Name): Promise<Children & AsyncDisposable> {
  await using deps = await makeInstall();
  return openWith((await installPackage(await toPackage(components[name]), deps)).component);
}

function openWith(component: ComponentPackage): Children & AsyncDisposable {
  const pool = openChildren({ component, plan: planRealChild() });
  return Object.assign(pool, {
    async [Symbol.asyncDispose]() {
      const { pids } = pool;
      await pool.close();
      assert.deepEqual(pids.filter(isAlive), []);
    },
  });
}

const noHost: OnHostCall = () => Promise.reject(new TypeError("asked"));

function attack(pool: Children, timeoutMs = 5_000, onHostCall = noHost): Promise<ToolReply> {
  return pool.run({ tool: "probe", args: { attack: true }, timeoutMs, interfaces: ["fs-read"] }, onHostCall, never());
}

async function servesNext(pool: Children): Promise<void> {
  const next = await pool.run({ tool: "probe", args: {}, timeoutMs: 5_000, interfaces: [] }, noHost, never());
  assert.deepEqual([next.code, next.text], ["ok", "done"]);
}

Deno.test("a loop in WebAssembly ends at its deadline, and its process with it", async () => {
  await using pool = await openPool("loops");
  await pool.warm();
  const [pid] = pool.pids;
  const outcome = await attack(pool, 300);
  assert.equal(outcome.code, "tool_timeout");
  assert.ok(outcome.elapsedMs < 300 + LIMITS.killGraceMs + 200, `${outcome.elapsedMs} ms`);
  await servesNext(pool);
  assert.ok(!isAlive(pid!) && !pool.pids.includes(pid!));
});

Deno.test("a recursion without an end, 40 MB of output and a memory that grows to its cap are outcomes like others", async () => {
  for (const [name, code] of [["recurses", "tool_crashed"], ["shouts", "ok"], ["grows", "ok"]] as const) {
    await using pool = await openPool(name);
    const outcome = await attack(pool);
    assert.equal(outcome.code, code, `${name}: ${outcome.text.slice(0, 200)}`);
    if (name === "shouts") {
      assert.deepEqual([outcome.outputBytes, outcome.text.length], [41_943_040, LIMITS.toolOutputBytesMax]);
    }
    // As many characters as it got pages: exactly the cap, no page more.
    if (name === "grows") {
      assert.equal(outcome.text.length, LIMITS.componentPagesMax - (LIMITS.componentPagesMax - 2) % 64);
    }
    await servesNext(pool);
  }
});

Deno.test("a manifest can only lower the cap of the memory", async () => {
  await using deps = await makeInstall();
  const install = async (memoryPagesMax: number) =>
    await installPackage(await toPackage(components.grows, { limits: { memoryPagesMax } }), deps);
  await using pool = openWith((await install(66)).component);
  assert.equal((await attack(pool)).text.length, 66);
  await assert.rejects(install(LIMITS.componentPagesMax + 1), { message: /at limits\.memoryPagesMax/ });
});

Deno.test("of a million host calls the meter lets hostCallsMax through, and the deadline ends the rest", async () => {
  await using pool = await openPool("asks");
  const capability = { kind: "fs.read", path: "/shared/a.txt", scope: "file", bytesMax: 1_000_000_000 } as const;
  const meter = new GrantMeter({ id: "g", capabilities: [capability], source: "test", expiresAt: Infinity });
  let asked = 0;
  let answered = 0;
  const outcome = await attack(pool, 10_000, (call) => {
    asked++;
    meter.take(call, 0);
    answered++;
    return Promise.resolve({ value: { bytes: 1, sha256: "" }, content: new Uint8Array([97]) });
  });
  assert.equal(outcome.code, "tool_timeout");
  assert.equal(answered, LIMITS.hostCallsMax);
  assert.ok(asked > answered, "it never came to the limit");
  const before = asked;
  await servesNext(pool);
  assert.equal(asked, before);
});

Deno.test("a start function or a describe() without an end dies at the deadline of describe, after an inspection that never ran it", async () => {
  await using deps = await makeInstall();
  for (const name of ["startLoops", "describeLoops"] as const) {
    const startedAt = performance.now();
    await assert.rejects(installPackage(await toPackage(components[name]), { ...deps, describeMs: 1_000 }), {
      code: "component_invalid",
      message: /cannot describe itself/,
    }, name);
    assert.ok(performance.now() - startedAt < 5_000);
    assert.deepEqual([deps.processes(), listEntries(deps.dir)], [[], []], name);
  }
});

/** A package whose glue is not the transpiler's: what a hole in the checks would let run in a tool child. */
function openHostile(execute: string, begin = ""): Children & AsyncDisposable {
  const glue = `const encoder = new TextEncoder();
    const frame = (kind, id, body, length = body.length + 5) => { const out = new Uint8Array(9 + body.length);
      const view = new DataView(out.buffer); view.setUint32(0, length); view.setUint8(4, kind); view.setUint32(5, id); out.set(body, 9);
      for (let at = 0; at < out.length;) at += Deno.stdout.writeSync(out.subarray(at)); };
    const send = (id, head) => frame(0, id, encoder.encode(JSON.stringify(head)));
    const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const read = { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a.txt" } };
    export async function instantiate() { ${begin}
      return { describe: () => "", execute: (tool, args) => { if (args.length > 4) { ${execute} } return "done"; } };
    }`;
  return openWith({
    package: "hostile",
    version: "1",
    sha256: "0".repeat(64),
    interfaces: [],
    files: [{ name: "tool.js", bytes: new TextEncoder().encode(glue) }],
  });
}

Deno.test("hostile glue: loops in JavaScript and in a regular expression end at the deadline", async () => {
  for (const code of ["for (;;) {}", "for (;;) try { for (;;); } catch {}", `/^(a|a)*$/.test("a".repeat(64) + "b");`]) {
    await using pool = openHostile(code);
    const outcome = await attack(pool, 300);
    assert.equal(outcome.code, "tool_timeout", code);
    assert.ok(outcome.elapsedMs < 300 + LIMITS.killGraceMs + 200, `${code}: ${outcome.elapsedMs} ms`);
    await servesNext(pool);
  }
});

Deno.test("hostile glue: a forged frame ends its process and becomes no result", async () => {
  const ok = `{ v: 1, type: "result", ok: true, code: "ok", outputBytes: 0, contentBytes: 0 }`;
  const cases: [name: string, code: string][] = [
    ["a result of another call", `send(7, ${ok}); sleep(5_000);`],
    ["a result with a grant in it", `send(1, { ...${ok}, grant: [] }); sleep(5_000);`],
    ["a second loaded", `send(1, { v: 1, type: "loaded" }); sleep(5_000);`],
    ["a frame over the bound", `frame(1, 1, new Uint8Array(8), ${LIMITS.frameBytesMax + 6}); sleep(5_000);`],
    ["an unknown kind", `frame(9, 1, new Uint8Array(8)); sleep(5_000);`],
    ["two questions at once", `send(1, read); send(1, read); sleep(5_000);`],
    ["an exit", `Deno.exit(0);`],
  ];
  for (const [name, code] of cases) {
    await using pool = openHostile(code);
    const outcome = await attack(pool, 3_000, () => new Promise(() => {}));
    assert.deepEqual([outcome.ok, outcome.code], [false, "tool_crashed"], `${name}: ${outcome.text}`);
    await servesNext(pool);
  }
});

Deno.test("hostile glue: one that took its guard away is ended by SIGKILL, and its question after the deadline reaches nobody", async () => {
  for (const [waitMs, reached] of [[50, 1], [380, 0]] as const) {
    await using pool = openHostile(
      `const until = performance.now() + ${waitMs}; while (performance.now() < until); send(1, read); sleep(10_000);`,
      `const vm = (await import("node:vm")).default; vm.Script.prototype.runInThisContext = () => globalThis.__oxydraCall();`,
    );
    let asked = 0;
    const outcome = await attack(pool, 300, () => {
      asked++;
      return Promise.resolve({ value: {} });
    });
    assert.deepEqual([outcome.code, asked], ["tool_timeout", reached]);
    assert.ok(outcome.elapsedMs >= 300 + LIMITS.killGraceMs, "the guard inside ended it");
    await servesNext(pool);
  }
});

Deno.test("hostile glue: it has no file, network, environment, process or module to reach", async () => {
  const tries = [
    `Deno.readTextFileSync("/etc/hostname")`,
    `Deno.env.get("HOME")`,
    `Deno.listen({ port: 0 })`,
    `new Deno.Command("/bin/true").outputSync()`,
    `Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {})`,
    `Deno.hostname()`,
    `Deno.writeTextFileSync("/tmp/oxydra-hostile", "x")`,
  ];
  for (const code of tries) {
    await using pool = openHostile(`try { ${code}; return "reached"; } catch (error) { return error.name; }`);
    const outcome = await attack(pool);
    assert.match(outcome.text, /NotCapable/, code);
  }
});
