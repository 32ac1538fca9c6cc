import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toOneLine, toPrintableJson } from "#/lib/printable.ts";
import type { SessionsAsk } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { SessionsApi, ShownSession } from "#/cli/sessions_api.ts";
import { toAge, toSessionLines, toSessionTable } from "#/cli/sessions_text.ts";
import type { Terminal } from "#/cli/terminal.ts";
import { toCount } from "#/cli/wording.ts";

/** Where the answer goes, and what was brought along. */
export interface SessionsScreen {
  readonly json: boolean;
  out(text: string): void;
  /** For `export`: the file as it is. */
  readonly file: WritableStream<Uint8Array>;
  /** What `file` ends at is a terminal. */
  readonly isTerminal: boolean;
  /** For `import`. */
  readonly input: ReadableStream<Uint8Array>;
  /** Who is asked before something is deleted. */
  readonly terminal: Pick<Terminal, "isTerminal" | "ask">;
  /** Integer ms UTC. */
  now(): number;
}

/** Answers one question about sessions. Returns the exit code. Throws AppError `usage`, `gateway_unreachable`, `protocol`. */
export async function runSessionsAsk(ask: SessionsAsk, api: SessionsApi, screen: SessionsScreen): Promise<number> {
  switch (ask.do) {
    case "list":
      showList(await api.list({ archived: ask.archived }, LIMITS.sessionsListedMax), ask, screen);
      return EXIT.done;
    case "show":
      return show(await api.find(ask.id), screen);
    case "rename":
      return tell(await api.change((await api.find(ask.id)).id, { name: ask.name }), "renamed", screen);
    case "archive":
      return tell(await api.change((await api.find(ask.id)).id, { archived: true }), "archived", screen);
    case "unarchive":
      return tell(await api.change((await api.find(ask.id)).id, { archived: false }), "back from the archive", screen);
    case "branch": {
      const { at, name } = ask;
      const options = { ...(at === undefined ? {} : { at }), ...(name === undefined ? {} : { name }) };
      return tell(await api.branch((await api.find(ask.id)).id, options), "made", screen);
    }
    case "delete":
      return await forget(await api.find(ask.id), { api, screen, isSure: ask.yes });
    case "export": {
      if (screen.isTerminal) throw new AppError("usage", "a session's file is for a file: --output <file>, or a pipe");
      await (await api.export((await api.find(ask.id)).id)).pipeTo(screen.file, { preventClose: true });
      return EXIT.done;
    }
    case "import":
      return tell(await api.import(screen.input), "imported", screen);
  }
}

function showList(
  sessions: readonly ShownSession[],
  { archived }: { readonly archived: boolean },
  { json, out, now }: SessionsScreen,
): void {
  if (json) return out(`${toPrintableJson({ sessions }, 2)}\n`);
  if (sessions.length === 0) {
    return out(archived ? "there is no session yet\n" : "there is no session; --archived shows those in the archive\n");
  }
  for (const line of toSessionTable(sessions, now())) out(`${line}\n`);
}

function show(session: ShownSession, { json, out, now }: SessionsScreen): number {
  if (json) out(`${toPrintableJson(session, 2)}\n`);
  else for (const line of toSessionLines(session, now())) out(`${line}\n`);
  return EXIT.done;
}

function tell(session: ShownSession, what: string, { json, out }: SessionsScreen): number {
  const name = session.name === null ? "" : ` (${toOneLine(session.name, 60)})`;
  out(json ? `${toPrintableJson(session, 2)}\n` : `${what}: ${toOneLine(session.id, 60)}${name}\n`);
  return EXIT.done;
}

async function forget(
  session: ShownSession,
  { api, screen, isSure }: { readonly api: SessionsApi; readonly screen: SessionsScreen; readonly isSure: boolean },
): Promise<number> {
  if (!isSure) {
    const { terminal } = screen;
    if (!terminal.isTerminal) throw new AppError("usage", "nobody is here to ask; --yes deletes without asking");
    const title = toOneLine(session.name ?? session.last_text ?? session.id, 40);
    const age = toAge(screen.now() - Date.parse(session.last_active_at));
    const turns = toCount(session.turns, "turn");
    const answer = await terminal.ask(`Delete "${title}" for good: ${turns}, active ${age} ago? [y/N] `);
    if (!/^y(es)?$/i.test(answer ?? "")) throw new AppError("cancelled", "nothing was deleted");
  }
  const { events, bytes } = await api.forget(session.id);
  if (screen.json) screen.out(`${toPrintableJson({ id: session.id, events, bytes }, 2)}\n`);
  else screen.out(`deleted: ${toCount(events, "event")}, ${toCount(bytes, "byte")}\n`);
  return EXIT.done;
}
