/** The web tools in a real child, over a real server of this machine. */
import type { OnHostCall } from "#/sandbox/child_process.ts";
import type { Children } from "#/sandbox/children.ts";
import { openComponent } from "#/sandbox/component.ts";
import { toTools } from "#/tools/registry.ts";
import { never, openRealChildren, readArtefact } from "./child_kit.ts";

const INTERFACES = ["http", "config", "random", "log"];

/** Runs a web tool with arguments as a model gives them. */
export type RunWeb = (tool: string, args: unknown) => ReturnType<Children["run"]>;

/** A pool of one child with the committed web component. */
export async function openWebChildren(): Promise<Children & AsyncDisposable> {
  return await openRealChildren({ component: await openComponent(readArtefact("web")), childrenMax: 1 });
}

/** Answers host calls by a real request; settings from a record. `seen` holds each request. */
export function toHostCalls(settings: Readonly<Record<string, string>> = {}) {
  const seen: { readonly url: string; readonly secrets: readonly string[] }[] = [];
  const onHostCall: OnHostCall = async (call) => {
    if (call.fn === "config.get") return { value: { value: settings[call.key] ?? null } };
    if (call.fn === "log.write") return { value: {} };
    if (call.fn !== "http.fetch") throw new TypeError(`unexpected ${call.fn}`);
    seen.push({ url: call.url, secrets: call.secrets.map(({ header, name }) => `${header}=${name}`) });
    const response = await fetch(call.url, { method: call.method, headers: call.headers.map(([...pair]) => pair) });
    const content = await response.bytes();
    const { status, url, headers } = response;
    return { value: { status, url, headers: [...headers], bytes: content.length, truncated: false }, content };
  };
  return { onHostCall, seen };
}

/** A server, a child and the way between them. */
export async function withWeb(
  serve: (request: Request) => Response | Promise<Response>,
  test: (
    web: { readonly run: RunWeb; readonly base: string; readonly seen: ReturnType<typeof toHostCalls>["seen"] },
  ) => Promise<void>,
  settings: (base: string) => Readonly<Record<string, string>> = () => ({}),
): Promise<void> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, serve);
  const base = `http://127.0.0.1:${server.addr.port}`;
  await using children = await openWebChildren();
  const { onHostCall, seen } = toHostCalls(settings(base));
  const tools = toTools();
  const run: RunWeb = (name, args) => {
    const tool = tools.get(name)!;
    const request = { tool: name, args: tool.args.parse(args), timeoutMs: tool.timeoutMs, interfaces: INTERFACES };
    return children.run(request, onHostCall, never());
  };
  await test({ run, base, seen });
}

/** What stands between the marks of an output. */
export function bodyOf(output: string): string | undefined {
  return /^<<<([0-9a-f]{16}) [^\n]*\n([^]*)\n>>>\1$/m.exec(output)?.[2];
}
