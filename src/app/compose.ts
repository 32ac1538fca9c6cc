import { join } from "#/lib/path.ts";
import type { ApprovalResolution, Sandbox } from "#/core/capability.ts";
import { DAY_MS, toDay } from "#/core/cost.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Provider } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { delay } from "#/lib/delay.ts";
import { Secret } from "#/lib/secret.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { type Bootstrap, type ModelChoice, toProviderOptions } from "#/app/bootstrap.ts";
import { readOrMakeToken } from "#/app/token_file.ts";
import { type Gateway, type Listener, openGateway } from "#/gateway/app.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { openProvider } from "#/provider/registry.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import type { SendDeps } from "#/session/drive.ts";
import type { Sessions } from "#/session/session.ts";
import type { Ledger, PricedModel } from "#/turn/ledger.ts";
import type { TokenCounter } from "#/turn/tokens.ts";

/** What the guest's parts need from the process that they run in. */
export interface ComposeDeps {
  /** Where tool calls go: the runner's broker, over stdio. */
  readonly sandbox: Sandbox;
  readonly fetch: typeof fetch;
  /** Integer ms UTC. */
  now(): number;
  /** The gateway listens at this port of its address. Resolves when the runner was told. */
  onListening(port: number): Promise<void>;
  /** How many clients are connected, after each change. */
  onClients(count: number): void;
  /** How many turns run or wait for their lane, after each change. */
  onTurns(count: number): void;
  /** A turn begins. */
  onTurn(): void;
  /** Called once, with what is to hear of each card that was answered. */
  onResolved(listener: (resolution: ApprovalResolution) => void): void;
  /** Called once, with what is to hear of each change of the tokens that the person made. */
  onTokens?(listener: (tokens: readonly GatewayToken[]) => void): void;
  /** Told of an error that nobody outside may read, with the id that the client was given. */
  report(error: unknown, id: string): void;
}

/** A guest at work. */
export interface Guest {
  readonly port: number;
  /** An attachment of a turn's message. Throws AppError `tool_failed` with what there is instead. */
  readonly attachment: FetchAttachment;
  /** Takes no new turn, and resolves when none runs any more. */
  drain(): Promise<void>;
  /** Suspends what runs, so that the next start goes on with it, tells the clients and closes the log. */
  close(): Promise<void>;
}

const AGENT = "default";

const ROOTS = [
  { path: "/shared", about: "the person's files; read and write here unless told otherwise" },
  { path: "/tmp", about: "scratch space of yours; read and write" },
  { path: "/vault", about: "secrets of the person; not reachable without an approval" },
];

/** Joins the parts of a guest. The only place, with registries, that knows concrete classes. Throws AppError `store_*`, `lock_held`, `config_invalid`. */
export async function openGuest(bootstrap: Bootstrap, deps: ComposeDeps): Promise<Guest> {
  const log = await openLog(bootstrap, deps);
  try {
    const provider = await toProvider(bootstrap, deps);
    const turns = Promise.withResolvers<Turns>();
    turns.promise.catch(() => {});
    const lacking = new Set(["the model is not open yet"]);
    const { listener, resume, drain } = await listen(bootstrap, deps, { log, turns: turns.promise, lacking });
    // What turns are made of is evaluated when the runner knows where the gateway listens, the vendor's package after it: a start waits for neither.
    const opening = deps.onListening(listener.port).then(() => openTurns(bootstrap, deps, log, provider.answering));
    opening.then(turns.resolve, turns.reject);
    void opening.then(() => lacking.clear(), () => {});
    deps.onResolved((resolution) => {
      void opening.then(() => resume(resolution, resolution), () => {});
    });
    // Whether they were answered while nobody was here to hear it, the runner says.
    void opening.then(({ sessions }) => {
      for (const place of sessions.open) resume(place, undefined);
      for (const [session, turn] of sessions.parked) resume({ session, turn }, undefined);
    }, () => {});
    const closing = new AbortController();
    // One that dies later leaves its turns to those that live.
    if (bootstrap.store !== undefined) {
      void opening.then(async ({ sessions }) => {
        const { watchLeft } = await import("#/session/lease.ts");
        await watchLeft(sessions, delay, (place) => resume(place, undefined), closing.signal);
      }, () => {});
    }
    void opening.then(provider.warm).catch((error: unknown) => deps.report(error, bootstrap.model.provider));
    return {
      port: listener.port,
      attachment: (place) => readAttachment(log, place),
      drain,
      async close() {
        closing.abort();
        await listener.close();
        await opening.catch(() => {});
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** In a file, or where `memory.remote_url` says. What speaks to a server is loaded for those who have one. */
async function openLog({ internalDir, store }: Bootstrap, { now, fetch }: ComposeDeps): Promise<EventLog> {
  if (store === undefined) return await openEventLog({ path: join(internalDir, "oxydra.db"), now });
  const { openRemoteEventLog } = await import("#/memory/remote.ts");
  return await openRemoteEventLog({ url: store.url, token: new Secret(store.token), fetch, now });
}

async function readAttachment(
  log: EventLog,
  { session, turn, index }: { readonly session: string; readonly turn: string; readonly index: number },
): Promise<{ mimeType: string; content: Uint8Array }> {
  const events = await log.turn(session, turn);
  const attachments = events.find((event) => event.type === "user_message")?.payload.attachments ?? [];
  const media = attachments[index];
  if (media !== undefined) return { mimeType: media.mimeType, content: Uint8Array.fromBase64(media.data) };
  const there = attachments.length === 0 ? "no attachments" : `attachments 0 to ${attachments.length - 1}`;
  throw new AppError("tool_failed", `There is no attachment ${index}: this message has ${there}`);
}

/** What runs turns. */
interface Turns {
  readonly sessions: Sessions;
  readonly tokens: TokenCounter;
  /** What the next turn runs with. */
  readonly send: () => SendDeps;
}

interface Parts {
  readonly log: EventLog;
  readonly turns: Promise<Turns>;
  /** What a turn would wait for. */
  readonly lacking: ReadonlySet<string>;
}

async function listen(
  bootstrap: Bootstrap,
  deps: ComposeDeps,
  parts: Parts,
): Promise<{ listener: Listener } & Pick<Gateway, "resume" | "drain">> {
  const { settings, model, user } = bootstrap;
  const owners = { start: bootstrap.startToken, file: await readOrMakeToken(bootstrap.internalDir) };
  const own = await Promise.all(
    Object.entries(owners).map(async ([id, token]): Promise<GatewayToken> => {
      return { id, sha256: await sha256Hex(token), scope: "owner" };
    }),
  );
  let tokens = [...own, ...bootstrap.tokens ?? []];
  const gateway = openGateway({
    source: {
      async *send(turn, signal, steering) {
        deps.onTurn();
        const { sessions, send } = await parts.turns;
        yield* sessions.send(turn, { ...send(), steering }, signal);
      },
      async *resume(place, answer, signal, steering) {
        deps.onTurn();
        const { sessions, send } = await parts.turns;
        yield* sessions.resume(place, answer, { ...send(), steering }, signal);
      },
      async endParked({ session, turn }, reason) {
        return await (await parts.turns).sessions.endParked(session, turn, reason);
      },
      async suspend() {
        await parts.turns.then(({ sessions }) => sessions.stop("suspend", "the gateway is stopping"), () => {});
      },
    },
    async exclusive(session, work) {
      const { sessions } = await parts.turns;
      return await sessions.exclusive(user, session, "its session is deleted", work);
    },
    letGo: (session) => void parts.turns.then(({ tokens }) => tokens.drop(session), () => {}),
    derived: (session, from) => deps.sandbox.derived(session, from),
    forget: (session) => deps.sandbox.forget(session),
    answer: (given) => deps.sandbox.answer(given),
    log: parts.log,
    user,
    lacking: () => [...parts.lacking],
    tokens: () => tokens,
    info: { version: bootstrap.version, provider: model.provider, model: model.model, reason: model.reason },
    startupStatus: bootstrap.startupStatus,
    sessionsMax: settings.sessionsMax,
    sessionIdleMs: settings.sessionIdleMs,
    now: deps.now,
    onClients: deps.onClients,
    onTurns: deps.onTurns,
    report: deps.report,
  });
  deps.onTokens?.((issued) => {
    tokens = [...own, ...issued];
    gateway.recheck();
  });
  const { main, also } = bootstrap.listen ?? {};
  try {
    const listener = gateway.listen({ hostname: "127.0.0.1", port: bootstrap.port, ...main }, also);
    return { listener, resume: gateway.resume, drain: gateway.drain };
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse || cause instanceof Deno.errors.AddrNotAvailable)) throw cause;
    throw new AppError("config_invalid", `[gateway] bind: ${cause.message}`, { cause });
  }
}

/** Opens the sessions and makes what each turn runs with; the prompt is made per turn because it names the day. */
async function openTurns(bootstrap: Bootstrap, deps: ComposeDeps, log: EventLog, provider: Provider): Promise<Turns> {
  const [{ openSessions }, { toSystemPrompt }, { TokenCounter, toTokenFactor }, { toTools }, { toSchema }] =
    await Promise
      .all([
        import("#/session/session.ts"),
        import("#/turn/prompt.ts"),
        import("#/turn/tokens.ts"),
        import("#/tools/registry.ts"),
        import("#/tools/to_schema.ts"),
      ]);
  const { settings, model, user, timezone } = bootstrap;
  const node = bootstrap.node ?? crypto.randomUUID();
  const sessions = await openSessions({
    log,
    // Of a local file its lock says that nobody else has it; then no event pays for a lease.
    ...(bootstrap.store === undefined
      ? {}
      : { lease: { owner: `${node}:${crypto.randomUUID()}`, node, ttlMs: LIMITS.leaseMs, delay } }),
    lanes: { runningMax: settings.concurrentTurnsMax, queuedMax: LIMITS.queuedTurnsMax },
    now: deps.now,
    report: deps.report,
  });
  const ledger = await openLedger(bootstrap, deps, log);
  const load = async () => await (await import("#/turn/tokenizer.ts")).openTokenizer();
  const factors = [model, ...bootstrap.fallback ?? []].map((choice) => toTokenFactor(choice.model));
  const tokens = new TokenCounter({ load, factor: Math.max(...factors) });
  const { shellSecs, hasBrowser = false } = bootstrap;
  const own = [...toTools({ hasBrowser, ...(shellSecs === undefined ? {} : { shellSecs }) }).values()].map((tool) => ({
    schema: toSchema(tool),
    effect: tool.effect,
  }));
  const hasTools = model.descriptor?.toolCall ?? true;
  // Vendors refuse a request with tools for a model that has none.
  const tools = hasTools ? [...own, ...bootstrap.offered ?? []] : [];
  const principal = { user, agent: [AGENT], origin: "channel" } as const;
  const send = (): SendDeps => ({
    provider,
    sandbox: deps.sandbox,
    ledger,
    tokens,
    now: deps.now,
    delay,
    setup: {
      principal,
      model: model.model,
      system: toSystemPrompt({ agent: "Oxydra", now: deps.now(), timezone, roots: ROOTS, hasTools }),
      tools,
      budgets: {
        stepsMax: settings.turnsMax,
        toolCallsMax: LIMITS.turnToolCallsMax,
        tokensMax: LIMITS.turnTokensMax,
        timeoutMs: settings.turnTimeoutMs,
        ...(settings.costMax === undefined ? {} : { costMax: settings.costMax }),
      },
      window: {
        limitTokens: settings.contextTokensMax,
        safetyTokens: settings.safetyBufferTokens,
        // The demo understands no request but its own few.
        ...(settings.summary === undefined || model.type === "demo" ? {} : { summary: settings.summary }),
      },
      ...(model.descriptor === undefined ? {} : { descriptor: model.descriptor }),
      ...(settings.maxOutputTokens === undefined ? {} : { maxOutputTokens: settings.maxOutputTokens }),
      ...(settings.reasoning === undefined ? {} : { reasoning: settings.reasoning }),
    },
  });
  return { sessions, tokens, send };
}

/** The ledger, which knows from the log what today cost already. */
async function openLedger(bootstrap: Bootstrap, { now }: ComposeDeps, log: EventLog): Promise<Ledger> {
  const { Ledger } = await import("#/turn/ledger.ts");
  const { model, fallback = [], settings: { costPerDayMax: dayMax } } = bootstrap;
  const today = dayMax === undefined ? [] : await log.usage(toDay(now()) * DAY_MS);
  const models = [model, ...fallback].map((
    { provider, model, descriptor, maxOutputTokens },
    at,
  ): PricedModel => ({
    provider,
    model,
    price: descriptor?.price,
    outputTokensMax: at === 0 ? undefined : maxOutputTokens ?? descriptor?.outputTokens,
  }));
  return new Ledger({ models, dayMax, spentToday: today.reduce((sum, { cost }) => sum + cost, 0), now });
}

/** What answers. Our file of the first provider is evaluated now, its vendor's package by `warm`; a fallback's at its first use. */
async function toProvider(
  { model, fallback = [], settings }: Bootstrap,
  deps: ComposeDeps,
): Promise<{ answering: Provider; warm: () => Promise<void> }> {
  const first = await openChoice(model, deps);
  if (model.type === "demo") return { answering: first, warm: () => first.warm() };
  const { withFailover } = await import("#/provider/failover.ts");
  const answering = withFailover([
    { ...model, open: () => Promise.resolve(first) },
    ...fallback.map((choice) => ({ ...choice, open: () => openChoice(choice, deps) })),
  ], {
    maxAttempts: settings.attemptsMax,
    backoffBaseMs: settings.backoffBaseMs,
    backoffMaxMs: settings.backoffMaxMs,
    jitter: settings.jitter,
    ...(settings.attemptTimeoutMs === undefined ? {} : { attemptTimeoutMs: settings.attemptTimeoutMs }),
    cooldownMs: settings.cooldownMs,
    random: Math.random,
    delay,
  });
  return { answering, warm: () => first.warm() };
}

async function openChoice(choice: ModelChoice, deps: ComposeDeps): Promise<WarmProvider> {
  return await openProvider(choice.type, toProviderOptions(choice, deps.fetch));
}
