/**
 * The terminal client with a screen: a process as narrow as the other client, with Ink and React in it, which read no environment and no
 * file. The launcher starts it where stdin and stdout are a terminal.
 */
import { delay } from "#/lib/delay.ts";
import { AppError } from "#/core/error.ts";
import { toPrintable } from "#/lib/printable.ts";
import { type ClientRequest, toClientRequest } from "#/cli/client_request.ts";
import { type Connection, openConnection, readEndpointFile } from "#/cli/connection.ts";
import { answerApproval, ifReached, readApprovals, readHealth } from "#/cli/control_client.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { TuiApp } from "#/cli/tui_app.ts";
import { runLink } from "#/cli/tui_link.ts";
import { RawTerminal } from "#/cli/tui_terminal.ts";
import { openView, type TuiView } from "#/cli/tui_view.ts";

const encoder = new TextEncoder();

function write(text: string): void {
  try {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  } catch {
    // Nobody looks any more.
  }
}

async function main(): Promise<void> {
  const request = toClientRequest(Deno.args);
  const terminal = new RawTerminal({ setRaw: (isRaw) => Deno.stdin.setRaw(isRaw), write });
  // Whatever ends this process, but for SIGKILL, ends it here.
  const end = (code: number, text = ""): never => {
    terminal.leave();
    if (text !== "") write(text);
    Deno.exit(code);
  };
  const fail = (error: unknown): never => {
    if (error instanceof AppError) {
      if (error.code === "gateway_unreachable") return end(EXIT.gatewayGone);
      return end(toExitCode(error.code), `oxydra: ${toPrintable(error.message)}\n`);
    }
    return end(EXIT.internal, `\noxydra: internal error: ${toPrintable(Deno.inspect(error, { colors: false }))}\n`);
  };
  globalThis.addEventListener("unhandledrejection", (event) => fail(event.reason));
  globalThis.addEventListener("error", (event) => fail(event.error));
  const abort = new AbortController();
  try {
    // Before the terminal is taken over: who cannot get in is told on an ordinary line.
    const home = readEndpointFile(request.endpointPath).origin;
    const first = await connect(request, request.session);
    checkModel(request, first.info);
    terminal.enter();
    const view = openView({ paint: !Deno.noColor, size: () => Deno.consoleSize(), write });
    const leave = async (code: number, text?: string) => {
      app.flush();
      app.stop();
      abort.abort();
      await view.close();
      end(code, text);
    };
    const app = new TuiApp({
      view,
      size: () => Deno.consoleSize(),
      cards: request.controlPath === "" ? undefined : {
        read: () => readApprovals(request.controlPath),
        answer: (given) => answerApproval(request.controlPath, given),
      },
      exit: (code) => void leave(code),
      now: Date.now,
      newId: () => crypto.randomUUID(),
    });
    listen(app, view, leave);
    void terminal.read(Deno.stdin.readable, (key) => app.dispatch({ type: "key", key }))
      .then(() => leave(EXIT.done));
    const connectAgain = () => {
      const { origin } = readEndpointFile(request.endpointPath);
      // This process may speak to one address; the launcher starts another one for another.
      if (origin !== home) void leave(EXIT.gatewayGone, toUnsent(app));
      return origin === home ? connect(request, app.state.session) : new Promise<never>(() => {});
    };
    let isFirst = true;
    await runLink({
      connect: async () => isFirst ? (isFirst = false, first) : await connectAgain(),
      delay,
      random: Math.random,
      now: Date.now,
      onLink: (link) => app.dispatch({ type: "link", link }),
      onFrame: (frame) => app.dispatch({ type: "frame", frame }),
      onConnection: (connection) => app.connection = connection,
      isOver: async () => request.controlPath !== "" && await ifReached(readHealth(request.controlPath)) === undefined,
      onRefused: (text) => app.dispatch({ type: "told", text }),
    }, abort.signal);
    if (!abort.signal.aborted) await leave(EXIT.internal, `${toUnsent(app)}oxydra: the gateway has stopped\n`);
  } catch (error) {
    fail(error);
  }
}

/** What was typed and not sent is not lost with the screen. Also what was sent to a gateway that never told of it. */
function toUnsent({ state }: TuiApp): string {
  const texts = [...state.sent.map(({ prompt }) => prompt), state.draft.text].filter((text) => text.trim() !== "");
  return texts.map((text) => `oxydra: not sent, or not answered: ${toPrintable(text)}\n`).join("");
}

function connect(request: ClientRequest, session: string | undefined): Promise<Connection> {
  return openConnection(readEndpointFile(request.endpointPath), {
    user: request.user,
    ...(session === undefined ? {} : { session }),
  });
}

function checkModel(request: ClientRequest, { provider, model }: Connection["info"]): void {
  if (request.model === undefined || request.model === `${provider}/${model}`) return;
  const why =
    `the running gateway uses ${provider}/${model}; end its clients, or \`oxydra restart --model ${request.model}\``;
  throw new AppError("usage", why);
}

function listen(app: TuiApp, view: TuiView, leave: (code: number, text?: string) => Promise<void>): void {
  Deno.addSignalListener("SIGWINCH", () => {
    const { columns, rows } = Deno.consoleSize();
    view.resize();
    app.dispatch({ type: "size", width: columns, height: rows });
    app.flush();
  });
  Deno.addSignalListener("SIGINT", () => app.dispatch({ type: "key", key: { type: "key", name: "interrupt" } }));
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => void leave(EXIT.interrupted));
  }
}

await main();
