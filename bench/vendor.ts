/**
 * The model of the benches, in a process of its own: `deno run -A bench/vendor.ts` prints its base URL and lives until its stdin ends.
 * The last user message says what to do: `deltas 200`, `stamps 200`, or `reads 20 /shared/x.txt`, which ends with 200 deltas; `stall`, `silent` and
 * `busy` are waited for until somebody cancels.
 */
import { late, noAnswer, pause, type Reply, reply, text, toolCall, vendorError } from "../tests/fake/openai_reply.ts";
import { toolResults } from "../tests/fake/openai_scripts.ts";
import { type ChatBody, startFakeOpenAi } from "../tests/fake/openai_server.ts";
import { wallMs } from "./row.ts";

const DELTAS = 200;

function play(body: ChatBody): Reply {
  const prompt = String(body.messages.findLast((message) => message.role === "user")?.content ?? "");
  const [verb, count, path, pattern] = prompt.split(" ");
  switch (verb) {
    case "stamps":
      // Asked for at the moment it is written, a little apart as a model speaks.
      return reply(Array.from({ length: Number(count) }, () => [...late(() => `${wallMs()} `), ...pause(4)]));
    case "reads":
      return toolResults(body).length < Number(count) ? toRead(body, path!) : toDeltas(DELTAS);
    case "search":
      return toolResults(body).length > 0
        ? reply([text("Found.")])
        : reply([toolCall("file_search", { path, pattern, regex: true, max_results: 1_000 })]);
    case "stall":
      return reply([text("And then ")], { finish: null, done: false, ending: "hang" });
    case "silent":
      return noAnswer("hang");
    case "busy":
      return vendorError(503, "busy", { "retry-after": "20" });
    default:
      return toDeltas(Number(count ?? DELTAS));
  }
}

/** The range differs with each call: the third call that equals the one before is not run. */
function toRead(body: ChatBody, path: string): Reply {
  const at = toolResults(body).length;
  return reply([toolCall("file_read", { path, line_count: 10_000 + at }, { id: `call_${at}` })]);
}

function toDeltas(count: number): Reply {
  return reply([text("word ".repeat(count), { deltas: count })]);
}

if (import.meta.main) {
  const vendor = await startFakeOpenAi(play);
  console.log(vendor.url);
  for await (const _ of Deno.stdin.readable);
  await vendor.close();
}
