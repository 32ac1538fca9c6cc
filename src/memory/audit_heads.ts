import { LIMITS } from "#/core/limits.ts";
import type { SqlDriver, SqlRow } from "#/memory/sql.ts";

/** By the end of each turn, so that no other event is read. What names no head is passed over: the file is a guest's. */
const HEADS = `
  SELECT seq, sha256, turn FROM (
    SELECT max(t.id) AS id, t.turn AS turn,
      e.payload -> '$.auditHead' ->> 'seq' AS seq, e.payload -> '$.auditHead' ->> 'sha256' AS sha256
    FROM turns t JOIN events e ON e.session = t.session AND e.seq = t.last_seq
    WHERE e.type = 'turn_done' AND json_valid(e.payload) GROUP BY 3, 4
  )
  WHERE typeof(seq) = 'integer' AND seq > 0 AND typeof(sha256) = 'text' AND length(sha256) = 64
  ORDER BY id DESC LIMIT ?1`;

/**
 * Heads of the audit log that turns ended with (`seq`, `sha256`, `turn`), each once, the newest first, at most `headsMax`. A guest's file
 * may be made to take any time and memory: both are for the caller to bound. Throws AppError `store_corrupt` or `store_failed`.
 */
export async function readAuditHeads(
  driver: SqlDriver,
  headsMax: number = LIMITS.auditHeadsMax,
): Promise<readonly SqlRow[]> {
  return await driver.all({ sql: HEADS, values: [headsMax] });
}
