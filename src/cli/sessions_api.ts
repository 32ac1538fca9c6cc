import type { Endpoint } from "#/cli/connection.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";
import { readBounded } from "#/lib/read_bounded.ts";

/** A session as the gateway shows it (src/gateway/api_sessions.ts). What a gateway that went bad says is made printable where it is shown. */
export interface ShownSession {
  readonly id: string;
  readonly name: string | null;
  readonly agent: string;
  readonly channel: string;
  readonly parent: string | null;
  readonly created_at: string;
  readonly last_active_at: string;
  readonly archived: boolean;
  readonly turns: number;
  readonly events: number;
  readonly last_text: string | null;
  readonly active_turn: string | null;
}

/** The gateway's doors to sessions, with one token. Methods throw AppError: `gateway_unreachable` when nobody answers, `usage` for what it refuses. */
export class SessionsApi {
  readonly #url: string;
  readonly #token: string;

  constructor(endpoint: Endpoint) {
    this.#url = `${endpoint.origin.replace(/^ws/, "http")}/api/v1/sessions`;
    this.#token = endpoint.token;
  }

  /** The last active first, at most `max`. */
  async list(query: { readonly archived: boolean; readonly prefix?: string }, max: number): Promise<ShownSession[]> {
    const all: ShownSession[] = [];
    let cursor: string | null = null;
    do {
      const limit = String(Math.min(LIMITS.sessionsPageMax, max - all.length));
      const asked = new URLSearchParams({ archived: String(query.archived), limit });
      if (query.prefix !== undefined) asked.set("prefix", query.prefix);
      if (cursor !== null) asked.set("cursor", cursor);
      const page: { sessions: ShownSession[]; next: string | null } = await this.#json("GET", `?${asked}`);
      all.push(...page.sessions);
      cursor = page.sessions.length === 0 ? null : page.next;
    } while (cursor !== null && all.length < max);
    return all;
  }

  /** The session with this id, or the only one whose id begins so, archived or not. */
  async find(prefix: string): Promise<ShownSession> {
    const found = await this.list({ archived: true, prefix }, 10);
    const exact = found.find(({ id }) => id === prefix);
    if (exact !== undefined) return exact;
    if (found.length === 1 && prefix !== "") return found[0]!;
    const shown = `\`${toPrintable(prefix.slice(0, LIMITS.quotedCharsMax))}\``;
    if (found.length === 0) {
      throw new AppError("usage", `no session begins with ${shown}; see oxydra sessions list --archived`);
    }
    throw new AppError("usage", `several sessions begin with ${shown}; write more of the id`);
  }

  async change(
    id: string,
    change: { readonly name?: string | null; readonly archived?: boolean },
  ): Promise<ShownSession> {
    return await this.#json("PATCH", `/${encodeURIComponent(id)}`, change);
  }

  async branch(of: string, options: { readonly at?: number; readonly name?: string }): Promise<ShownSession> {
    return await this.#json("POST", "", { branch_of: of, ...options });
  }

  async forget(id: string): Promise<{ readonly events: number; readonly bytes: number }> {
    return await this.#json("DELETE", `/${encodeURIComponent(id)}`);
  }

  /** The lines of its file. */
  async export(id: string): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#ask("GET", `/${encodeURIComponent(id)}/export`);
    if (body === null) throw new AppError("protocol", "the gateway sent nothing");
    return body;
  }

  async import(file: ReadableStream<Uint8Array>): Promise<ShownSession> {
    return await this.#json("POST", "/import", file);
  }

  // deno-lint-ignore no-explicit-any -- the gateway's word, in the shapes above
  async #json(method: string, path: string, body?: unknown): Promise<any> {
    const response = await this.#ask(method, path, body);
    try {
      return JSON.parse(await readBounded(response.body!, LIMITS.wsFrameBytesMax));
    } catch (cause) {
      throw new AppError("protocol", "the gateway sent what is no answer", { cause });
    }
  }

  async #ask(method: string, path: string, body?: unknown): Promise<Response> {
    const isFile = body instanceof ReadableStream;
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(body === undefined ? {} : { "content-type": isFile ? "application/x-ndjson" : "application/json" }),
    };
    const content = body === undefined ? {} : { body: isFile ? body : JSON.stringify(body) };
    let response: Response;
    try {
      response = await fetch(this.#url + path, { method, headers, ...content, redirect: "error" });
    } catch (cause) {
      throw new AppError("gateway_unreachable", "the gateway does not answer", { cause });
    }
    if (response.ok) return response;
    throw new AppError("usage", await toReason(response));
  }
}

async function toReason(response: Response): Promise<string> {
  const text = response.body === null ? "" : await readBounded(response.body, LIMITS.controlBytesMax).catch(() => "");
  try {
    const { error: { message } } = JSON.parse(text);
    if (typeof message === "string") return toPrintable(message);
  } catch {
    // No answer of ours: its status has to do.
  }
  return `the gateway answered ${response.status}`;
}
