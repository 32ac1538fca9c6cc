import type { ChatBody, Script } from "./openai_server.ts";
import {
  answer,
  interleave,
  noAnswer,
  pause,
  ping,
  raw,
  type Reply,
  reply,
  text,
  toolCall,
  usage,
  vendorError,
} from "./openai_reply.ts";

/** Results of tools since the last user message, in order. */
export function toolResults(body: ChatBody): string[] {
  const lastUser = body.messages.findLastIndex((message) => message.role === "user");
  return body.messages.slice(lastUser + 1).filter((m) => m.role === "tool").map((m) => String(m.content));
}

/** A script that plays these replies one after another, one per request; the last one repeats. */
export function inOrder(...replies: readonly Reply[]): Script {
  return (_body, n) => replies[Math.min(n, replies.length - 1)]!;
}

/** `count` file_read calls of one path, one per step, then a text. */
export function readsInSequence(path: string, count: number): Script {
  return (body) => {
    const step = toolResults(body).length;
    return step < count
      ? reply([toolCall("file_read", { path }, { id: `call_${step}` })])
      : reply([text(`Read it ${count} times.`)]);
  };
}

const HAIKU = "Rivers find the sea\nstones remember older rain\nthe bank holds its breath\n";

/** Writes a haiku, reads it back and quotes it: every answer in small fragments, with pings. */
const haiku: Script = (body) => {
  const results = toolResults(body);
  const options = { fragmentBytes: 61, newline: "\r\n", usage: usage(120, 30, 64) } as const;
  const path = "/shared/haiku.txt";
  if (results.length === 0) {
    return reply(
      [text("I write it. "), ping(), toolCall("file_write", { path, content: HAIKU }, { fragments: 9 })],
      options,
    );
  }
  if (results.length === 1) {
    return reply([ping(), toolCall("file_read", { path }, { id: "call_1", fragments: 5 })], options);
  }
  return reply([text(`It says:\n${results[1]}`)], options);
};

/** Behaviours by name, for programs and for tests of bad input. */
export const SCRIPTS: Readonly<Record<string, Script>> = {
  hello: inOrder(reply([text("Hello from the fake vendor.")], { usage: usage(10, 5) })),
  haiku,
  deltas: inOrder(reply([text("word ".repeat(200), { deltas: 200 })], { usage: usage(10, 200) })),
  slow: inOrder(reply(Array.from({ length: 600 }, () => [...text("tick "), ...pause(100)]))),
  read: readsInSequence("/shared/haiku.txt", 1),
  reads: readsInSequence("/shared/haiku.txt", 20),
  parallel: (body) =>
    toolResults(body).length > 0 ? reply([text("Done.")]) : reply([
      interleave(
        toolCall("file_list", { path: "/shared" }, { index: 0, fragments: 4 }),
        toolCall("file_list", { path: "/tmp" }, { index: 1, fragments: 4 }),
      ),
    ]),
  unauthorized: inOrder(vendorError(401, "Incorrect API key provided: sk-fake****1234.")),
  limited: inOrder(vendorError(429, "Rate limit reached.", { "retry-after": "1" }), reply([text("Second try.")])),
  broken: inOrder(vendorError(500, "The server had an error.")),
  garbage: inOrder(reply([raw("data: {not json}\n\n")])),
  html: inOrder(answer(200, "<html><body>Please log in</body></html>")),
  half: inOrder(reply([text("This will never be finis")], { finish: null, done: false, ending: "cut" })),
  reset: inOrder(noAnswer("reset")),
  stall: inOrder(reply([text("And then ")], { finish: null, done: false, ending: "hang" })),
  huge_error: inOrder(answer(500, "x".repeat(5_000_000))),
  huge_args: (body) =>
    toolResults(body).length > 0 ? reply([text("It was too large.")]) : reply([
      toolCall("file_write", { path: "/shared/big.txt", content: "x".repeat(10_000_000) }, { fragments: 2_500 }),
    ]),
  broken_args: (body) =>
    toolResults(body).length > 0 ? reply([text("Sorry.")]) : reply([toolCall("file_read", '{"path": "/shared/a')]),
  unknown_tool: (body) =>
    toolResults(body).length > 0 ? reply([text("Sorry.")]) : reply([toolCall("file_raed", { path: "/shared/a.txt" })]),
};
