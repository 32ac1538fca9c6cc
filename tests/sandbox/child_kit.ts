/** Real children for tests: the committed component, the real flags, and children that misbehave on purpose. */
import { join } from "node:path";
import { type ChildPlan, planChild } from "#/sandbox/child_plan.ts";
import type { ChildRequest, OnHostCall } from "#/sandbox/child_process.ts";
import { type Children, type ChildrenOptions, openChildren } from "#/sandbox/children.ts";
import { type ComponentPackage, openComponent } from "#/sandbox/component.ts";

/** `setpriv` of this machine, when it has one. */
export const SETPRIV: string | undefined = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** The committed artefact of a package, parsed anew: a test may change it. */
export function readArtefact(
  name: "files" | "web" = "files",
): Record<string, unknown> & { files: { name: string; sha256: string; gz: string }[] } {
  return JSON.parse(Deno.readTextFileSync(new URL(`../../tools-wasm/${name}.json`, import.meta.url)));
}

/** The committed component. */
export function openFilesComponent(): Promise<ComponentPackage> {
  return openComponent(readArtefact());
}

/** A plan for the real child, from file. */
export function planRealChild(): ChildPlan {
  return planChild({
    denoPath: Deno.execPath(),
    entryUrl: new URL("../../src/sandbox/child.ts", import.meta.url).href,
    source: "file",
    ...(SETPRIV === undefined ? {} : { pdeathsig: SETPRIV }),
    env: Deno.env.toObject(),
  });
}

/** A pool of real children that closes itself. */
export async function openRealChildren(
  options: Partial<ChildrenOptions> = {},
): Promise<Children & AsyncDisposable> {
  const component = options.component ?? await openFilesComponent();
  return disposable(openChildren({ plan: planRealChild(), ...options, component }));
}

/**
 * A pool whose children run this code instead of ours, without permission. In it: `send(callId, head, content?)`, `next()` for the next
 * frame as `{ kind, callId, body }`, and `loaded()`, which reads the package and says that it is loaded.
 */
export async function openBadChildren(
  code: string,
  options: Partial<ChildrenOptions> = {},
): Promise<Children & AsyncDisposable> {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-bad-child-" });
  const file = join(dir, "child.ts");
  await Deno.writeTextFile(file, PRELUDE + code);
  const flags = [
    "run",
    "-q",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
    "--v8-flags=--max-old-space-size=64",
  ];
  const plan: ChildPlan = {
    command: Deno.execPath(),
    args: [...flags, file],
    env: { NO_COLOR: "1", HOME: dir, DENO_DIR: dir },
  };
  const pool = openChildren({ plan, component: await openFilesComponent(), ...options });
  const closing = disposable(pool);
  return {
    ...closing,
    get pids() {
      return pool.pids;
    },
    async [Symbol.asyncDispose]() {
      await pool.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** One file in memory for every read; other host calls fail. */
export function answerWith(text: string): OnHostCall {
  const content = new TextEncoder().encode(text);
  return (call) =>
    call.fn === "fs-read.read-text"
      ? Promise.resolve({ value: { bytes: content.length, sha256: "0".repeat(64) }, content })
      : Promise.reject(new TypeError(`unexpected ${call.fn}`));
}

/** A call of file_read. */
export function readCall(options: Partial<ChildRequest> = {}): ChildRequest {
  return { tool: "file_read", args: { path: "/shared/a.txt" }, timeoutMs: 10_000, interfaces: ["fs-read"], ...options };
}

/** A search whose expression never ends. */
export function endlessCall(timeoutMs: number): ChildRequest {
  return {
    tool: "file_search",
    args: { pattern: "(a|a|b|[a-z ])*$x", regex: true },
    timeoutMs,
    interfaces: ["fs-read"],
  };
}

/** A page for `endlessCall`. */
export const ENDLESS_PAGE: OnHostCall = () => {
  const content = new TextEncoder().encode("x " + "a b ".repeat(20));
  return Promise.resolve({
    value: { files: [{ path: "/shared/a", bytes: content.length }], next: "", skipped: 0 },
    content,
  });
};

/** A signal that never fires. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** True while the process exists (a zombie does not count). */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

function disposable(children: Children): Children & AsyncDisposable {
  return {
    run: (request, onHostCall, signal) => children.run(request, onHostCall, signal),
    warm: () => children.warm(),
    get pids() {
      return children.pids;
    },
    close: () => children.close(),
    [Symbol.asyncDispose]: () => children.close(),
  };
}

const PRELUDE = `
const encoder = new TextEncoder();
const write = (bytes) => { for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at)); };
const frame = (kind, callId, body) => {
  const out = new Uint8Array(9 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length + 5); view.setUint8(4, kind); view.setUint32(5, callId);
  out.set(body, 9);
  write(out);
};
const send = (callId, head, content) => {
  frame(0, callId, encoder.encode(typeof head === "string" ? head : JSON.stringify(head)));
  if (content !== undefined) frame(1, callId, content);
};
const exactly = (count) => {
  const out = new Uint8Array(count);
  for (let at = 0; at < count;) { const got = Deno.stdin.readSync(out.subarray(at)); if (got === null) Deno.exit(0); at += got; }
  return out;
};
const next = () => {
  const size = new DataView(exactly(4).buffer).getUint32(0);
  const rest = exactly(size);
  return { kind: rest[0], callId: new DataView(rest.buffer).getUint32(1), body: rest.subarray(5) };
};
const loaded = () => {
  const head = JSON.parse(new TextDecoder().decode(next().body));
  let bytes = head.files.reduce((sum, file) => sum + file.bytes, 0);
  while (bytes > 0) bytes -= next().body.length;
  send(0, { v: 1, type: "loaded" });
};
const result = (callId, fields = {}) => send(callId, { v: 1, type: "result", ok: true, code: "ok", outputBytes: 0, contentBytes: 0, ...fields });
`;
