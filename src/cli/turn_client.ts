import type { ErrorCode } from "#/core/error.ts";
import type { SessionEvent } from "#/core/event.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import type { Connection, ServerFrame } from "#/cli/connection.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { RENDER_START, renderEvent } from "#/cli/render.ts";

/** Where a client writes. `paint` is true on a terminal that takes colour. */
export interface Screen {
  readonly json: boolean;
  readonly paint: boolean;
  out(text: string): void;
  err(text: string): void;
}

/**
 * Sends one prompt and shows its turn until it ends. Returns the exit code of that turn. `interrupt` is called back with the
 * function that asks the gateway to cancel it.
 */
export async function runClientTurn(
  connection: Connection,
  frames: AsyncIterator<ServerFrame>,
  prompt: string,
  screen: Screen,
  onCancel: (cancel: (() => void) | undefined) => void,
): Promise<number> {
  const turn = crypto.randomUUID();
  const request = crypto.randomUUID();
  const target = { session_id: connection.sessionId, turn_id: turn };
  connection.send("send_turn", { request_id: request, ...target, prompt });
  onCancel(() => connection.send("cancel_active_turn", { request_id: crypto.randomUUID(), ...target }));
  let render = RENDER_START;
  try {
    for (;;) {
      const { value: frame, done } = await frames.next();
      if (done) {
        screen.err("oxydra: the gateway went away in the middle of this turn; what it had recorded is kept\n");
        return EXIT.internal;
      }
      if (frame.type === "error" && frame.payload.request_id === request) {
        screen.err(`oxydra: ${toPrintable(frame.payload.message ?? "refused")}\n`);
        return EXIT.internal;
      }
      if (frame.type !== "turn_event" || frame.payload.turn?.turn_id !== turn || frame.payload.event === undefined) {
        continue;
      }
      const event = frame.payload.event;
      if (screen.json) {
        screen.out(toPrintableJson(event) + "\n");
      } else {
        const step = renderEvent(event, render, screen.paint);
        render = step.state;
        if (step.rendered.out !== "") screen.out(step.rendered.out);
        if (step.rendered.err !== "") screen.err(step.rendered.err);
      }
      const code = toTurnExit(event);
      if (code !== undefined) return code;
    }
  } finally {
    onCancel(undefined);
  }
}

/** The exit code of an event that ends a turn: a turn in which policy refused a call ends with 5, so that a script notices. */
function toTurnExit(event: SessionEvent): number | undefined {
  switch (event.type) {
    case "turn_done":
      return event.payload.denied > 0 ? EXIT.denied : EXIT.done;
    case "turn_failed":
      return toExitCode(event.payload.code satisfies ErrorCode);
    case "turn_cancelled":
      return EXIT.interrupted;
    default:
      return undefined;
  }
}
