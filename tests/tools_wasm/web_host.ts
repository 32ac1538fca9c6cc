import type { HttpRequest, HttpResponse, WebHost } from "../../tools-wasm/sdk/host.ts";

/** An answer as the host gives it; text of HTML by default. */
export function answerOf(text: string, rest: Partial<HttpResponse> = {}): HttpResponse {
  return {
    status: 200,
    url: "https://example.com/page",
    headers: [],
    contentType: "text/html; charset=utf-8",
    charset: "utf-8",
    text,
    bytes: new TextEncoder().encode(text).length,
    truncated: false,
    ...rest,
  };
}

/** A host whose web is a function, whose settings are a record, and whose random bytes are 1, 2, 3 and so on. */
export function openWebHost(
  serve: (request: HttpRequest) => HttpResponse,
  settings: Readonly<Record<string, string>> = {},
) {
  const asked: HttpRequest[] = [];
  const logged: string[] = [];
  const host: WebHost = {
    http: {
      fetch(request) {
        asked.push(request);
        return serve(request);
      },
    },
    config: { get: (key) => settings[key.replace("web_search.", "")] },
    random: { bytes: (count) => Uint8Array.from({ length: count }, (_, at) => at + 1) },
    log: { write: (level, message) => void logged.push(`${level} ${message}`) },
  };
  return { host, asked, logged };
}

/** A refusal, as the glue of a component hands it over. */
export function refusal(code: string, message: string): Error {
  return Object.assign(new Error("(see error.payload)"), { payload: { code, message } });
}
