import { toOneLine } from "#/lib/printable.ts";
import { toTable } from "#/cli/columns.ts";
import type { ShownSession } from "#/cli/sessions_api.ts";

const TEXT_CHARS = 24;
const ID_CHARS_MIN = 8;
const ID_CHARS_MAX = 18;

/** A table of at most 60 columns; its ids are as short as tells them apart, and every command takes them so. Pure; `now` in ms UTC. */
export function toSessionTable(sessions: readonly ShownSession[], now: number): string[] {
  const ids = sessions.map(({ id }) => id);
  const rows = sessions.map((session) => [
    toOneLine(toShortId(session.id, ids), ID_CHARS_MAX),
    toOneLine(toTitle(session), TEXT_CHARS),
    String(session.turns),
    session.active_turn === null ? toAge(now - Date.parse(session.last_active_at)) : "now",
  ]);
  return toTable([["id", "session", "turns", "active"], ...rows], [2]);
}

/** All about one session, a line each. Pure; `now` in ms UTC. */
export function toSessionLines(session: ShownSession, now: number): string[] {
  const age = (time: string) => `${time.slice(0, 16).replace("T", " ")} UTC, ${toAge(now - Date.parse(time))} ago`;
  const rows: [label: string, value: string | null][] = [
    ["id", session.id],
    ["name", session.name],
    ["agent", session.agent],
    ["from", session.channel],
    ["branch of", session.parent],
    ["created", age(session.created_at)],
    ["active", session.active_turn === null ? age(session.last_active_at) : `now, in turn ${session.active_turn}`],
    ["turns", `${session.turns}, ${session.events} events`],
    ["last", session.last_text],
    ["archived", session.archived ? "yes" : null],
  ];
  return rows.flatMap(([label, value]) => value === null ? [] : [`${label.padEnd(10)}${toOneLine(value, 200)}`]);
}

/** As much of an id as no other one of the list begins with, at least `charsMin` characters. Pure. */
export function toShortId(id: string, all: readonly string[], charsMin: number = ID_CHARS_MIN): string {
  let size = charsMin;
  while (size < id.length && all.some((other) => other !== id && other.startsWith(id.slice(0, size)))) size++;
  return id.slice(0, size);
}

function toTitle({ name, last_text: text, archived }: ShownSession): string {
  const title = name ?? (text === null ? "(empty)" : `"${text}"`);
  return archived ? `archived: ${title}` : title;
}

/** `3 min`, of a span in ms: one number, the largest unit that gives it. Pure. */
export function toAge(ms: number): string {
  const units: readonly [ms: number, name: string][] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"]];
  const [size, name] = units.find(([size]) => ms >= size) ?? [1_000, "s"];
  return `${Math.max(0, Math.floor(ms / size))} ${name}`;
}
