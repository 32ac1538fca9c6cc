/** Bounds of sessions as a whole and of what is said to a running turn: a part of LIMITS (limits.ts), where everybody reads them. */
export const SESSION_LIMITS = {
  /** Sessions of one page of the HTTP API, and events of one. */
  sessionsPageMax: 200,
  eventsPageMax: 1_000,
  /** What a list shows of a session's last message, in UTF-16 code units. */
  sessionTextCharsMax: 120,
  /** Payloads of the events of one such page, and of what an export reads at once, unless one alone is larger. */
  eventsPageBytesMax: 4_194_304,
  /** A file that is made a session; one line of it; the blobs that one event may bring; and its events. */
  importBytesMax: 1_073_741_824,
  importLineBytesMax: 100_663_296,
  importEventsMax: 200_000,
  /** Imports at the same time. */
  importsMax: 2,
  importBlobBytesMax: 67_108_864,
  /** What an import records at once, unless one event alone is larger. */
  importBatchBytesMax: 8_388_608,
  /** What an import that was cut off left behind goes when nothing was added for this long. */
  importStaleMs: 600_000,
  /** Between two looks for idle sessions. */
  idleSweepMs: 3_600_000,
  /** Pages of 4 KiB that are given back to the system at once after a session was deleted. */
  vacuumPagesMax: 2_048,
  /** What a person says to a running turn, in UTF-16 code units. */
  steeringCharsMax: 65_536,
  /** Messages to one turn that it has not recorded yet. */
  steeringWaitingMax: 16,
  /** Messages to one turn, over all its time. */
  steeringsPerTurnMax: 64,
} as const;
