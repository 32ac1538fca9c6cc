/** What a stream of server-sent events says last when its token ends. */
const REVOKED = new TextEncoder().encode(
  'event: error\ndata: {"error":{"code":"gateway_refused","message":"this token was revoked, or has expired"}}\n\n',
);

/** The same answer, whose body ends, with a last event that says why, when the signal fires; `onEnd` is called when it is over, whoever ended it. */
export function endWhen(response: Response, signal: AbortSignal, onEnd: () => void): Response {
  if (response.body === null) {
    onEnd();
    return response;
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      signal.addEventListener("abort", () => {
        onEnd();
        controller.enqueue(REVOKED);
        controller.close();
        reader.cancel("revoked").catch(() => {});
      }, { once: true });
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (value !== undefined) controller.enqueue(value);
      if (!done) return;
      onEnd();
      controller.close();
    },
    async cancel(reason) {
      onEnd();
      await reader.cancel(reason);
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}
