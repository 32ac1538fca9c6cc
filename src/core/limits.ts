/**
 * Every bound of the system, by name, with its unit last. No imports, so that a process without packages can read it.
 * A test at each limit lives beside the part that obeys it.
 */
export const LIMITS = {
  /** One user message, in UTF-16 code units. */
  promptCharsMax: 400_000,
  /** Arguments of one tool call as JSON text. What a model writes beyond this is dropped while it streams. */
  argsBytesMax: 1_048_576,
  /** Tool calls in one model reply; the rest is answered with `tool_calls_too_many`. */
  toolCallsPerStepMax: 64,
  /** Read-only calls of one batch that run at the same time. */
  parallelReadsMax: 8,
  /** Text of a tool result that the model sees (SPEC §3). */
  toolResultBytesMax: 16_384,
  /** Full output of a tool, kept as a blob. */
  toolOutputBytesMax: 1_048_576,
  /** One frame between our own processes. */
  frameBytesMax: 4_194_304,
  /** One chunk of bytes inside a kind-1 frame. */
  chunkBytesMax: 262_144,
  /** Chunks a sender may have unacknowledged per call. */
  chunkCredit: 4,
  /** Calls of one guest that the broker runs or queues at once. */
  brokerCallsMax: 64,
  /** Host calls of one tool call. */
  hostCallsMax: 10_000,
  /** A file that file_read or file_edit opens whole. */
  fileBytesMax: 8_388_608,
  /** Bytes below one writable root before a write is refused. */
  rootBytesMax: 1_073_741_824,
  /** Old content kept after an overwrite or delete, per user; the oldest goes first. */
  keptBytesMax: 67_108_864,
  /** Virtual path, in UTF-8 bytes. */
  pathBytesMax: 1_024,
  /** Entries of one directory listing. */
  listEntriesMax: 10_000,
  /** Files visited by one search. */
  searchFilesMax: 100_000,
  /** Bytes read by one search. */
  searchBytesMax: 268_435_456,
  /** File content handed to a component in one host answer. */
  scanBatchBytesMax: 1_048_576,
  /** Tool children per package. */
  childrenPerPackageMax: 4,
  /** Calls of one tool child before it is replaced. */
  childCallsMax: 200,
  /** Resident memory of one tool child before it is replaced. */
  childBytesMax: 419_430_400,
  /** Linear memory of one component instance, in 64 KiB pages. */
  componentPagesMax: 1_024,
  /** An idle tool child beyond the first goes after this. */
  childIdleMs: 15_000,
  /** From the deadline of a call to SIGKILL of its child. */
  killGraceMs: 250,
  /** Blob threshold: a longer tool result is stored beside the log. */
  inlineResultBytesMax: 16_384,
  /** One WebSocket frame of a client: 40 MB of attachments as base64, and the prompt. */
  wsFrameBytesMax: 58_720_256,
  /** Clients of one gateway. */
  clientsMax: 256,
  /** Bytes queued for one slow client before deltas are dropped. */
  clientQueueBytesMax: 1_048_576,
  /** Bytes queued for one slow client before it is disconnected; it reads the log when it comes back. */
  clientQueueHardBytesMax: 16_777_216,
  /** From connect to `hello`. */
  helloTimeoutMs: 10_000,
  /** Turns of one user waiting for their lane. */
  queuedTurnsMax: 32,
  /** Text of one model reply, in UTF-16 code units. */
  replyCharsMax: 4_000_000,
  /** A provider's error body that is read. */
  providerErrorBytesMax: 65_536,
  /** Silence of a provider's stream before it counts as lost. */
  providerIdleMs: 60_000,
  /** A heartbeat of a running tool is shown this often. */
  heartbeatMs: 5_000,
  /** Config file. */
  configBytesMax: 1_048_576,
  /** Bootstrap envelope on the guest's stdin. */
  bootstrapBytesMax: 4_194_304,
  /** The guest must listen within this. */
  guestStartMs: 20_000,
  /** After stdin closes, a guest has this long to end its turns. */
  guestStopMs: 3_000,
} as const;

/** Name of one limit. */
export type LimitName = keyof typeof LIMITS;
