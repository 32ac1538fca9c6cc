import type { ErrorCode } from "#/core/error.ts";
import type { SessionEvent } from "#/core/event.ts";
import { toPrintable, toPrintableJson } from "#/lib/printable.ts";
import type { Connection, ServerFrame } from "#/cli/connection.ts";
import type { CardDesk } from "#/cli/card_desk.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { RENDER_START, renderEvent, type RenderState } from "#/cli/render.ts";

/** Where a client writes. `paint` is true on a terminal that takes colour. */
export interface Screen {
  readonly json: boolean;
  readonly paint: boolean;
  out(text: string): void;
  err(text: string): void;
  /** Writes what the model made to a file and says where, or why not; absent when nobody wants that. */
  readonly save?: (attachment: NonNullable<ServerFrame["payload"]["attachment"]>) => Promise<string>;
}

/**
 * Sends one prompt and shows its turn until it ends. Returns the exit code of that turn. `watch.onCancel` is called back with the
 * function that asks the gateway to cancel it; `watch.desk` asks the person what a call may do.
 */
export async function runClientTurn(
  connection: Connection,
  prompt: string,
  screen: Screen,
  watch: TurnWatch,
): Promise<number> {
  const turn = crypto.randomUUID();
  const request = crypto.randomUUID();
  connection.send("send_turn", { request_id: request, session_id: connection.sessionId, turn_id: turn, prompt });
  return await followTurn(connection, { turn, request }, screen, watch);
}

/** Who hears of a running turn: the one who may cancel it, and the desk where its cards are answered. */
export interface TurnWatch {
  readonly onCancel: (cancel: (() => void) | undefined) => void;
  readonly desk: Pick<CardDesk, "open" | "close" | "closeAll">;
}

/** Shows a turn that somebody sent, from now until it ends. Returns its exit code. */
export async function followTurn(
  connection: Connection,
  { turn, request }: { readonly turn: string; readonly request?: string },
  screen: Screen,
  { onCancel, desk }: TurnWatch,
): Promise<number> {
  const target = { session_id: connection.sessionId, turn_id: turn };
  onCancel(() => connection.send("cancel_active_turn", { request_id: crypto.randomUUID(), ...target }));
  let render = RENDER_START;
  try {
    for (;;) {
      const frame = await connection.next();
      if (frame === undefined) {
        screen.err("oxydra: the gateway went away in the middle of this turn; what it had recorded is kept\n");
        return EXIT.internal;
      }
      if (frame.type === "error" && request !== undefined && frame.payload.request_id === request) {
        screen.err(`oxydra: ${toPrintable(frame.payload.message ?? "refused")}\n`);
        return EXIT.internal;
      }
      const { attachment, request_id } = frame.payload;
      if (attachment !== undefined && screen.save && (request === undefined || request_id === request)) {
        screen.err(`  ${await screen.save(attachment)}\n`);
        continue;
      }
      if (frame.type !== "turn_event" || frame.payload.turn?.turn_id !== turn || frame.payload.event === undefined) {
        continue;
      }
      const event = frame.payload.event;
      render = show(event, render, screen);
      if (event.type === "approval_asked") desk.open(cardIdOf(event.payload.card));
      if (event.type === "approval_answered" && event.payload.id !== undefined) desk.close(event.payload.id);
      const code = toTurnExit(event);
      if (code !== undefined) return code;
    }
  } finally {
    onCancel(undefined);
    desk.closeAll();
  }
}

function show(event: SessionEvent, render: RenderState, screen: Screen): RenderState {
  if (screen.json) {
    screen.out(toPrintableJson(event) + "\n");
    return render;
  }
  const { state, rendered } = renderEvent(event, render, screen.paint);
  if (rendered.out !== "") screen.out(rendered.out);
  if (rendered.err !== "") screen.err(rendered.err);
  if (event.type === "model_result" && event.payload.media !== undefined && !screen.save) {
    screen.err("  it is in the log; --save-media DIR also writes it to a file\n");
  }
  return state;
}

/** Which card: all that is believed of what came through the gateway. */
function cardIdOf(card: unknown): string {
  return String((card as { id?: unknown } | null)?.id ?? "");
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
