import { SESSION } from "#/memory/event_sql.ts";

const ROW = "s.id, s.user, s.agent, s.display_name, s.channel, s.parent, s.created_at, s.last_active_at, s.archived";

// The first event of a turn is its message. One with attachments is megabytes of JSON, and not worth its beginning.
const OVERVIEW = `SELECT ${ROW}, s.last_seq,
  (SELECT count(*) FROM turns t WHERE t.session = s.id) AS turns,
  (SELECT iif(octet_length(e.payload) < 65536, substr(e.payload ->> '$.text', 1, ?1), NULL)
    FROM turns t JOIN events e ON e.session = t.session AND e.seq = t.first_seq
    WHERE t.session = s.id AND e.type = 'user_message' ORDER BY t.id DESC LIMIT 1) AS last_text
  FROM sessions s`;

/** Session 2; 1 characters of its last message. */
export const ONE = `${OVERVIEW} WHERE s.id = ?2`;

/** Sessions of user 2; 3 = 1 with archived ones; 4 its channel or NULL; behind 5 last active and 6 id; at most 7; 8 begins its id. */
export const PAGE = `${OVERVIEW}
  WHERE s.user = ?2 AND (?3 = 1 OR s.archived = 0) AND (?4 IS NULL OR s.channel = ?4) AND (s.last_active_at, s.id) < (?5, ?6)
    AND substr(s.id, 1, length(?8)) = ?8
  ORDER BY s.last_active_at DESC, s.id DESC LIMIT ?7`;

/** Session 1: with 2 = 1 its name is 3, and 4 says whether it is archived unless it is NULL. */
export const UPDATE = `
  UPDATE sessions SET display_name = iif(?2 = 1, ?3, display_name), archived = coalesce(?4, archived) WHERE id = ?1`;

/** Sessions of user 1 that were last active before 2 and in which nothing runs or waits. */
export const ARCHIVE_IDLE = `
  UPDATE sessions SET archived = 1 WHERE user = ?1 AND archived = 0 AND last_active_at < ?2
    AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.session = sessions.id AND t.state <> 'ended') RETURNING id`;

/** Sessions of user 1 that were last active before 2. */
export const STALE = `SELECT id FROM sessions WHERE user = ?1 AND last_active_at < ?2`;

/** The one event of session 1, when it was forgotten before and nothing came since. */
export const FORGOTTEN = `
  SELECT payload FROM events WHERE session = ?1 AND type = 'forgotten'
    AND NOT EXISTS (SELECT 1 FROM events WHERE session = ?1 AND type <> 'forgotten')`;

/** How much session 1 holds. */
export const SIZE = `
  SELECT (SELECT count(*) FROM events WHERE session = ?1) AS events, count(*) AS blobs,
    (SELECT coalesce(sum(octet_length(payload)), 0) FROM events WHERE session = ?1) + coalesce(sum(b.bytes), 0) AS bytes
  FROM blobs b
  WHERE b.sha256 IN (SELECT sha256 FROM event_blobs WHERE session = ?1)
    AND NOT EXISTS (SELECT 1 FROM event_blobs o WHERE o.sha256 = b.sha256 AND o.session <> ?1)`;

/** Everything of session 1 goes, in this order. */
export const FORGET: readonly string[] = [
  `DELETE FROM event_blobs WHERE session = ?1`,
  `DELETE FROM turns WHERE session = ?1`,
  `DELETE FROM copies WHERE session = ?1`,
  `DELETE FROM events WHERE session = ?1`,
];

/** Blobs of no event. */
export const SWEEP_BLOBS =
  `DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM event_blobs e WHERE e.sha256 = blobs.sha256)`;

/** Session 1 is archived, without a name, and has one more event. */
export const EMPTY = `UPDATE sessions SET display_name = NULL, archived = 1, last_seq = last_seq + 1 WHERE id = ?1`;

/** Session 1's last event is that it was forgotten at 2, with the payload 3. */
export const INSERT_FORGOTTEN = `
  INSERT INTO events (session, seq, turn, type, v, at, blobs, payload)
  SELECT id, last_seq, 'forgotten', 'forgotten', 1, ?2, 0, ?3 FROM sessions WHERE id = ?1`;

/** Session 1 goes. */
export const DELETE_SESSION = `DELETE FROM sessions WHERE id = ?1`;

/** Whether there is a table 1. */
export const TABLE = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1`;

/** What of session 1 lies at or before 2: how many events, and the last place. */
export const PREFIX = `
  SELECT count(*) AS events, max(seq) AS seq FROM events WHERE session = ?1 AND seq <= ?2 AND type <> 'forgotten'`;

/** Turns of session 1 that had not ended at 2, and their model calls until then. */
export const UNFINISHED = `
  SELECT t.turn, (SELECT count(*) FROM events e WHERE e.session = ?1 AND e.turn = t.turn AND e.type = 'model_request'
      AND e.seq BETWEEN t.first_seq AND min(t.last_seq, ?2)) AS steps
  FROM turns t WHERE t.session = ?1 AND t.first_seq <= ?2 AND NOT EXISTS (
    SELECT 1 FROM events e WHERE e.session = ?1 AND e.turn = t.turn AND e.seq BETWEEN t.first_seq AND min(t.last_seq, ?2)
      AND e.type IN ('turn_done', 'turn_failed', 'turn_cancelled'))
  ORDER BY t.id`;

/**
 * Session 1 of the user of session 2 (3 agent, 4 display name, 5 channel, 6 now), whose last event is 7; nothing when session 2 does not have
 * 8 events up to there any more.
 */
export const INSERT_BRANCH = `
  INSERT INTO sessions (id, user, agent, display_name, channel, parent, created_at, last_active_at, last_seq)
  SELECT ?1, user, ?3, ?4, ?5, ?2, ?6, ?6, ?7 FROM sessions WHERE id = ?2
    AND (SELECT count(*) FROM events WHERE session = ?2 AND seq <= ?7 AND type <> 'forgotten') = ?8`;

/** Session 1, once it is a branch of session 2. */
export const BRANCHED = `${SESSION} AND parent = ?2`;

/** Session 1, once it is user 2's. */
export const PUBLISHED = `${SESSION} AND user = ?2`;

/** Gives a row when session 1 is there with its events up to 2. */
export const FILLED = `SELECT 1 FROM sessions WHERE id = ?1 AND last_seq >= ?2`;

/** Session 1 gets what session 2 has up to 3. */
export const COPY: readonly string[] = [
  `INSERT INTO events (session, seq, turn, type, v, at, blobs, payload)
    SELECT ?1, seq, turn, type, v, at, blobs, payload FROM events WHERE session = ?2 AND seq <= ?3 AND type <> 'forgotten' ORDER BY seq`,
  `INSERT INTO event_blobs (session, seq, ordinal, sha256, mime_type)
    SELECT ?1, seq, ordinal, sha256, mime_type FROM event_blobs WHERE session = ?2 AND seq <= ?3`,
  `INSERT INTO turns (session, turn, state, first_seq, last_seq)
    SELECT ?1, turn, 'ended', first_seq, min(last_seq, ?3) FROM turns WHERE session = ?2 AND first_seq <= ?3 ORDER BY id`,
];

/** Session 1's events up to 2 are copies. */
export const INSERT_COPIES = `INSERT INTO copies (session, last_seq) VALUES (?1, ?2)`;

/** Places and sizes of the events of session 1 from 2 to 3, at most 4. */
export const SIZES = `
  SELECT seq, octet_length(payload) AS bytes FROM events WHERE session = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4`;

/** A session that is being filled (1 id, 2 user, 3 agent, 4 display name, 5 channel, 6 now). */
export const INSERT_STAGED = `
  INSERT INTO sessions (id, user, agent, display_name, channel, parent, created_at, last_active_at, archived)
  VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?6, 1)`;

/** An event of session 1: 2 seq, 3 turn, 4 type, 5 v, 6 at, 7 number of blobs, 8 payload. */
export const INSERT_EVENT = `
  INSERT INTO events (session, seq, turn, type, v, at, blobs, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`;

/** A blob (4, mime type 5) of event 2 of session 1, in place 3. */
export const INSERT_EVENT_BLOB =
  `INSERT INTO event_blobs (session, seq, ordinal, sha256, mime_type) VALUES (?1, ?2, ?3, ?4, ?5)`;

/** Turn 2 of session 1 has event 3 and is over. */
export const TOUCH_TURN = `
  INSERT INTO turns (session, turn, state, first_seq, last_seq) VALUES (?1, ?2, 'ended', ?3, ?3)
  ON CONFLICT (session, turn) DO UPDATE SET last_seq = excluded.last_seq`;

/** Session 1 is still being filled at 2. */
export const TOUCH_SESSION = `UPDATE sessions SET last_active_at = ?2, last_seq = ?3 WHERE id = ?1`;

/** Session 1 is user 2's from 3 on. */
export const PUBLISH = `
  UPDATE sessions SET user = ?2, archived = 0, created_at = ?3, last_active_at = ?3 WHERE id = ?1`;
