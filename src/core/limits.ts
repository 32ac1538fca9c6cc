/**
 * Every bound of the system, by name, with its unit last. No package, so that a process without packages can read it.
 * A test at each limit lives beside the part that obeys it.
 */
export const LIMITS = {
  /** One user message, in UTF-16 code units. */
  promptCharsMax: 400_000,
  /** Arguments of one tool call as JSON text. What a model writes beyond this is dropped while it streams. */
  argsBytesMax: 1_048_576,
  /** Nesting of the arguments of one tool call: what is deeper overflows the stack of whoever walks it. */
  argsDepthMax: 64,
  /** Tool calls in one model reply; the rest is answered with `tool_calls_too_many`. */
  toolCallsPerStepMax: 64,
  /** Tool calls of one turn that reach the runner. */
  turnToolCallsMax: 1_000,
  /** Tokens in and out of one turn, over all its model calls. */
  turnTokensMax: 20_000_000,
  /** Tokens that one count of a vendor may say of one call; more is taken for this. */
  callTokensMax: 100_000_000,
  /** A text is cut into these before it is tokenized, in UTF-16 code units. */
  tokenBlockCharsMax: 16_384,
  /** What a vocabulary does not cut, e.g. 1 MB of one letter, is cut into these: merging is quadratic in it. */
  tokenPieceBytesMax: 128,
  /** Sessions whose messages keep their counts; then the one that was silent for longest goes. */
  countedSessionsMax: 64,
  /** Messages of all these sessions together, about 150 bytes each. */
  countedMessagesMax: 40_000,
  /** A summary as the model writes it, in tokens; a tenth of the window where that is less. */
  summaryTokensMax: 4_000,
  /** Ids, paths, numbers and commitments that are looked for in one summary; the least important ones are then left to the log. */
  summaryItemsMax: 4_000,
  /** Of one message, read for them, in UTF-16 code units. */
  summaryScanCharsMax: 200_000,
  /** Of these, named to a model that left them out. */
  summaryNamedMax: 80,
  /** A line that is kept beside a summary word for word, in UTF-16 code units. */
  summaryLineCharsMax: 280,
  /** A tool's result as the model that summarises is shown it, in UTF-16 code units: its beginning and its end. */
  summaryResultCharsMax: 2_000,
  /** Any other message, likewise. */
  summaryMessageCharsMax: 8_000,
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
  /** A call waits for a tool child at most this long. */
  brokerWaitMs: 60_000,
  /** Outcomes that a runner keeps for a guest that asks again, and their bytes together; the oldest go first. */
  callsRememberedMax: 256,
  callsRememberedBytesMax: 16_777_216,
  /** What is read of the audit log to find what became of one call. */
  auditLookBytesMax: 67_108_864,
  /** A runner that stops waits so long for calls whose guest is gone. */
  callDrainMs: 1_000,
  /** Requests that one end of a link may have open; more of them ends the link. */
  linkRequestsMax: 256,
  /** An id or a tool name in a frame between our own processes, in UTF-16 code units. */
  idCharsMax: 256,
  /** A notice outside any call, from a guest to its runner. */
  noticeBytesMax: 16_384,
  /** Host calls of one tool call. */
  hostCallsMax: 10_000,
  /** A file that file_read or file_edit opens whole. */
  fileBytesMax: 8_388_608,
  /** Bytes below one writable root before a write is refused. */
  rootBytesMax: 1_073_741_824,
  /** Old content kept after an overwrite or delete, per user; the oldest goes first. */
  keptBytesMax: 67_108_864,
  /** Value of one secret, in UTF-16 code units. */
  secretCharsMax: 16_384,
  /** Old contents kept, per user; the oldest goes first. */
  keptEntriesMax: 10_000,
  /** A URL that a tool asks for, in UTF-16 code units. */
  urlCharsMax: 8_192,
  /** Headers of a request that a tool makes. */
  requestHeadersMax: 32,
  /** Body of a request that a tool makes. */
  requestBytesMax: 1_048_576,
  /** Body of an answer from the web, inflated, that a tool is given. */
  responseBytesMax: 5_242_880,
  /** One request of a tool, a redirect's counted anew. */
  webTimeoutMs: 25_000,
  /** Redirects that one request follows. */
  redirectsMax: 5,
  /** Silence after an approval was asked for; then it is a no. */
  approvalWaitMs: 900_000,
  /** Until a no by silence that could not be written down is tried again. */
  approvalRetryMs: 5_000,
  /** Approvals of one user that wait for an answer; a further call is denied. */
  approvalsPendingMax: 64,
  /** Answers that stand for longer than one call, per user; the oldest goes first, and is asked for again. */
  approvalsKeptMax: 1_000,
  /** Sessions that are remembered as having seen something private, per user; beyond it every session counts as one. */
  privateSessionsMax: 10_000,
  /** Connections to one runner's control socket. */
  controlClientsMax: 32,
  /** One request at a control socket. */
  controlBytesMax: 65_536,
  /** A runner that lives answers at its control socket within this. */
  controlWaitMs: 5_000,
  /** Lines of the logs that one answer has, and without a word about it. */
  logTailMax: 1_000,
  logTailDefault: 200,
  /** Lines of one answer at the control socket, as JSON: clients of the reference take frames of 128 KiB. */
  logAnswerBytesMax: 122_880,
  /** Lines of one `oxydra logs`, as JSON. */
  logShownBytesMax: 16_777_216,
  /** One line of a log as it is read, in bytes; what follows is dropped. */
  logLineBytesMax: 32_768,
  /** Between two looks of `oxydra logs -f`, and what it reads of one file at one look. */
  logPollMs: 300,
  logLookBytesMax: 4_194_304,
  /** The longest that a stop may be asked to wait for turns that run. */
  stopDrainMsMax: 3_600_000,
  /** After its turns had their time, a runner that stops is gone within this. */
  stopEndMs: 10_000,
  /** Between two looks at a runner that stops or comes up. */
  daemonPollMs: 50,
  /** What is started in the background listens within this. */
  daemonStartMs: 60_000,
  /** What a process in the background may have written of its own before its next start turns the page. */
  daemonLogBytesMax: 1_048_576,
  /** What a runner remembers of approvals, as one file. */
  approvalsBytesMax: 4_194_304,
  /** What a standing answer says of its call, in UTF-16 code units; all of them fit in `approvalsBytesMax`. */
  approvalTextCharsMax: 400,
  /** One process that tries its own walls, from its start to its end. */
  selfCheckMs: 10_000,
  /** What it may print. */
  selfCheckBytesMax: 65_536,
  /** One of the addresses that an egress process has to refuse. */
  selfCheckAddressMs: 2_000,
  /** Random bytes that a component gets at once. */
  randomBytesMax: 1_024,
  /** Text of one search query, in UTF-16 code units. */
  queryCharsMax: 1_000,
  /** Answer of a search service, inflated. */
  searchAnswerBytesMax: 1_048_576,
  /** Text of a page that one call can ask for, in UTF-16 code units. */
  pageCharsMax: 1_000_000,
  /** Rules of a person's policy. */
  policyRulesMax: 256,
  /** Virtual path, in UTF-8 bytes. */
  pathBytesMax: 1_024,
  /** Entries of one directory listing. */
  listEntriesMax: 10_000,
  /** Files visited by one search. */
  searchFilesMax: 100_000,
  /** Bytes read by one search. */
  searchBytesMax: 268_435_456,
  /** Folders below one another that a walk enters. */
  treeDepthMax: 64,
  /** Names of one folder that are read. */
  folderEntriesMax: 100_000,
  /** Alternatives that the braces of one glob may unfold to. */
  globAlternativesMax: 64,
  /** The broker works at most this long on files before it lets other calls run. */
  sliceMs: 8,
  /** File content handed to a component in one host answer. */
  scanBatchBytesMax: 1_048_576,
  /** One question to the process that parses shell commands, its start included; then it is killed and the command refused. */
  shellRulesMs: 5_000,
  /** Commands that wait for it; one more is refused. */
  shellRulesWaitingMax: 64,
  /** Programs and functions that one command may name. */
  shellRulesNamesMax: 512,
  /** One of these names, in UTF-16 code units. */
  shellRulesWordCharsMax: 256,
  /** Scripts and commands inside of one another that are followed: `sh -c "env sh -c …"`. */
  shellRulesDepthMax: 16,
  /** Tool children per package. */
  childrenPerPackageMax: 4,
  /** Calls of one tool child before it is replaced. */
  childCallsMax: 200,
  /** Resident memory of one tool child before it is replaced. */
  childBytesMax: 419_430_400,
  /** Between two looks at the memory of a tool child. It may grow beyond its bound for this long. */
  childWatchMs: 200,
  /** Linear memory of one component instance, in 64 KiB pages. */
  componentPagesMax: 1_024,
  /** JavaScript heap of one tool child; a component's memory is not in it. */
  childHeapMbMax: 256,
  /** From the start of a tool child until its component is loaded. */
  childStartMs: 10_000,
  /** What one tool child may write to stderr before it is killed. */
  childStderrBytesMax: 1_048_576,
  /** One file of a component package, unpacked. */
  componentFileBytesMax: 16_777_216,
  /** Files of one component package. */
  componentFilesMax: 64,
  /** Entries that the tables of one core module start with. */
  componentTableEntriesMax: 65_536,
  /** Data segments of one core module, and element segments. */
  componentSegmentsMax: 16_384,
  /** A component as a package brings it. */
  componentBytesMax: 16_777_216,
  /** JavaScript that the transpiler makes of one component. */
  componentGlueBytesMax: 2_097_152,
  /** Core instances that one component is made of. */
  componentInstancesMax: 64,
  /** Everything that the transpiler makes of one component. */
  componentMadeBytesMax: 33_554_432,
  /** Manifest of a package; those of all packages of one user, as a guest is told of their tools. */
  manifestBytesMax: 262_144,
  manifestsBytesMax: 1_048_576,
  /** Tools of one package. */
  packageToolsMax: 32,
  /** Installed packages of one user. */
  packagesMax: 32,
  /** Inspection of a component, from the start of its process. */
  installMs: 30_000,
  /** Linear memory of the transpiler that inspects a component, in 64 KiB pages. */
  installPagesMax: 8_192,
  /** From the start of a tool child until a new component has described itself. */
  describeMs: 5_000,
  /** What a component says of itself, in UTF-16 code units. */
  describeCharsMax: 16_384,
  /** An idle tool child goes after this; the next turn starts one while its model thinks. */
  childIdleMs: 30_000,
  /** From the deadline of a call to SIGKILL of its child. */
  killGraceMs: 250,
  /** One WebSocket frame of a client: 40 MB of attachments as base64, and the prompt. */
  wsFrameBytesMax: 58_720_256,
  /** Clients of one gateway. 500 that all stream need half of one core (bench/clients.ts); what is between is for who only watches. */
  clientsMax: 1_024,
  /** Bytes queued for one slow client before deltas are dropped. */
  clientQueueBytesMax: 1_048_576,
  /** Bytes queued for one slow client before it is disconnected; it reads the log when it comes back. Twice the media of one reply. */
  clientQueueHardBytesMax: 33_554_432,
  /** From connect to `hello`. */
  helloTimeoutMs: 10_000,
  /** Frames of one client that wait to be obeyed, in UTF-16 code units; more of them ends the connection. */
  clientInboxCharsMax: 117_440_512,
  /** A client that answers no ping is let go after this. */
  wsIdleSecs: 120,
  /** Events that one reader over HTTP has not taken yet; half of them may be live. What is recorded beyond that, it reads from the log. */
  toldEventsMax: 4_096,
  /** Events of one page of the log, as a feed reads it; feeds of one gateway that are open at once. */
  feedPageEventsMax: 500,
  feedsMax: 256,
  /** A stream over HTTP that has nothing to say sends a comment after this; the head of an answer goes out by then. */
  sseHeartbeatMs: 15_000,
  /** A reader of a stream over HTTP that takes nothing for this long is let go. */
  sseStallMs: 120_000,
  /** The body of a request must be there within this; a message that is taken over HTTP is refused, if at all, within that. */
  bodyReadMs: 30_000,
  acceptMs: 1_000,
  /** Messages of one request that a program sends as its conversation. */
  apiMessagesMax: 2_048,
  /** What a program may say of its task in one request, and a JSON schema that it wants a reply to have, in UTF-16 code units. */
  apiInstructionsCharsMax: 100_000,
  apiSchemaCharsMax: 65_536,
  /** Conversations of programs that send everything each time, by which their session is found again; the oldest go first. */
  apiConversationsMax: 1_024,
  /** Sessions of one token that are looked into for their conversations after a start, the newest. */
  apiSessionsReadMax: 64,
  /** Names of what was ignored that one answer lists. */
  apiIgnoredNamesMax: 32,
  /** When the gateway closes, clients have this long to take their last frames. */
  wsFlushMs: 250,
  /** Recorded events that a client which resumes is sent before the next ones are read. */
  resumePageEventsMax: 64,
  /** A client that resumes has read less than this much when it is sent more, and is looked at again after the other. */
  resumeQueueBytesMax: 262_144,
  resumePollMs: 5,
  /** Sessions whose cost so far is remembered between two turns. */
  meteredSessionsMax: 64,
  /** A token as a client presents it. */
  tokenCharsMax: 256,
  /** Tokens of one user's gateway; all of them fit in a notice of `noticeBytesMax`. */
  tokensMax: 64,
  /** Connections of one token that is no owner's. */
  connectionsPerTokenMax: 32,
  /** Frames and HTTP requests of one token a second, and at once after a pause: of an owner's, and of any other. */
  ownerAsksPerSecMax: 2_000,
  ownerAsksBurstMax: 10_000,
  tokenAsksPerSecMax: 50,
  tokenAsksBurstMax: 200,
  /** Requests of one address a second, and at once, that no token opened; then it is told to wait. */
  failedAsksPerSecMax: 2,
  failedAsksBurstMax: 60,
  /** Addresses and tokens whose rate is remembered; the one that asked longest ago is forgotten first. */
  ratedMax: 1_024,
  /** An expired token's connections are looked for at least this often. */
  tokenCheckMs: 60_000,
  /** Frames that a client of ours keeps while it reads none; the oldest go first. */
  clientFramesMax: 1_024,
  /** A line of a reply that has not ended, in UTF-16 code units, before the terminal takes it as if it had. */
  tuiTailCharsMax: 4_000,
  /** Of a message that is being written, as much as this around the cursor is laid out, in UTF-16 code units. */
  tuiDraftCharsMax: 20_000,
  /** Earlier messages that Up brings back, and all of them together in UTF-16 code units. */
  tuiHistoryMax: 200,
  tuiHistoryCharsMax: 2_000_000,
  /** Messages that a terminal has sent and that have not ended; the next one stays where it is written. */
  tuiSentMax: 20,
  /** Tool calls that are shown at work at the same time. */
  tuiToolsMax: 6,
  /** Rows of the output of each of them. */
  tuiOutputRowsMax: 5,
  /** Rows of a message that are shown while it is written. */
  tuiDraftRowsMax: 8,
  /** An escape sequence of a key, in UTF-16 code units. */
  keySequenceCharsMax: 32,
  /** After the start of an escape sequence the rest comes within this, or it was the Escape key. */
  escapeKeyMs: 40,
  /** Between two frames of the terminal, so that a fast reply costs no more than a slow one. */
  tuiFrameMs: 40,
  /** Between two looks at the cards that wait, while some do. */
  tuiCardsPollMs: 2_000,
  /** The second Ctrl-C leaves when it comes within this. */
  tuiLeaveMs: 2_000,
  /** First and longest wait before a lost gateway is tried again; each is doubled, and up to half of it is left to chance. */
  reconnectFirstMs: 250,
  reconnectLongestMs: 15_000,
  /** Tries in a row that find neither gateway nor runner, before a terminal client ends. */
  reconnectOverTriesMax: 4,
  /** Times that a line client connects again for one turn without hearing of it. */
  reconnectsInVainMax: 16,
  /** Name of a session or of its agent, in UTF-16 code units. */
  sessionNameCharsMax: 200,
  /** Sessions whose last outcome is kept for a client that comes back. */
  outcomesKeptMax: 32,
  /** Attachments of one turn. */
  attachmentsPerTurnMax: 4,
  /** One attachment, decoded; the 40 MB of one turn follow from both (SPEC §7). */
  attachmentBytesMax: 10_485_760,
  /** What an error frame quotes of a client's own words, in UTF-16 code units. */
  quotedCharsMax: 80,
  /**
   * A turn reads its history backwards, until it reaches what the last summary stands for or has more than a window could hold, and at most
   * this many events of the kinds that make a history.
   */
  historyEventsMax: 10_000,
  /** Likewise, in UTF-16 code units of what they say. */
  historyCharsMax: 16_000_000,
  /** Events of one read of it. */
  historyPageEventsMax: 250,
  /** Turns of one user waiting for their lane. */
  queuedTurnsMax: 32,
  /** Text of one model reply, in UTF-16 code units. */
  replyCharsMax: 4_000_000,
  /** A provider's error body that is read. */
  providerErrorBytesMax: 65_536,
  /** Silence of a provider's stream before it counts as lost. */
  providerIdleMs: 60_000,
  /** After the finish reason, usage and the end of the stream are waited for this long. */
  providerTailMs: 2_000,
  /** Reading of a provider's error body. */
  providerErrorBodyMs: 2_000,
  /** Bytes of a stream that hold no complete event. */
  providerEventBytesMax: 33_554_432,
  /** Tool calls that one reply may begin; more of them ends the call. */
  replyToolCallsMax: 256,
  /** Arguments of all tool calls of one reply, in UTF-16 code units; what comes beyond is dropped. */
  replyArgsCharsMax: 16_777_216,
  /** What a vendor wants back with a reply, as JSON, in UTF-16 code units; more is not kept, and that reply is then sent back without. */
  replayBytesMax: 1_048_576,
  /** Tokens of one reply, for a vendor that wants a number when nobody has set one. */
  unstatedOutputTokensMax: 8_192,
  /** A vendor that refuses to go on from its own reply so many times in a row keeps none: whole conversations are sent from then on. */
  chainRefusalsMax: 2,
  /** Pictures and sounds of one reply. */
  replyMediaMax: 8,
  /** All of them, decoded: as base64 they fit in a WebSocket frame of 16 MiB, the largest that clients of the reference take. */
  replyMediaBytesMax: 12_000_000,
  /** A vendor that asks for a longer wait (Retry-After) is not waited for. */
  retryAfterMsMax: 30_000,
  /** Entries of `selection.fallback`. */
  fallbacksMax: 8,
  /** Attempts of one entry that may fail in a row before others are asked first. */
  circuitFailuresMax: 3,
  /** An entry is asked again after this at the latest, whatever its vendor said in Retry-After. */
  circuitOpenMsMax: 3_600_000,
  /** A local model server must answer within this to be mentioned. */
  probeMs: 150,
  /** Answer of a local model server that is read. */
  probeBytesMax: 262_144,
  /** Models of a local server that are looked at. */
  probeModelsMax: 100,
  /** A vendor's list of its models; some resell hundreds. */
  modelListBytesMax: 8_388_608,
  /** Asking a vendor for its models, and for one small reply. */
  modelProbeMs: 60_000,
  /** A model catalog, as a file and as it is fetched, inflated. */
  catalogBytesMax: 16_777_216,
  /** US dollars per million tokens that a catalog may state: costs are recorded, and a sum beyond a number's range is none. */
  priceDollarsMax: 1_000_000,
  /** Fetching a catalog, redirects and all. */
  catalogFetchMs: 60_000,
  /** A heartbeat of a running tool is shown this often. */
  heartbeatMs: 5_000,
  /** One log of a process: the current file and the one before it. */
  logBytesMax: 16_777_216,
  /** Lines that one process may log in a second; the rest is counted. */
  logLinesPerSecMax: 1_000,
  /** One line of a log. */
  logLineCharsMax: 8_192,
  /** Config file. */
  configBytesMax: 1_048_576,
  /** Elements of one list in a config file whose lines are remembered for messages. */
  configListMax: 1_024,
  /** Steps of a key path in a config file; no schema is deeper. */
  configDepthMax: 16,
  /** Lines of one report of config mistakes; the rest is counted. */
  configProblemsMax: 100,
  /** Files that one person trusted; the oldest goes first. */
  trustedFilesMax: 1_000,
  /** Bootstrap envelope on the guest's stdin. */
  bootstrapBytesMax: 4_194_304,
  /** Processes and threads of a guest's container, where `[resources]` does not say. */
  boxProcessesMax: 512,
  /** /tmp of a guest's container; it counts as memory. */
  boxTmpBytesMax: 67_108_864,
  /** Connections that a relay carries at once for one server; a further one is closed. */
  relayConnectionsMax: 64,
  /** A relay must say where it listens within this. */
  relayStartMs: 5_000,
  /** What a relay says of where it listens. */
  relayAnswerBytesMax: 4_096,
  /** Last words of a guest that ended before it listened, as its message quotes them, in UTF-16 code units. */
  lastWordsCharsMax: 500,
  /** The guest must listen within this. */
  guestStartMs: 20_000,
  /** Guests that may end by themselves within `guestCrashWindowMs`; one more, and the runner gives up. */
  guestCrashesMax: 5,
  /** How far back a runner counts them. */
  guestCrashWindowMs: 300_000,
  /** Before the second guest in a row that ended by itself is replaced; doubled for each further one. The first is replaced at once. */
  guestBackoffBaseMs: 200,
  /** Longest wait before a guest is replaced. */
  guestBackoffMaxMs: 5_000,
  /** Before an orderly restart of the guest, running turns and tool calls have this long to reach their end. */
  drainMs: 15_000,
  /** After a restart, clients have this long to come back before nobody counts as connected. */
  clientReturnMs: 5_000,
  /** A client tries this long to reach a gateway that restarts: more than a start and its backoff take. */
  reconnectMs: 60_000,
  /** Config files that look the same twice, this far apart, are read. */
  configSettleMs: 100,
  /** Looks at config files that change all the time, before they are read all the same. */
  configSettleRoundsMax: 50,
  /** Between two looks at config files where the system tells nobody of changes. */
  configPollMs: 2_000,
  /** What `status` and the log quote of an edit that was refused, in UTF-16 code units. */
  configNoteCharsMax: 2_000,
  /** Between two looks at a runner that is starting or stopping. */
  attachPollMs: 15,
  /** After our own client left, the others are given this long to leave with it before the person is told of them. */
  stayNoticeMs: 500,
  /** A stopping gateway waits so long for running turns to come to a recorded boundary; what is then left is asked for again by the next start. */
  suspendMs: 2_000,
  /** A turn that was resumed so many times in a row without a new reply or result is given up. */
  resumesMax: 4,
  /** A gateway that works on a session has it for so long, unless it says again that it does; then another one may take over. */
  leaseMs: 30_000,
  /** Turns that other gateways have left and that one takes over at once. */
  leftTurnsMax: 32,
  /** After stdin closes, a guest has this long to end its turns. */
  guestStopMs: 3_000,
  /** Payload of one event as JSON, in UTF-16 code units: 40 MB of attachments as base64, and the prompt. */
  eventCharsMax: 58_720_256,
  /** Events of one append. */
  eventsPerAppendMax: 1_024,
  /** Events of one read. */
  eventsPerReadMax: 100_000,
  /** One blob beside the log. */
  blobBytesMax: 67_108_864,
  /** Session and turn ids in the log, in UTF-16 code units. */
  logIdCharsMax: 256,
  /** Sessions of one listing, the last active first. */
  sessionsListedMax: 10_000,
  /** The event log's file. What would make it larger is refused with `store_failed`; nothing is dropped. */
  eventLogBytesMax: 8_589_934_592,
  /** The write-ahead log is cut back to this after a checkpoint. */
  walBytesMax: 67_108_864,
  /** After an unclean close, the tables of a log file up to this size are checked page by page at the next open. */
  logCheckBytesMax: 268_435_456,
  /** Waiting for a foreign process that writes to the log file; the whole guest stands still meanwhile. */
  storeBusyMs: 1_000,
  /** Writes that wait for the event log; one more is refused. */
  commitsWaitingMax: 4_096,
  /** Writes that one commit of the event log takes together. */
  commitGroupMax: 256,
  /** A commit that took longer lets the next one wait for what came in meanwhile. */
  commitSlowMs: 1,
  /** What they may weigh together, beside the first: UTF-16 code units of text and bytes of blobs. */
  commitGroupBytesMax: 8_388_608,
  /** One request to a remote store, with its answer. */
  remoteStoreMs: 10_000,
  /** Tries of one request to a remote store. */
  remoteAttemptsMax: 4,
  /** From the first failed try to the second; then fourfold each time. */
  remoteRetryMs: 200,
  /** One answer of a remote store: the largest event or blob, as JSON. */
  remoteAnswerBytesMax: 268_435_456,
  /** Writes that a remote store can still be asked about. */
  receiptsKeptMax: 10_000,
  /** One entry of the audit log as a line. What makes a larger one does not run. */
  auditEntryBytesMax: 65_536,
  /** One text in an audit entry, in UTF-16 code units: a path of `pathBytesMax` and what is asked of it. */
  auditFieldCharsMax: 1_280,
  /** What a crash, also one while the log is being mended, may leave behind its last whole entry. */
  auditTornBytesMax: 262_144,
  /** A segment of the audit log; then the next one begins. */
  auditSegmentBytesMax: 67_108_864,
  /** All segments of the audit log; then the oldest goes. */
  auditBytesMax: 1_073_741_824,
  /** A segment with an entry younger than this does not go: rather than that, nothing runs. */
  auditKeepMs: 604_800_000,
  /** Heads of the audit log that events name and `audit verify` compares, the newest. */
  auditHeadsMax: 100_000,
  /** One question to an event log, by a process of its own. */
  logReaderMs: 60_000,
  /** A backup or a restore of an event log, its check included. */
  logCopyMs: 1_800_000,
  /** Memory of SQLite in that process: the file is a guest's. */
  logReaderBytesMax: 268_435_456,
  /** Rows of `usage`: one a day, session and model, the newest. */
  usageRowsMax: 100_000,
  /** Days that `usage` looks back. */
  usageDaysMax: 3_660,
  /** Entries that one `audit show` prints, the newest. */
  auditShownMax: 10_000,
  /** URL of one exchange of the egress process, in UTF-16 code units. */
  egressUrlCharsMax: 8_192,
  /** Headers that a request may bring. */
  egressHeadersMax: 64,
  /** Value of one header of a request, in UTF-16 code units. */
  egressHeaderCharsMax: 8_192,
  /** Body of a request, decoded. */
  egressUpBytesMax: 1_048_576,
  /** Head of an answer, its trailers, and the head of a proxy's answer. */
  egressHeadBytesMax: 65_536,
  /** Body of an answer, after inflating. */
  egressDownBytesMax: 5_242_880,
  /** Interim (1xx) answers before the answer. */
  egressInterimMax: 16,
  /** Exchanges of one egress process at the same time; more of them are refused. */
  egressExchangesMax: 64,
  /** Longest time that a caller may give one exchange. */
  egressTimeoutMsMax: 120_000,
  /** One address must take the connection within this. */
  egressConnectMs: 5_000,
  /** The head of an answer, and then each further piece of its body, must come within this. */
  egressIdleMs: 20_000,
  /** What an answer may cost on the wire beyond twice its body: chunk heads, empty members of an archive, TLS. */
  egressWireSlackBytesMax: 1_048_576,
  /** What an egress process may be late beyond a request's own time, its start included, before it is killed. */
  egressGraceMs: 10_000,
  /** Between two looks at what an exchange has used. */
  egressWatchMs: 50,
  /** Browsers of one user at the same time, one a conversation; the one that was idle for longest makes room. */
  browsersMax: 3,
  /** A browser that nobody used for so long ends, with everything that it remembers. */
  browserIdleMs: 300_000,
  /** Tabs of one browser, popups included; what would be one more is closed. */
  browserTabsMax: 20,
  /** From its start to its first answer. */
  browserStartMs: 20_000,
  /** A page must answer, and then have loaded, within this; then what is there is shown. */
  browserNavigateMs: 20_000,
  /** One command to a browser. A tab that does not answer is closed. */
  browserCommandMs: 8_000,
  /** After a navigation or an action a page may go on changing for so long before it is looked at, */
  browserSettleMs: 1_500,
  /** and is looked at when it did not change for so long. */
  browserQuietMs: 80,
  /** One action as a whole, waiting for its browser included; then the browser is ended. */
  browserActionMs: 75_000,
  /** Actions that wait for one browser; one more is refused. */
  browserWaitingMax: 16,
  /** Elements of a page of which a snapshot is made. */
  browserElementsMax: 20_000,
  /** A snapshot or a list of tabs, in UTF-16 code units, so that the model sees all of it. */
  browserViewCharsMax: 12_000,
  /** A name, a text or a value in a snapshot, in UTF-16 code units. */
  browserNameCharsMax: 200,
  /** Frames of a page that a snapshot enters. */
  browserFramesMax: 20,
  /** Text that one action types, in UTF-16 code units. */
  browserTypeCharsMax: 10_000,
  /** Dialogs of one tab that are answered during one action; then the tab is closed. */
  browserDialogsMax: 8,
  /** What one action tells of dialogs, downloads and popups; the rest is counted. */
  browserNotesMax: 12,
  /** One message of a browser to its driver; one that is larger ends it. */
  browserMessageBytesMax: 33_554_432,
  /** A picture of a page, as PNG. */
  browserPictureBytesMax: 8_388_608,
  /** Hosts that one browser may have asked for; a further one is refused. */
  browserHostsMax: 1_000,
  /** Memory of one browser, all its processes, and what it may keep on disk meanwhile. */
  browserMemoryBytesMax: 2_147_483_648,
  browserDiskBytesMax: 268_435_456,
  /** Processes and threads of one browser. */
  browserProcessesMax: 1_024,
  /** Trying a tier's walls from inside, the start of a container included. */
  walledTrialMs: 30_000,
  /** Ways out for processes behind walls at once, one a process. */
  tunnelsMax: 64,
  /** Connections of one of them, and of all of them; more are answered with 503. */
  tunnelConnectionsMax: 64,
  tunnelConnectionsAllMax: 192,
  /** Head of a request to the proxy of a way out, its lines, and what it may take to come in. */
  tunnelHeadBytesMax: 16_384,
  tunnelHeadersMax: 128,
  tunnelHeadMs: 10_000,
  /** Asking for a connection, resolving its name and connecting, together. */
  tunnelConnectMs: 20_000,
  /** A connection without a byte in either direction, and any connection, ends after this. */
  tunnelIdleMs: 300_000,
  tunnelConnectionMs: 14_400_000,
  /** What one connection carries out and in, and all connections of one way out since its process began. */
  tunnelUpBytesMax: 268_435_456,
  tunnelDownBytesMax: 4_294_967_296,
  tunnelAllUpBytesMax: 1_073_741_824,
  tunnelAllDownBytesMax: 17_179_869_184,
  /** Between two looks at what connections have used. */
  tunnelWatchMs: 1_000,
  /** The process of the ways out must obey within this, its start included, or it is replaced. */
  tunnelObeyMs: 10_000,
  /** Before the process that died is replaced; doubled for each further one that did not live for a minute. */
  tunnelRestartMs: 100,
  tunnelRestartMsMax: 5_000,
  /** Connections that the forwarder behind the walls carries at once. */
  tunnelForwardMax: 128,
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
  /** From the start of a walled process until its walls stand. */
  wallStartMs: 10_000,
  /** Between two looks whether the last of its processes has gone. */
  wallGoneMs: 2,
  /** Between two looks at what walled processes use. */
  tierWatchMs: 1_000,
  /** A folder is measured anew after this, and measuring it takes at most as long. */
  tierMeasureMs: 30_000,
  /** What a folder that was over its bound before a walled process began may grow by. */
  wallOverBytesMax: 1_048_576,
  /** Files below one folder of a walled process. */
  wallEntriesMax: 1_000_000,
  /** Folders below one mount that are looked through for settings to cover, the higher ones first. */
  wallCoverFoldersMax: 2_000,
  /** Folders of settings below one mount. */
  wallCoveredMax: 128,
  /** Memory that one walled process may reserve beyond its bound: Chromium and Deno reserve 1 GB and use a tenth (measured). */
  wallReservedBytesMax: 4_294_967_296,
  /** Files that one walled process may have open. */
  wallOpenFilesMax: 4_096,
  /** Messages to one turn, over all its time. */
  steeringsPerTurnMax: 64,
  /** A command for the shell, in UTF-16 code units: a person reads it on a card. What is longer is a script in a file. */
  shellCommandCharsMax: 8_192,
  /** The same as a card shows it, what is invisible by its name. */
  shellShownCharsMax: 12_288,
  /** Hosts that one command may name. */
  shellHostsMax: 16,
  /** Time that a call may give its command, in seconds. */
  shellTimeoutSecsMax: 3_600,
  /** Of a command's output: how it begins, and how it ends. Both together are what a model sees of a result. */
  shellHeadBytesMax: 6_144,
  shellTailBytesMax: 8_192,
  /** Of what came between two commands, its end. */
  shellBetweenBytesMax: 1_024,
  /** What is read between two commands; whoever writes more waits for the next one. */
  shellUnreadBytesMax: 1_048_576,
  /** How a command's output ends is shown at most this often while it runs, and at most so much of it, in UTF-16 code units. */
  liveOutputMs: 250,
  liveTailCharsMax: 2_048,
  /** A record of the shell's agent: a folder's path and a few numbers. */
  shellRecordBytesMax: 8_192,
  /** Shells of one user; one more takes the place of the one that was idle for longest. */
  shellSessionsMax: 32,
  /** Memory, processes and CPU time (of one process) of one shell, where `[resources]` says nothing. */
  shellMemoryBytesMax: 2_147_483_648,
  shellProcessesMax: 512,
  shellCpuSecsMax: 3_600,
  /** A shell is ended when the disk below it has less left. */
  diskFloorBytes: 268_435_456,
  /** Commands that wait for the one that runs in their session. */
  shellWaitingMax: 4,
  /** A shell that is not used for this long ends, with what runs in it. */
  shellIdleMs: 1_800_000,
  /** Who deletes a session waits at most so long for what runs in it to be gone. */
  sessionEndMs: 2_000,
  /** From the start of a walled process until its shell takes commands. */
  shellStartMs: 10_000,
  /** The first look at a command that runs; each later one comes after twice the time, up to the second. */
  shellLookMs: 50,
  shellLookMsMax: 1_000,
  /** A shell that says nothing to such a look for this long, or to an order to end its command, is ended whole. */
  shellSilentMs: 15_000,
  shellEndMs: 5_000,
  /** A command whose output stands at a question for this long waits for an answer that cannot come. */
  shellPromptMs: 3_000,
  /** A container engine answers within this, or it hangs; starting a container is one answer. */
  engineCallMs: 20_000,
  /** It says within this that it is there. */
  enginePingMs: 2_000,
  /** Threads of the kernel that a micro_vm runs on, beyond its processes. */
  kernelThreadsMax: 256,
  /** It kills a container within this, or it hangs. */
  engineKillMs: 5_000,
  /** Output of a container that has ended waits so long for a reader. */
  engineDrainMs: 60_000,
  /** It builds or imports an image within this. */
  engineBuildMs: 900_000,
  /** One answer of it, and the head of an answer to an upgrade. */
  engineAnswerBytesMax: 4_194_304,
  engineHeadBytesMax: 16_384,
  /** What it says while it builds an image: one line, and all of them. */
  engineLineBytesMax: 1_048_576,
  engineLogBytesMax: 67_108_864,
  /** Output of a container that nobody has read yet, per stream; then the container waits. */
  engineStreamBytesMax: 1_048_576,
} as const;

/** Name of one limit. */
export type LimitName = keyof typeof LIMITS;
