/**
 * The driver of one browser: speaks the DevTools protocol with it, so that nothing else of ours reads what a page says. Asked over stdin, it
 * answers over stdout; the browser's own bytes come the same way, or, with an address of one as argument, over a WebSocket. Its flags are
 * in browser_plan.ts.
 */
import "#/lib/stderr_console.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { type Link, openLink } from "#/lib/link.ts";
import { type CdpWire, toMessages } from "#/sandbox/browser_cdp.ts";
import { BrowserAsk, type PipeAsk } from "#/sandbox/browser_frames.ts";
import { Pages } from "#/sandbox/browser_pages.ts";
import { openSocket } from "#/sandbox/browser_socket.ts";

/** The browser's pipe, by way of the runner. */
function toWire(link: Link): CdpWire {
  const never = new AbortController().signal;
  const ask = (body: PipeAsk) => link.request(body, never);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const { content } = await ask({ pipe: "read" });
      if (content.length === 0) return;
      yield content;
    }
  }
  return {
    send: (message) => void ask({ pipe: "write", message }).catch(() => {}),
    receive: () => toMessages(chunks()),
  };
}

/** Ends with the runner: at the end of stdin, or at the first frame that is not ours. */
async function main([by, address = ""]: readonly string[]): Promise<number> {
  const ready = Promise.withResolvers<Pages>();
  ready.promise.catch(() => {});
  let last: Promise<unknown> = ready.promise;
  const link = openLink({ input: new ByteReader(Deno.stdin.readable), output: Deno.stdout.writable }, {
    async onRequest(body) {
      const ask = BrowserAsk.safeParse(body);
      if (!ask.success) throw new AppError("tool_args_invalid", "The request is malformed, so it was refused");
      const pages = await ready.promise;
      const answer = last.then(() => pages.run(ask.data));
      last = answer.catch(() => {});
      return await answer;
    },
  }, { contentBytesMax: LIMITS.browserPictureBytesMax });
  void Promise.try(async () => {
    const pages = new Pages(by === "pipe" ? toWire(link) : await openSocket(address));
    // A browser that a person runs has its own way out.
    await pages.open(by === "pipe" ? address : undefined);
    ready.resolve(pages);
  }).catch(ready.reject);
  return await link.closed === undefined ? 0 : 1;
}

Deno.exit(await main(Deno.args));
