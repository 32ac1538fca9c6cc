import type { AuditHead } from "#/core/audit.ts";
import type { EventType, NewBlob, NewEvent } from "#/core/event.ts";

/** One event of every durable kind, with every field that may be there. */
export const SAMPLES: { readonly [T in EventType]: Extract<NewEvent, { type: T }> } = {
  user_message: {
    type: "user_message",
    v: 1,
    payload: {
      text: "hello \u{1f30a} \0 \ud800",
      channel: "terminal",
      attachments: [{ mimeType: "image/png", data: "aGk=" }],
      requestId: "r1",
    },
  },
  model_request: {
    type: "model_request",
    v: 1,
    payload: {
      step: 1,
      provider: "demo",
      model: "planner",
      parameters: { maxOutputTokens: 100, nested: { a: [1, null] } },
      window: { sha256: "ab".repeat(32), fromSeq: 1, toSeq: 4, messages: 3, droppedMessages: 0 },
    },
  },
  model_result: {
    type: "model_result",
    v: 1,
    payload: {
      step: 1,
      text: "I will look.",
      reasoning: "look first",
      toolCalls: [
        { id: "c1", name: "file_read", arguments: '{"path":"/shared/a"', metadata: { signature: "s" } },
        { id: "c2", name: "file_write", arguments: "", droppedBytes: 2_000_000 },
      ],
      finishReason: "tool_calls",
      usage: { promptTokens: 10, completionTokens: 5, cachedTokens: 2, totalTokens: 15 },
      retries: [{ attempt: 1, waitMs: 250.5, code: "provider_rate_limited", message: "slow down" }],
    },
  },
  tool_intent: {
    type: "tool_intent",
    v: 1,
    payload: {
      callId: "c1",
      step: 1,
      tool: "file_read",
      effect: "read_only",
      args: { path: "/shared/a" },
      argsSha256: "cd".repeat(32),
      principal: { user: "default", agent: ["default"], origin: "channel" },
    },
  },
  tool_decision: {
    type: "tool_decision",
    v: 1,
    payload: {
      callId: "c1",
      tool: { name: "file_read", package: "files", version: "0.1.0", sha256: "ef".repeat(32) },
      decision: {
        kind: "granted",
        grant: {
          id: "g1",
          capabilities: [{ kind: "fs.read", path: "/shared/a", scope: "file", bytesMax: 100 }],
          source: "default:fs.read",
          expiresAt: 1_700_000_000_000,
        },
        policyDigest: "p",
        source: "default",
      },
    },
  },
  tool_result: {
    type: "tool_result",
    v: 1,
    payload: {
      callId: "c1",
      tool: "file_read",
      ok: false,
      code: "file_not_found",
      text: "no such file",
      outputBytes: 12,
      truncated: false,
      elapsedMs: 1.5,
    },
  },
  approval_asked: { type: "approval_asked", v: 1, payload: { callId: "c1", card: { title: "run it?" } } },
  approval_answered: { type: "approval_answered", v: 1, payload: { callId: "c1", answer: "once", by: "owner" } },
  resumed: { type: "resumed", v: 1, payload: { attempt: 2 } },
  parked: { type: "parked", v: 1, payload: { callId: "c1", reason: "waits for an answer" } },
  summary: { type: "summary", v: 1, payload: { fromSeq: 1, toSeq: 9, text: "so far", epoch: 1 } },
  budget: { type: "budget", v: 1, payload: { kind: "cost", used: 0.51, limit: 0.5 } },
  steering: { type: "steering", v: 1, payload: { id: "m1", text: "rather in French" } },
  forgotten: { type: "forgotten", v: 1, payload: { events: 9, blobs: 1, bytes: 4_096 } },
  turn_done: {
    type: "turn_done",
    v: 1,
    payload: {
      text: "done",
      finishReason: "stop",
      steps: 2,
      toolCalls: 1,
      denied: 0,
      usage: {},
      auditHead: { seq: 7, sha256: "a".repeat(64) },
    },
  },
  turn_failed: {
    type: "turn_failed",
    v: 1,
    payload: { code: "provider_unavailable", message: "no answer", steps: 1 },
  },
  turn_cancelled: { type: "turn_cancelled", v: 1, payload: { reason: "ctrl-c", steps: 1 } },
};

/** A user message with this text. */
export function messageOf(text: string): NewEvent {
  return { type: "user_message", v: 1, payload: { text, channel: "test" } };
}

/** A blob of this content. */
export async function blobOf(content: Uint8Array<ArrayBuffer>, mimeType = "text/plain"): Promise<NewBlob> {
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
  return { sha256, bytes: content.length, mimeType, content };
}

/** Fields of a session to ensure. */
export function sessionOf(id: string, user = "default") {
  return { id, user, agent: "default", channel: "terminal", displayName: null, parent: null };
}

/** The end of a turn that saw this head of the audit log. */
export function doneWith(auditHead: AuditHead): NewEvent {
  return { ...SAMPLES.turn_done, payload: { ...SAMPLES.turn_done.payload, auditHead } };
}
