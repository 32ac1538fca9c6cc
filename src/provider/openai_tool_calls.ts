import { LIMITS } from "#/core/limits.ts";
import type { Message, ToolCall } from "#/core/message.ts";

/** A piece of a tool call as a vendor streams it. */
export interface ToolCallPart {
  readonly index?: number | null | undefined;
  readonly id?: string | null | undefined;
  readonly function?:
    | {
      readonly name?: string | null | undefined;
      /** Text, or a whole object from vendors that do not stream arguments. */
      readonly arguments?: unknown;
    }
    | null
    | undefined;
}

interface Pending {
  readonly index: number | undefined;
  id: string;
  name: string;
  parts: string[];
  bytes: number;
}

const encoder = new TextEncoder();

/** An assembler for the next reply of a conversation: an id names one call of it. */
export function toAssembler(messages: readonly Message[]): ToolCallAssembler {
  const earlier = messages.flatMap((m) => m.role === "assistant" ? m.toolCalls.map((call) => call.id) : []);
  return new ToolCallAssembler(earlier, () => `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`);
}

/**
 * Puts tool calls together from fragments. Vendors differ: indexes may be missing or all zero, ids missing, repeated or shared by
 * two calls, names cut in two or repeated with each fragment, several calls interleaved.
 */
export class ToolCallAssembler {
  readonly #calls: Pending[] = [];
  readonly #taken: Set<string>;
  readonly #newId: () => string;

  /** `taken` are the ids of earlier calls: an id names one call of a conversation. */
  constructor(taken: Iterable<string>, newId: () => string) {
    this.#taken = new Set(taken);
    this.#newId = newId;
  }

  /** Calls begun so far. */
  get size(): number {
    return this.#calls.length;
  }

  /** Adds one fragment. Arguments beyond `argsBytesMax` are counted and forgotten. */
  push(part: ToolCallPart): void {
    const call = this.#find(part);
    const name = part.function?.name ?? "";
    // A repeated head carries the whole name again; a cut name goes on.
    if (name !== call.name) call.name = (call.name + name).slice(0, LIMITS.idCharsMax);
    const args = part.function?.arguments;
    if (args !== undefined && args !== null) {
      this.#addArgs(call, typeof args === "string" ? args : JSON.stringify(args));
    }
  }

  /** All calls, whole, in the order in which they began, with ids that no other call has. */
  finish(): ToolCall[] {
    return this.#calls.map((call) => {
      const usable = call.id !== "" && call.id.length <= LIMITS.idCharsMax && !this.#taken.has(call.id);
      const id = usable ? call.id : this.#newId();
      this.#taken.add(id);
      if (call.bytes > LIMITS.argsBytesMax) return { id, name: call.name, arguments: "", droppedBytes: call.bytes };
      const text = call.parts.join("");
      // Several vendors stream no arguments at all for a tool that takes none.
      return { id, name: call.name, arguments: text === "" ? "{}" : text };
    });
  }

  #find(part: ToolCallPart): Pending {
    const index = part.index ?? undefined;
    const id = part.id ?? "";
    const found = index === undefined
      ? this.#calls.findLast((call) => id === "" || call.id === id)
      : this.#calls.findLast((call) => call.index === index);
    // Another id under the same index is another call (Gemini and some vLLM parsers number every call 0).
    if (found && (id === "" || found.id === "" || found.id === id)) {
      if (found.id === "") found.id = id;
      return found;
    }
    const call: Pending = { index, id, name: "", parts: [], bytes: 0 };
    this.#calls.push(call);
    return call;
  }

  #addArgs(call: Pending, text: string): void {
    call.bytes += encoder.encode(text).length;
    if (call.bytes > LIMITS.argsBytesMax) call.parts = [];
    else call.parts.push(text);
  }
}
