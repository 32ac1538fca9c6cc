/**
 * What the launcher asks of a client process: its one argument, as JSON. It holds no secret: the token is in the endpoint file. The
 * message of `run` is not in it but on stdin: an argument has at most 128 KiB on Linux, and `ps` shows it to everybody.
 */
export interface ClientRequest {
  readonly mode: "run" | "chat" | "tui" | "sessions";
  readonly json: boolean;
  readonly user: string;
  readonly session?: string;
  /** `provider/model` that the person asked for by name: another one running is an error, not a surprise. */
  readonly model?: string;
  readonly endpointPath: string;
  readonly controlPath: string;
  /** Folder for what the model makes, absolute; the client may write there and nowhere else. */
  readonly saveMedia?: string;
  /** Of `sessions`. */
  readonly ask?: SessionsAsk;
}

/** One question about sessions. An `id` may be the beginning of one. */
export type SessionsAsk =
  | { readonly do: "list"; readonly archived: boolean }
  | { readonly do: "show" | "archive" | "unarchive" | "export"; readonly id: string }
  | { readonly do: "rename"; readonly id: string; readonly name: string | null }
  | { readonly do: "delete"; readonly id: string; readonly yes: boolean }
  | { readonly do: "branch"; readonly id: string; readonly at?: number; readonly name?: string }
  | { readonly do: "import" };

/** The request in a client's argument list. Throws TypeError when it is not one: only the launcher writes it. */
export function toClientRequest(args: readonly string[]): ClientRequest {
  const request = JSON.parse(args[0] ?? "null");
  if (request === null || typeof request.endpointPath !== "string" || typeof request.user !== "string") {
    throw new TypeError("client.ts is started by the oxydra command, not by hand");
  }
  return request;
}
