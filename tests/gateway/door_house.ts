import type { EventLog } from "#/core/store.ts";
import type { Provider } from "#/core/provider.ts";
import type { Sandbox } from "#/core/capability.ts";
import type { GatewayDeps } from "#/gateway/app.ts";
import type { GatewayToken, Scope } from "#/gateway/token.ts";
import type { TurnSource } from "#/gateway/turn_source.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { openSessions } from "#/session/session.ts";
import type { TurnSetup } from "#/turn/turn.ts";
import { scriptedProvider } from "../fake/scripted_provider.ts";
import { toSendDeps } from "../session/session_kit.ts";
import { type House, openHouse } from "./house.ts";

/** A gateway with real sessions, and its doors over HTTP. */
export interface DoorHouse extends AsyncDisposable {
  readonly house: House;
  /** Asks a door; `token` is the name of one: `test` (owner), `eyes` (read), `bot` and `other-bot` (channel). */
  ask(path: string, init?: RequestInit & { token?: string }): Promise<Response>;
  /** The same with a JSON body, and the answer read. */
  post(
    path: string,
    body: unknown,
    init?: { token?: string; headers?: Record<string, string> },
    // deno-lint-ignore no-explicit-any -- answers, for tests to look into
  ): Promise<{ status: number; headers: Headers; body: any }>;
}

const OTHERS: readonly (readonly [id: string, scope: Scope])[] = [
  ["eyes", "read"],
  ["bot", "channel"],
  ["other-bot", "channel"],
];

/** Says how many messages it was shown and what the last one was. */
export function echoProvider(): Provider {
  return scriptedProvider((request) => {
    const said = request.messages.filter(({ role }) => role === "user");
    return [{ type: "text", text: `${said.length}: ${said.at(-1)?.content.slice(-80)}` }];
  });
}

export async function openDoorHouse(
  provider: Provider = echoProvider(),
  options: {
    deps?: Partial<GatewayDeps>;
    sandbox?: Pick<Sandbox, "call">;
    setup?: Partial<TurnSetup>;
    lanes?: { runningMax: number; queuedMax: number };
    source?: (log: EventLog) => Promise<TurnSource>;
  } = {},
): Promise<DoorHouse> {
  const { lanes = { runningMax: 10, queuedMax: 32 }, sandbox, setup = {} } = options;
  const principal = { user: "ann", agent: ["default"], origin: "channel" } as const;
  const toSource = async (log: EventLog): Promise<TurnSource> => {
    const sessions = await openSessions({ log, lanes, now: Date.now, report: (error) => console.error(error) });
    const deps = () => toSendDeps(provider, sandbox, { principal, ...setup });
    return {
      send: (message, signal) => sessions.send(message, deps(), signal),
      resume: (place, answer, signal) => sessions.resume(place, answer, deps(), signal),
      endParked: ({ session, turn }, reason) => sessions.endParked(session, turn, reason),
      suspend: () => sessions.stop("suspend", "the gateway is stopping"),
    };
  };
  const tokens: GatewayToken[] = [];
  const house = await openHouse({ tokens: () => tokens, ...options.deps }, options.source ?? toSource);
  tokens.push({ id: "test", scope: "owner", sha256: await sha256Hex(house.token) });
  for (const [id, scope] of OTHERS) tokens.push({ id, scope, sha256: await sha256Hex(`token-of-${id}`) });
  const toBearer = (token: string) => token === "test" ? house.token : `token-of-${token}`;
  const ask: DoorHouse["ask"] = (path, { token = "test", ...init } = {}) => {
    const headers = { authorization: `Bearer ${toBearer(token)}`, ...init.headers as Record<string, string> };
    return fetch(`http://127.0.0.1:${house.port}${path}`, { ...init, headers });
  };
  return {
    house,
    ask,
    post: (path, body, { token = "test", headers = {} } = {}) =>
      fetchOnce(`http://127.0.0.1:${house.port}${path}`, { token: toBearer(token), body, headers }),
    async [Symbol.asyncDispose]() {
      await house[Symbol.asyncDispose]();
    },
  };
}

/** A chat request. */
export function chat(content: unknown, more: object = {}, earlier: readonly object[] = []) {
  return { model: "oxydra", messages: [...earlier, { role: "user", content }], ...more };
}

/** Reads server-sent events as they come; comments are left out. */
export async function* readEvents(response: Response): AsyncGenerator<Record<string, string>> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const lines = block.split("\n").filter((line) => !line.startsWith(":"));
        if (lines.length === 0) continue;
        yield Object.fromEntries(
          lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** One POST with a JSON body; its answer read. */
export async function fetchOnce(
  url: string,
  { token, body, headers = {} }: { token: string; body: unknown; headers?: Record<string, string> },
  // deno-lint-ignore no-explicit-any -- answers, for tests to look into
): Promise<{ status: number; headers: Headers; body: any }> {
  const all = { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url, { method: "POST", body: text, headers: all });
  return { status: response.status, headers: response.headers, body: await response.json() };
}
