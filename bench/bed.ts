/** The system under measurement: a model in one process, runner, guest and client in theirs, and a WebSocket client here. */
import { join } from "node:path";
import type { EventType } from "#/core/event.ts";
import {
  connectRaw,
  type LiveGateway,
  makeMachine,
  type RawClient,
  startGateway,
  vendorEnv,
} from "../tests/fixture/system.ts";

/** A frame that ended a turn, and when each event of interest came (`performance.now()`). */
export interface TurnTimes {
  readonly ms: number;
  readonly intents: readonly number[];
  readonly results: readonly number[];
}

/** A warm gateway on a machine of its own. */
export interface Bed {
  readonly gateway: LiveGateway;
  readonly vendorUrl: string;
  readonly shared: string;
  /** A client in a fresh session. */
  connect(): Promise<RawClient & { readonly session: string }>;
  close(): Promise<void>;
}

/** Starts everything; `settings` are added to the environment. Throws when a part does not start. */
export async function openBed(settings: Readonly<Record<string, string>> = {}): Promise<Bed> {
  const vendor = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", new URL("vendor.ts", import.meta.url).href],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const vendorUrl = await readLine(vendor.stdout);
  const machine = await makeMachine();
  const env = {
    ...machine.env,
    ...vendorEnv(vendorUrl),
    OXYDRA__GATEWAY__MAX_SESSIONS_PER_USER: "10000",
    ...settings,
  };
  const gateway = await startGateway({ cwd: machine.cwd, env });
  return {
    gateway,
    vendorUrl,
    shared: join(gateway.workspace, "shared"),
    async connect() {
      const client = await connectRaw(gateway, { create_new_session: true, capabilities: ["turn_events"] });
      const { payload } = await client.next((frame) => frame.type === "hello_ack");
      return { ...client, session: payload.session.session_id };
    },
    async close() {
      await gateway.stop();
      await vendor.stdin.close();
      await vendor.status;
      await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    },
  };
}

/** Sends a message and waits for the end of its turn. Throws when the turn fails. */
export async function runTurn(client: RawClient & { readonly session: string }, prompt: string): Promise<TurnTimes> {
  const [intents, results]: [number[], number[]] = [[], []];
  const startedAt = performance.now();
  client.send("send_turn", { request_id: "r", session_id: client.session, turn_id: crypto.randomUUID(), prompt });
  for (;;) {
    const { type, payload } = await client.next();
    const now = performance.now();
    if (type === "turn_completed") {
      return { ms: now - startedAt, intents, results };
    }
    if (type === "error" || type === "turn_cancelled") throw new Error(`the turn ended: ${JSON.stringify(payload)}`);
    if (type !== "turn_event") continue;
    const kind: EventType = payload.event.type;
    if (kind === "tool_intent") intents.push(now);
    if (kind !== "tool_result") continue;
    if (!payload.event.payload.ok) throw new Error(payload.event.payload.text);
    results.push(now);
  }
}

/** Reads the same streams as a turn of `reads` tool calls, by plain fetch; returns milliseconds. */
export async function fetchStreams(vendorUrl: string, prompt: string, reads: number): Promise<number> {
  const startedAt = performance.now();
  for (let done = 0; done <= reads; done++) {
    const results = Array.from({ length: done }, () => ({ role: "tool", content: "x" }));
    const body = JSON.stringify({
      model: "fake-1",
      stream: true,
      messages: [{ role: "user", content: prompt }, ...results],
    });
    const response = await fetch(`${vendorUrl}/chat/completions`, { method: "POST", body });
    for await (const _ of response.body!);
  }
  return performance.now() - startedAt;
}

/** The first line of a stream. Throws when it ends before. */
export async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) return text.split("\n")[0]!;
  }
  throw new Error("the vendor of the bench did not start");
}
