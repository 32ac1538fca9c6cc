/**
 * What the launcher asks of a client process: its one argument, as JSON. It holds no secret: the token is in the endpoint file. The
 * message of `run` is not in it but on stdin: an argument has at most 128 KiB on Linux, and `ps` shows it to everybody.
 */
export interface ClientRequest {
  readonly mode: "run" | "chat" | "tui";
  readonly json: boolean;
  readonly user: string;
  readonly session?: string;
  /** `provider/model` that the person asked for by name: another one running is an error, not a surprise. */
  readonly model?: string;
  readonly endpointPath: string;
  readonly controlPath: string;
  /** Folder for what the model makes, absolute; the client may write there and nowhere else. */
  readonly saveMedia?: string;
}

/** The request in a client's argument list. Throws TypeError when it is not one: only the launcher writes it. */
export function toClientRequest(args: readonly string[]): ClientRequest {
  const request = JSON.parse(args[0] ?? "null");
  if (request === null || typeof request.endpointPath !== "string" || typeof request.user !== "string") {
    throw new TypeError("client.ts is started by the oxydra command, not by hand");
  }
  return request;
}
