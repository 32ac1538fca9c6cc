/** Creates a session (1 id, 2 user, 3 agent, 4 display name, 5 channel, 6 parent, 7 now); leaves one that is there alone. */
export const INSERT_SESSION = `
  INSERT INTO sessions (id, user, agent, display_name, channel, parent, created_at, last_active_at)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT (id) DO NOTHING`;

const SESSION_COLUMNS = "id, user, agent, display_name, channel, parent, created_at, last_active_at, archived";

/** One session by 1 id. */
export const SESSION = `SELECT ${SESSION_COLUMNS} FROM sessions WHERE id = ?1`;

/** Sessions of 1 user, 2 = 1 with archived ones, at most 3, the last active first. */
export const SESSIONS = `
  SELECT ${SESSION_COLUMNS} FROM sessions WHERE user = ?1 AND (?2 = 1 OR archived = 0)
  ORDER BY last_active_at DESC, id DESC LIMIT ?3`;

/** Takes 2 numbers for session 1 at time 3; gives `last_seq`, or no row for an unknown session. A clock that goes back changes no activity. */
export const TAKE_SEQS = `
  UPDATE sessions SET last_seq = last_seq + ?2, last_active_at = max(last_active_at, ?3) WHERE id = ?1 RETURNING last_seq`;

/** Notes that turn 2 of session 1 got the last 3 events and is in state 4 now. */
export const UPSERT_TURN = `
  INSERT INTO turns (session, turn, state, first_seq, last_seq)
  SELECT id, ?2, ?4, last_seq - ?3 + 1, last_seq FROM sessions WHERE id = ?1
  ON CONFLICT (session, turn) DO UPDATE SET
    last_seq = excluded.last_seq, state = CASE WHEN state = 'ended' THEN state ELSE excluded.state END`;

/** Writes an event of session 1 that has 2 others behind it: 3 turn, 4 type, 5 v, 6 at, 7 number of blobs, 8 payload. */
export const INSERT_EVENT = `
  INSERT INTO events (session, seq, turn, type, v, at, blobs, payload)
  VALUES (?1, (SELECT last_seq FROM sessions WHERE id = ?1) - ?2, ?3, ?4, ?5, ?6, ?7, ?8)`;

const LAST_EPOCH = `
  SELECT payload ->> '$.epoch' FROM events WHERE session = ?1 AND type = 'summary' ORDER BY payload ->> '$.epoch' DESC LIMIT 1`;

/** As INSERT_EVENT, for a summary: writes nothing and fails, as for an unknown session, unless 9 is the epoch behind the newest one. */
export const INSERT_SUMMARY = `
  INSERT INTO events (session, seq, turn, type, v, at, blobs, payload)
  VALUES (?1, CASE WHEN ?9 = coalesce((${LAST_EPOCH}), 0) + 1 THEN (SELECT last_seq FROM sessions WHERE id = ?1) - ?2 END,
    ?3, ?4, ?5, ?6, ?7, ?8)`;

/** Keeps content once: 1 sha256, 2 bytes, 3 content. */
export const INSERT_BLOB =
  `INSERT INTO blobs (sha256, bytes, content) VALUES (?1, ?2, ?3) ON CONFLICT (sha256) DO NOTHING`;

/** Notes in a remote store that write 2 of session 1 has taken effect: what a client asks when the answer got lost. The same twice is refused. */
export const INSERT_RECEIPT = `
  INSERT INTO oxydra_receipts (id, last_seq) SELECT ?2, last_seq FROM sessions WHERE id = ?1`;

/** Forgets all but the newest 1 receipts. */
export const DROP_RECEIPTS = `DELETE FROM oxydra_receipts WHERE n <= (SELECT max(n) FROM oxydra_receipts) - ?1`;

/** What write 1 answered, or no row. */
export const RECEIPT = `SELECT last_seq FROM oxydra_receipts WHERE id = ?1`;

/** Ties blob 4 (5 mime type) to an event of session 1 with 2 others behind it, in place 3. */
export const INSERT_EVENT_BLOB = `
  INSERT INTO event_blobs (session, seq, ordinal, sha256, mime_type)
  VALUES (?1, (SELECT last_seq FROM sessions WHERE id = ?1) - ?2, ?3, ?4, ?5)`;

// sqld's parser knows no ORDER BY inside an aggregate (libsql, vendored/sqlite3-parser/src/parser/parse.y). The blob references come with their event in one round trip, and cost nothing for an event that has none.
const EVENT_COLUMNS = `e.session, e.seq, e.turn, e.type, e.v, e.at, e.blobs, e.payload,
  CASE WHEN e.blobs > 0 THEN (
    SELECT json_group_array(json(ref)) FROM (
      SELECT json_object('sha256', b.sha256, 'bytes', c.bytes, 'mimeType', b.mime_type) AS ref
      FROM event_blobs b CROSS JOIN blobs c ON c.sha256 = b.sha256
      WHERE b.session = e.session AND b.seq = e.seq ORDER BY b.ordinal
    )
  ) END AS refs`;

/** Takes session 1 for owner 2 and 3 seconds, or extends it; gives a row when it is the owner's then. An earlier start of the same node is dead. */
export const CLAIM = `
  INSERT INTO leases (session, owner, expires_at) VALUES (?1, ?2, unixepoch('subsec') + ?3)
  ON CONFLICT (session) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
  WHERE owner = excluded.owner OR expires_at <= unixepoch('subsec')
    OR substr(owner, 1, instr(owner, ':')) = substr(excluded.owner, 1, instr(excluded.owner, ':'))
  RETURNING owner`;

/** Extends session 1 for owner 2 by 3 seconds from now, also when it ran out; gives a row when it is the owner's. */
export const RENEW = `
  UPDATE leases SET expires_at = unixepoch('subsec') + ?3 WHERE session = ?1 AND owner = ?2 RETURNING owner`;

/** Breaks a constraint, and with it the transaction, unless session 1 is owner 2's. */
export const FENCE = `
  INSERT INTO leases (session, owner, expires_at)
  VALUES (?1, (SELECT owner FROM leases WHERE session = ?1 AND owner = ?2), 0) ON CONFLICT (session) DO NOTHING`;

/** Gives session 1 back when it is owner 2's. */
export const RELEASE = `DELETE FROM leases WHERE session = ?1 AND owner = ?2`;

/** Gives a row when session 1 is owner 2's. */
export const HOLDS = `SELECT 1 FROM leases WHERE session = ?1 AND owner = ?2`;

/** Events of session 1 from seq 2 on, at most 3, of the kinds 4 (JSON list of `type:v`). */
export const EVENTS = `
  SELECT ${EVENT_COLUMNS} FROM events e
  WHERE e.session = ?1 AND e.seq >= ?2 AND e.type || ':' || e.v IN (SELECT value FROM json_each(?4))
  ORDER BY e.seq LIMIT ?3`;

/** Events of session 1 before seq 2, at most 3, of the kinds 4 (JSON list of `type:v`), the newest first. */
export const EVENTS_BACK = `
  SELECT ${EVENT_COLUMNS} FROM events e
  WHERE e.session = ?1 AND e.seq < ?2 AND e.type || ':' || e.v IN (SELECT value FROM json_each(?4))
  ORDER BY e.seq DESC LIMIT ?3`;

/** The summary of session 1 that has the highest epoch. */
export const LAST_SUMMARY = `
  SELECT ${EVENT_COLUMNS} FROM events e WHERE e.session = ?1 AND e.type = 'summary' ORDER BY e.payload ->> '$.epoch' DESC LIMIT 1`;

/** Events of turn 2 of session 1, of the kinds 3 (JSON list of `type:v`). */
export const TURN_EVENTS = `
  SELECT ${EVENT_COLUMNS} FROM turns t JOIN events e ON e.session = t.session AND e.seq BETWEEN t.first_seq AND t.last_seq
  WHERE t.session = ?1 AND t.turn = ?2 AND e.turn = t.turn AND e.type || ':' || e.v IN (SELECT value FROM json_each(?3))
  ORDER BY e.seq`;

/** Turns that neither ended nor wait for an answer, the first begun first. */
export const OPEN_TURNS = `SELECT session, turn FROM turns WHERE state = 'open' ORDER BY id`;

/** Open turns that no gateway has a lease for, at most 1, the first begun first. */
export const LEFT_TURNS = `
  SELECT session, turn FROM turns t WHERE state = 'open'
    AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.session = t.session AND l.expires_at > unixepoch('subsec'))
  ORDER BY id LIMIT ?1`;

/** Turns that wait for an answer, the first begun first. */
export const PARKED_TURNS = `SELECT session, turn FROM turns WHERE state = 'parked' ORDER BY id`;

/** Content of blob 1. */
export const BLOB = `SELECT content FROM blobs WHERE sha256 = ?1`;
