import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { CdpWire } from "#/sandbox/browser_cdp.ts";

const Version = z.object({ webSocketDebuggerUrl: z.string() });

/**
 * Connects to a browser that a person runs. Its own address is asked at `/json/version`; of that the path counts alone, since it names the host
 * as it sees itself. Throws AppError `tool_crashed` when there is none.
 */
export async function openSocket(cdpUrl: string): Promise<CdpWire> {
  const base = new URL(cdpUrl);
  const gone = (cause?: unknown) =>
    new AppError("tool_crashed", "No browser answers at tools.browser.cdp_url", { cause });
  const signal = AbortSignal.timeout(LIMITS.browserStartMs);
  const { webSocketDebuggerUrl } = await fetch(new URL("/json/version", base), { signal })
    .then(async (response) => Version.parse(await response.json())).catch((cause) => {
      throw gone(cause);
    });
  const path = URL.parse(webSocketDebuggerUrl)?.pathname ?? "/";
  const socket = new WebSocket(new URL(path, `${base.protocol === "https:" ? "wss" : "ws"}://${base.host}`));
  const opened = Promise.withResolvers<void>();
  const messages: string[] = [];
  let isOver = false;
  let wake = () => {};
  socket.onopen = () => opened.resolve();
  socket.onmessage = ({ data }) => {
    if (typeof data === "string" && data.length <= LIMITS.browserMessageBytesMax) messages.push(data);
    else socket.close();
    wake();
  };
  socket.onerror = socket.onclose = () => {
    isOver = true;
    opened.reject(gone());
    wake();
  };
  signal.addEventListener("abort", () => opened.reject(gone()), { once: true });
  await opened.promise;
  return {
    send: (message) => isOver ? undefined : socket.send(message),
    async *receive() {
      for (;;) {
        while (messages.length > 0) yield messages.shift()!;
        if (isOver) return;
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
  };
}
