import { z } from "zod";
import { APPROVAL_ANSWERS } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";

/**
 * What a client may say, in the shapes of the reference's protocol version 2 (crates/types/src/channel.rs): JSON text frames
 * `{"type": snake_case, "payload": {…}}`. As its decoder does, known fields are strict in type, unknown ones are dropped, and an
 * optional field may be absent or null.
 */

/** The reference's `GATEWAY_PROTOCOL_VERSION`. */
export const PROTOCOL_VERSION = 2;

const Id = z.string().max(LIMITS.idCharsMax);
const Name = z.string().max(LIMITS.sessionNameCharsMax).nullish();

/** Media that came with a prompt; `data` is base64 as RFC 4648 §4 writes it, padding included. */
export const WireMedia = z.object({ mime_type: z.string(), data: z.string() });
export type WireMedia = z.infer<typeof WireMedia>;

/** The first frame. `capabilities` is ours: what this client understands beyond the reference. */
export const Hello = z.object({
  request_id: Id,
  protocol_version: z.number().int().min(0).max(65_535),
  user_id: Id,
  session_id: Id.nullish(),
  create_new_session: z.boolean().default(false),
  capabilities: z.array(z.string().max(64)).max(32).nullish(),
});
export type Hello = z.infer<typeof Hello>;

/** One message of a person. The same `turn_id` again is a retry. Lone surrogates become U+FFFD: no store keeps them. */
export const SendTurn = z.object({
  request_id: Id,
  session_id: Id,
  turn_id: Id,
  prompt: z.string().max(LIMITS.promptCharsMax).transform((text) => text.toWellFormed()),
  attachments: z.array(WireMedia).default([]),
});
export type SendTurn = z.infer<typeof SendTurn>;

/** An empty `turn_id` means the running turn: the reference's terminal sends that before it has seen `turn_started`. */
const CancelActiveTurn = z.object({ request_id: Id, session_id: Id, turn_id: Id });

/** An answer to an `approval_request`; `until` is RFC 3339, with the answer `until` alone. */
const ApprovalAnswer = z.object({
  request_id: Id,
  session_id: Id,
  approval_id: Id,
  answer: z.enum(APPROVAL_ANSWERS),
  until: z.iso.datetime({ offset: true }).nullish(),
});

/** Said to a turn that runs; an empty `turn_id` is the running one. The same `message_id` again is a retry. */
const Steer = z.object({
  request_id: Id,
  session_id: Id,
  turn_id: Id,
  message_id: Id.min(1),
  text: z.string().max(LIMITS.steeringCharsMax).regex(/\S/, "the message is empty").transform((text) =>
    text.toWellFormed()
  ),
});

/** The payload of `steer`. */
export type SteerFrame = z.infer<typeof Steer>;

const RequestOnly = z.object({ request_id: Id });

/** Every frame that a client may send. */
export const ClientFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("hello"), payload: Hello }),
  z.object({ type: z.literal("send_turn"), payload: SendTurn }),
  z.object({ type: z.literal("cancel_active_turn"), payload: CancelActiveTurn }),
  z.object({ type: z.literal("cancel_all_active_turns"), payload: RequestOnly }),
  z.object({ type: z.literal("health_check"), payload: RequestOnly }),
  z.object({
    type: z.literal("create_session"),
    payload: z.object({ request_id: Id, display_name: Name, agent_name: Name }),
  }),
  z.object({
    type: z.literal("list_sessions"),
    payload: z.object({
      request_id: Id,
      include_archived: z.boolean().default(false),
      include_subagent_sessions: z.boolean().default(false),
    }),
  }),
  z.object({ type: z.literal("steer"), payload: Steer }),
  z.object({ type: z.literal("approval_answer"), payload: ApprovalAnswer }),
  z.object({ type: z.literal("switch_session"), payload: z.object({ request_id: Id, session_id: Id }) }),
]);
export type ClientFrame = z.infer<typeof ClientFrame>;

/** A frame, or why it is none, with the request id when one could be read. */
export type ParsedFrame =
  | { readonly ok: true; readonly frame: ClientFrame }
  | { readonly ok: false; readonly message: string; readonly requestId: string | undefined };

const TYPES: readonly string[] = ClientFrame.options.map((option) => option.shape.type.value);

/** Never throws: what a client sends is data until it has passed here. */
export function parseClientFrame(text: string): ParsedFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, message: "a frame is one JSON object; this is not JSON", requestId: undefined };
  }
  const parsed = ClientFrame.safeParse(value);
  if (parsed.success) return { ok: true, frame: parsed.data };
  return { ok: false, message: describe(value, parsed.error), requestId: requestIdOf(value) };
}

function describe(value: unknown, error: z.ZodError): string {
  const type = fieldOf(value, "type");
  if (typeof type !== "string") return 'a frame is one JSON object {"type": …, "payload": {…}}';
  if (!TYPES.includes(type)) {
    return `unknown frame type \`${type.slice(0, LIMITS.quotedCharsMax)}\`; known are ${TYPES.join(", ")}`;
  }
  const issue = error.issues[0];
  const path = issue?.path.slice(1).join(".") ?? "";
  return `${type}${path === "" ? "" : `.${path}`}: ${issue?.message ?? "invalid"}`;
}

function requestIdOf(value: unknown): string | undefined {
  const id = fieldOf(fieldOf(value, "payload"), "request_id");
  return typeof id === "string" && id.length <= LIMITS.idCharsMax ? id : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
