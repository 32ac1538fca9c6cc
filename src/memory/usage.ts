import { LIMITS } from "#/core/limits.ts";
import { TABLE } from "#/memory/session_sql.ts";
import type { SqlDriver, SqlRow } from "#/memory/sql.ts";

/**
 * A request and the result behind it: nothing is recorded between the two. Without one the call runs, or was cut off, and costs what was
 * reserved. `at >= ?1` and the type are those of the index `events_calls`. What is no number counts as none: the file is a guest's.
 */
const USAGE = `
  SELECT q.at / 86400000 AS day, q.session,
    coalesce(r.payload -> '$.answeredBy' ->> 'provider', q.payload ->> 'provider', '') AS provider,
    coalesce(r.payload -> '$.answeredBy' ->> 'model', q.payload ->> 'model', '') AS model,
    count(*) AS calls,
    total(r.payload -> '$.usage' ->> 'promptTokens') AS inputTokens,
    total(r.payload -> '$.usage' ->> 'cachedTokens') AS cachedTokens,
    total(r.payload -> '$.usage' ->> 'completionTokens') AS outputTokens,
    total(iif(r.seq IS NULL, q.payload ->> 'reserved', r.payload ->> 'cost')) AS cost,
    sum(iif(r.seq IS NULL, q.payload ->> 'reserved', r.payload ->> 'cost') IS NULL) AS unpricedCalls,
    sum(coalesce(r.payload ->> 'costIsEstimate' = 1, 0)) AS estimatedCalls,
    sum(r.seq IS NULL) AS openCalls
  FROM events q LEFT JOIN events r
    ON r.session = q.session AND r.seq = q.seq + 1 AND r.type = 'model_result' AND json_valid(r.payload)
  WHERE q.type = 'model_request' AND q.at >= ?1 AND json_valid(q.payload)
  GROUP BY 1, 2, 3, 4 ORDER BY 1 DESC, max(q.id) DESC LIMIT ?2`;

/** What was copied into a session, by a branch or an import, was paid where it was said first. */
const USAGE_OF_OWN = USAGE.replace(
  "GROUP BY",
  "AND NOT EXISTS (SELECT 1 FROM copies c WHERE c.session = q.session AND q.seq <= c.last_seq) GROUP BY",
);

/**
 * Calls of models since `at` (integer ms UTC): one row (`UsageRow` of core/store.ts) a day, session and model, the newest first, at most
 * `rowsMax`. A guest's file may be made to take any time and memory: both are for the caller to bound. Throws AppError `store_corrupt` or
 * `store_failed`.
 */
export async function readUsage(
  driver: SqlDriver,
  at: number,
  rowsMax: number = LIMITS.usageRowsMax,
): Promise<readonly SqlRow[]> {
  // A file that no gateway has opened since an update is read as it is.
  const [copies] = await driver.all({ sql: TABLE, values: ["copies"] });
  return await driver.all({ sql: copies === undefined ? USAGE : USAGE_OF_OWN, values: [at, rowsMax] });
}
