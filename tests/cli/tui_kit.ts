/** A terminal's state in a test: what happens to it one after another, and what came of it. */
import type { ApprovalCard } from "#/core/capability.ts";
import type { Key, KeyName } from "#/cli/tui_keys.ts";
import { reduce } from "#/cli/tui_reduce.ts";
import { startState, type TuiEffect, type TuiInput, type TuiState } from "#/cli/tui_state.ts";
import { layoutScreen } from "#/cli/tui_layout.ts";
import type { Line } from "#/cli/tui_text.ts";

/** Lines as text. */
export const toText = (lines: readonly Line[]): string[] => lines.map((line) => line.map((each) => each.text).join(""));

/** Drives the reducer; time stands still unless a test moves it. */
export class Driven {
  state: TuiState;
  now = 1_000_000;
  #ids = 0;
  #seq = 0;

  constructor(options: { width?: number; height?: number; isRelayed?: boolean } = {}) {
    this.state = startState(options.width ?? 80, options.height ?? 24, this.now, options.isRelayed);
  }

  /** One input; its effects. */
  on(input: TuiInput): readonly TuiEffect[] {
    const { state, effects } = reduce(this.state, input, { now: this.now, newId: () => `id${++this.#ids}` });
    this.state = state;
    return effects;
  }

  connect(session = "s"): readonly TuiEffect[] {
    return this.on({ type: "link", link: { kind: "on", session, model: "demo/demo", reason: "why" } });
  }

  lose(): readonly TuiEffect[] {
    return this.on({ type: "link", link: { kind: "off", tries: 1, nextAt: this.now + 3_000 } });
  }

  key(name: KeyName): readonly TuiEffect[] {
    return this.press({ type: "key", name });
  }

  press(key: Key): readonly TuiEffect[] {
    return this.on({ type: "key", key });
  }

  /** Types a text as one chunk. */
  text(text: string): readonly TuiEffect[] {
    return this.press({ type: "text", text, alone: text.length === 1 });
  }

  frame(type: string, payload: Record<string, unknown>): readonly TuiEffect[] {
    // deno-lint-ignore no-explicit-any -- a frame as it may come
    return this.on({ type: "frame", frame: { type, payload } as any });
  }

  /** A live event of a turn. */
  live(type: string, payload: unknown, turn = "t"): readonly TuiEffect[] {
    return this.frame("turn_event", { turn: { turn_id: turn, state: "running" }, event: { type, payload } });
  }

  /** A recorded event of a turn, at the next position or at the one given. */
  event(type: string, payload: unknown, turn = "t", seq?: number): readonly TuiEffect[] {
    this.#seq = seq ?? this.#seq + 1;
    const stored = { seq: this.#seq, session: "s", turn, v: 1, at: 0, blobs: [] };
    const event = { ...stored, type, payload };
    return this.frame("turn_event", { turn: { turn_id: turn, state: "running" }, event });
  }

  /** What went to the scrollback since the last time. */
  printed(): string[] {
    const lines = toText(this.state.printed);
    this.state = { ...this.state, printed: [] };
    return lines;
  }

  screen(): string[] {
    return toText(layoutScreen(this.state).lines);
  }
}

/** A card as the runner makes one. */
export function makeCard(id: string, more: Partial<ApprovalCard> = {}): ApprovalCard {
  return {
    id,
    key: "k",
    session: "s",
    turn: "t",
    callId: "c",
    principal: { user: "ann", agent: "default", origin: "channel" } as unknown as ApprovalCard["principal"],
    tool: { name: "vault_copyto", package: "p", version: "1", sha256: "a".repeat(64) },
    argsSha256: "b".repeat(64),
    wanted: [],
    lines: ["read /vault/secret.txt", "write /shared/out.txt"],
    reason: "the vault is read only when you say so",
    answer: "owner",
    askedAt: 0,
    expiresAt: 1_900_000,
    ...more,
  };
}

/** The parts of a model's result that a test does not care about. */
export const RESULT = { step: 1, toolCalls: [], finishReason: "stop", usage: { totalTokens: 1_200 }, cost: 0.0031 };
