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
  let isOver = false;
  /** False when it was over already. */
  const finish = (): boolean => {
    if (isOver) return false;
    isOver = true;
    onEnd();
    return true;
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const revoke = () => {
        if (!finish()) return;
        controller.enqueue(REVOKED);
        controller.close();
        reader.cancel("revoked").catch(() => {});
      };
      if (signal.aborted) return revoke();
      signal.addEventListener("abort", revoke, { once: true });
    },
    async pull(controller) {
      const { done, value } = await reader.read().catch((error) => {
        finish();
        throw error;
      });
      if (isOver) return;
      if (value !== undefined) controller.enqueue(value);
      if (done && finish()) controller.close();
    },
    async cancel(reason) {
      finish();
      await reader.cancel(reason);
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}
