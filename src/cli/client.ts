/**
 * The client process: the terminal on one side, one port of 127.0.0.1 on the other, and one file to read. It holds no key and
 * runs no tool; a gateway that went bad can show it text, and that text is made printable first.
 */
import { AppError, attempt, messageOf } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toOneLine, toPrintable } from "#/lib/printable.ts";
import { type ClientRequest, type SessionsAsk, toClientRequest } from "#/cli/client_request.ts";
import { readEndpointFile } from "#/cli/connection.ts";
import { answerApproval, ifReached, readApprovals, readHealth } from "#/cli/control_client.ts";
import { CardDesk } from "#/cli/card_desk.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { LineReader, readLines } from "#/cli/lines.ts";
import { saveMedia } from "#/cli/save_media.ts";
import { SteadyConnection } from "#/cli/steady_connection.ts";
import { followTurn, runClientTurn, type Screen, type TurnWatch } from "#/cli/turn_client.ts";

const encoder = new TextEncoder();
const CHAT_HELP =
  "Type a message and Enter. Ctrl-C stops the running turn, twice leaves. /exit leaves, /help shows this.\n";

async function main(): Promise<number> {
  const request = toClientRequest(Deno.args);
  const screen = toScreen(request);
  try {
    const connection = await SteadyConnection.open({
      endpoint: () => readEndpointFile(request.endpointPath),
      hello: request,
      isRunnerThere: () => isRunnerThere(request),
    });
    try {
      if (request.ask !== undefined) return await runSessionsMode(request.ask, request, screen);
      return await runSession(request, connection, screen);
    } finally {
      connection.close();
    }
  } catch (error) {
    if (!(error instanceof AppError)) {
      // Deno would print it as it is, and a gateway that went bad may have had a word in it.
      screen.err(`oxydra: internal error: ${toPrintable(Deno.inspect(error))}\n`);
      return EXIT.internal;
    }
    if (error.code === "gateway_unreachable" && !error.params.moved) return EXIT.gatewayGone;
    screen.err(`oxydra: ${toPrintable(error.message)}\n`);
    return toExitCode(error.code);
  }
}

/** The connection holds the gateway, which lives as long as its clients; the question goes over HTTP. */
async function runSessionsMode(ask: SessionsAsk, request: ClientRequest, screen: Screen): Promise<number> {
  const [{ runSessionsAsk }, { SessionsApi }, { Terminal }] = await Promise.all([
    import("#/cli/sessions_client.ts"),
    import("#/cli/sessions_api.ts"),
    import("#/cli/terminal.ts"),
  ]);
  return await runSessionsAsk(ask, new SessionsApi(readEndpointFile(request.endpointPath)), {
    json: screen.json,
    out: screen.out,
    file: Deno.stdout.writable,
    isTerminal: Deno.stdout.isTerminal(),
    input: Deno.stdin.readable,
    terminal: new Terminal(),
    now: Date.now,
  });
}

async function runSession(request: ClientRequest, connection: SteadyConnection, screen: Screen): Promise<number> {
  const { provider, model, reason } = connection.info;
  if (request.model !== undefined && request.model !== `${provider}/${model}`) {
    const running = toPrintable(`${provider}/${model}`);
    const wanted = toPrintable(request.model);
    screen.err(
      `oxydra: the running gateway uses ${running}; end its clients, or \`oxydra restart --model ${wanted}\`\n`,
    );
    return EXIT.usage;
  }
  screen.err(`oxydra: ${toOneLine(`${provider}/${model}. ${reason ?? ""}`, 600)}\n`);
  const interrupt = new Interrupt(screen);
  if (request.mode === "run") {
    const prompt = await new Response(Deno.stdin.readable).text();
    // stdin was the message; a person, if there is one, is at the terminal itself.
    const desk = toDesk(request, screen, request.json || !Deno.stderr.isTerminal() ? undefined : openTerminal());
    return await runClientTurn(connection, prompt, screen, { onCancel: interrupt.watch, desk });
  }
  return await runChat(request, connection, screen, interrupt);
}

function toDesk(request: ClientRequest, screen: Screen, lines: LineReader | undefined): CardDesk {
  return new CardDesk({
    read: () => readCards(request),
    answer: (given) => answerApproval(request.controlPath, given),
    nextLine: lines && (() => lines.next()),
    say: screen.err,
    now: Date.now,
  });
}

/** Nobody here knows of a runner elsewhere. */
async function isRunnerThere({ controlPath }: ClientRequest): Promise<boolean> {
  return controlPath === "" || await ifReached(readHealth(controlPath)) !== undefined;
}

/** The runner's cards; none where the runner is elsewhere: they are answered there. */
async function readCards({ controlPath }: ClientRequest): ReturnType<typeof readApprovals> {
  return controlPath === "" ? [] : await readApprovals(controlPath);
}

/** The lines that a person types, whatever stdin is; undefined where there is no terminal. */
function openTerminal(): LineReader | undefined {
  const tty = attempt(() => Deno.openSync("/dev/tty", { read: true }));
  return tty && new LineReader(readLines(tty.readable, LIMITS.promptCharsMax));
}

/** Line mode: on a terminal a prompt mark and a person; from a pipe one turn a line. */
async function runChat(
  request: ClientRequest,
  connection: SteadyConnection,
  screen: Screen,
  interrupt: Interrupt,
): Promise<number> {
  const terminal = Deno.stdin.isTerminal();
  if (terminal) screen.err(CHAT_HELP);
  const mark = () => terminal && screen.err("› ");
  const lines = new LineReader(readLines(Deno.stdin.readable, LIMITS.promptCharsMax));
  const desk = toDesk(request, screen, terminal ? lines : undefined);
  const watch = { onCancel: interrupt.watch, desk };
  if (terminal) await takeUp(request, connection, screen, watch);
  let worst: number = EXIT.done;
  for (;;) {
    mark();
    const next = await nextLine(connection, lines);
    if (next === "gone") {
      screen.err("oxydra: the gateway has stopped\n");
      return EXIT.internal;
    }
    const prompt = next.line?.trim();
    if (prompt === undefined || prompt === "/exit" || prompt === "/quit") return worst;
    if (prompt === "/help") screen.err(CHAT_HELP);
    else if (prompt) {
      const code = await runClientTurn(connection, prompt, screen, watch);
      if (code !== EXIT.done && !terminal) worst = code;
    }
  }
}

/** The next line of the person; a gateway that restarts meanwhile is found again, one that stops leaves nobody waiting for a line. */
async function nextLine(
  connection: SteadyConnection,
  lines: LineReader,
): Promise<{ readonly line: string | undefined } | "gone"> {
  const line = lines.next();
  for (;;) {
    const broken = connection.closed.then(() => "broken" as const);
    const next = await Promise.race([broken, line.then((line) => ({ line }))]);
    if (next !== "broken") return next;
    if (!await connection.reconnect()) return "gone";
  }
}

/** A turn of this session that waits for an approval since an earlier time is taken up: its cards are asked, and it is shown to its end. */
async function takeUp(
  request: ClientRequest,
  connection: SteadyConnection,
  screen: Screen,
  watch: TurnWatch,
): Promise<void> {
  const cards = (await readCards(request)).filter((card) => card.session === connection.sessionId);
  const turn = cards[0]?.turn;
  if (turn === undefined) return;
  screen.err("oxydra: an earlier turn of this session waits for you\n");
  for (const card of cards.filter((card) => card.turn === turn)) watch.desk.open(card.id);
  const isOpen = async () => (await readApprovals(request.controlPath)).some((card) => card.turn === turn);
  await followTurn(connection, { turn, isOpen }, screen, watch);
}

/** The first Ctrl-C cancels the turn, the second leaves; without a turn the first one leaves. */
class Interrupt {
  #cancel: (() => void) | undefined;
  #asked = false;

  constructor(screen: Screen) {
    Deno.addSignalListener("SIGINT", () => {
      if (this.#cancel === undefined || this.#asked) Deno.exit(EXIT.interrupted);
      this.#asked = true;
      screen.err("\noxydra: cancelling; Ctrl-C again to leave at once\n");
      this.#cancel();
    });
  }

  readonly watch = (cancel: (() => void) | undefined): void => {
    this.#cancel = cancel;
    this.#asked = false;
  };
}

function toScreen(request: ClientRequest): Screen {
  return {
    json: request.json,
    paint: !Deno.noColor && Deno.stderr.isTerminal(),
    ...(request.saveMedia === undefined ? {} : { save: (file) => saveMedia(file, request.saveMedia!) }),
    out: (text) => writeAll(Deno.stdout, text),
    // What fails has nowhere to be said.
    err: (text) => attempt(() => writeAll(Deno.stderr, text)),
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (error) {
    // `oxydra run … | head -1`: whoever read has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.interrupted);
    throw new AppError("internal", `the answer cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

Deno.exit(await main());
