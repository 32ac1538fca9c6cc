/**
 * The client process: the terminal on one side, one port of 127.0.0.1 on the other, and one file to read. It holds no key and
 * runs no tool; a gateway that went bad can show it text, and that text is made printable first.
 */
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toOneLine, toPrintable } from "#/lib/printable.ts";
import { type ClientRequest, toClientRequest } from "#/cli/client_request.ts";
import { type Connection, openConnection, readEndpointFile } from "#/cli/connection.ts";
import { answerApproval, readApprovals } from "#/cli/control_client.ts";
import { CardDesk } from "#/cli/card_desk.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { LineReader, readLines } from "#/cli/lines.ts";
import { saveMedia } from "#/cli/save_media.ts";
import { followTurn, runClientTurn, type Screen, type TurnWatch } from "#/cli/turn_client.ts";

const encoder = new TextEncoder();
const CHAT_HELP =
  "Type a message and Enter. Ctrl-C stops the running turn, twice leaves. /exit leaves, /help shows this.\n";

async function main(): Promise<number> {
  const request = toClientRequest(Deno.args);
  const screen = toScreen(request);
  try {
    const connection = await openConnection(readEndpointFile(request.endpointPath), request);
    try {
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
    if (error.code === "gateway_unreachable") return EXIT.gatewayGone;
    screen.err(`oxydra: ${toPrintable(error.message)}\n`);
    return toExitCode(error.code);
  }
}

async function runSession(request: ClientRequest, connection: Connection, screen: Screen): Promise<number> {
  const { provider, model, reason } = connection.info;
  if (request.model !== undefined && request.model !== `${provider}/${model}`) {
    const running = toPrintable(`${provider}/${model}`);
    const wanted = toPrintable(request.model);
    screen.err(`oxydra: the running gateway uses ${running}; end its clients to start one with ${wanted}\n`);
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

/** The runner's cards; none where the runner is elsewhere: they are answered there. */
async function readCards({ controlPath }: ClientRequest): ReturnType<typeof readApprovals> {
  return controlPath === "" ? [] : await readApprovals(controlPath);
}

/** The lines that a person types, whatever stdin is; undefined where there is no terminal. */
function openTerminal(): LineReader | undefined {
  try {
    return new LineReader(readLines(Deno.openSync("/dev/tty", { read: true }).readable, LIMITS.promptCharsMax));
  } catch {
    return undefined;
  }
}

/** Line mode: on a terminal a prompt mark and a person; from a pipe one turn a line. */
async function runChat(
  request: ClientRequest,
  connection: Connection,
  screen: Screen,
  interrupt: Interrupt,
): Promise<number> {
  const terminal = Deno.stdin.isTerminal();
  if (terminal) screen.err(CHAT_HELP);
  const mark = () => terminal && screen.err("› ");
  const gone = connection.closed.then(() => "gone" as const);
  const lines = new LineReader(readLines(Deno.stdin.readable, LIMITS.promptCharsMax));
  const desk = toDesk(request, screen, terminal ? lines : undefined);
  const watch = { onCancel: interrupt.watch, desk };
  if (terminal) await takeUp(request, connection, screen, watch);
  let worst: number = EXIT.done;
  for (;;) {
    mark();
    // A gateway that stops must not leave a client that waits for a person.
    const next = await Promise.race([gone, lines.next()]);
    if (next === "gone") {
      screen.err("oxydra: the gateway has stopped\n");
      return EXIT.internal;
    }
    const prompt = next?.trim();
    if (prompt === undefined || prompt === "/exit" || prompt === "/quit") return worst;
    if (prompt === "/help") screen.err(CHAT_HELP);
    else if (prompt) {
      const code = await runClientTurn(connection, prompt, screen, watch);
      if (code !== EXIT.done && !terminal) worst = code;
    }
  }
}

/** A turn of this session that waits for an approval since an earlier time is taken up: its cards are asked, and it is shown to its end. */
async function takeUp(request: ClientRequest, connection: Connection, screen: Screen, watch: TurnWatch): Promise<void> {
  const cards = (await readCards(request)).filter((card) => card.session === connection.sessionId);
  const turn = cards[0]?.turn;
  if (turn === undefined) return;
  screen.err("oxydra: an earlier turn of this session waits for you\n");
  for (const card of cards.filter((card) => card.turn === turn)) watch.desk.open(card.id);
  await followTurn(connection, { turn }, screen, watch);
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
    err(text) {
      try {
        writeAll(Deno.stderr, text);
      } catch {
        // Nowhere to say it.
      }
    },
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (error) {
    // `oxydra run … | head -1`: whoever read has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(EXIT.interrupted);
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError("internal", `the answer cannot be written: ${reason}`, { cause: error });
  }
}

Deno.exit(await main());
