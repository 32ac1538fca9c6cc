import { AppError } from "#/core/error.ts";
import type { ModelDescriptor } from "#/core/model.ts";
import type { ModelEvent, ModelName, ModelRequest, Provider } from "#/core/provider.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import { Circuit } from "#/provider/circuit.ts";
import { type Failed, toFailed } from "#/provider/failure.ts";
import { present } from "#/provider/present.ts";
import { isShown, type RetryOptions, tryAgain } from "#/provider/reliable.ts";

/** An entry that can answer. */
export interface Candidate extends ModelName {
  readonly descriptor?: ModelDescriptor;
  /** The entry's own setting, in tokens. */
  readonly maxOutputTokens?: number;
  /** Called at the first use. Throws AppError `config_invalid` for settings that it cannot use; then the next candidate answers. */
  readonly open: () => Promise<Provider>;
}

/** `[reliability]`, and what it needs of the outside. */
export interface FailoverOptions extends RetryOptions {
  /** After its failures an entry is not asked first for this long. */
  readonly cooldownMs: number;
}

/**
 * The first of `candidates` answers; when its attempts are used up before anything was shown, the next one does, and a `switch` event
 * says why. Never after the first text, reasoning, tool call or media: that failure ends the call. What moves on:
 *
 * | failure | next candidate | its circuit |
 * |---|---|---|
 * | `provider_auth`, `model_unknown`, a used up quota, `config_invalid`, `provider_protocol` | yes, without a retry | opens at once |
 * | with Retry-After | yes; over `backoffMaxMs` it is not waited for | opens at once, for that long if it is longer |
 * | `provider_rate_limited`, `provider_unavailable`, `provider_interrupted` | yes, after its attempts | opens after `circuitFailuresMax` attempts in a row |
 * | `provider_timeout` | yes, without a retry | opens at once |
 * | `provider_rejected` | yes: vendors differ in what they take | stays closed |
 * | `provider_rejected` for its tokens | only one with a larger context | stays closed |
 * | `cancelled` | no | stays as it is |
 *
 * One whose circuit is open is passed over with a `switch` event of attempt 0, and asked once, the one nearest to its end first, when nobody
 * else is left: no call fails without a try. While others are left, a candidate may be silent for half of the time that is left, or for
 * `attemptTimeoutMs`; one that streams has all of it. State lives in the returned value. Throws RangeError without a candidate.
 */
export function withFailover(candidates: readonly Candidate[], options: FailoverOptions): Provider {
  const [first] = candidates;
  if (first === undefined) throw new RangeError("no candidate");
  const now = options.now ?? (() => performance.now());
  const entries = candidates.map((candidate): Entry => ({
    candidate,
    circuit: new Circuit({ cooldownMs: options.cooldownMs, now }),
  }));
  return {
    name: first.provider,
    stream: (request, signal) => new Call(entries, request, { ...options, now }, signal).run(),
  };
}

/** A candidate, and what its calls have taught. */
interface Entry {
  readonly candidate: Candidate;
  readonly circuit: Circuit;
  provider?: Promise<Provider>;
}

type Timed = FailoverOptions & Required<Pick<FailoverOptions, "now">>;

/** How asking one entry ended; absent when the call is over. */
interface Ending {
  readonly failed: Failed;
  readonly attempts: number;
}

/** One call over all entries. */
class Call {
  readonly #entries: readonly Entry[];
  readonly #request: ModelRequest;
  readonly #options: Timed;
  readonly #signal: AbortSignal;
  readonly #endsAt: number;
  /** Not asked yet. */
  readonly #left: Set<Entry>;
  readonly #passedOver = new Set<Entry>();
  /** Ends the trial of the entry that was picked last. */
  #leave = () => {};

  constructor(entries: readonly Entry[], request: ModelRequest, options: Timed, signal: AbortSignal) {
    this.#entries = entries;
    this.#request = request;
    this.#options = options;
    this.#signal = signal;
    this.#endsAt = options.now() + request.timeoutMs;
    this.#left = new Set(entries);
  }

  async *run(): AsyncGenerator<ModelEvent> {
    try {
      yield* this.#askAll();
    } finally {
      this.#leave();
    }
  }

  async *#askAll(): AsyncGenerator<ModelEvent> {
    const failures: string[] = [];
    let entry = this.#pick(() => true)!;
    yield* this.#passOver(entry);
    while (true) {
      this.#left.delete(entry);
      const ending = yield* this.#ask(entry);
      if (ending === undefined) return;
      const { failed, attempts } = ending;
      const next = this.#options.now() < this.#endsAt
        ? this.#pick((other) => canTake(failed, entry, other))
        : undefined;
      failures.push(`${entry.candidate.provider}/${entry.candidate.model}: ${failed.message}`);
      if (next === undefined) return yield failures.length === 1 ? failed : withAll(failed, failures);
      yield toSwitch(entry, next, { attempt: attempts, code: failed.code, message: failed.message });
      yield* this.#passOver(next);
      entry = next;
    }
  }

  /** The first that is ready, in the order of the configuration, else the one that is ready soonest. From now on it is this call's to try. */
  #pick(isFit: (entry: Entry) => boolean): Entry | undefined {
    const fit = [...this.#left].filter(isFit);
    const picked = fit.find(({ circuit }) => circuit.isReady) ??
      fit.toSorted((a, b) => a.circuit.waitMs - b.circuit.waitMs)[0];
    this.#leave();
    this.#leave = picked?.circuit.enter() ?? (() => {});
    return picked;
  }

  /** Says once of each entry before `chosen` why it is not asked. */
  *#passOver(chosen: Entry): Generator<ModelEvent> {
    for (const entry of this.#entries.slice(0, this.#entries.indexOf(chosen))) {
      const { isReady, code, waitMs } = entry.circuit;
      if (isReady || code === undefined || !this.#left.has(entry) || this.#passedOver.has(entry)) continue;
      this.#passedOver.add(entry);
      const until = waitMs > 0 ? `is asked again in ${Math.ceil(waitMs / 1_000)} s` : "is being tried by another turn";
      yield toSwitch(entry, chosen, { attempt: 0, code, message: `it failed before (${code}) and ${until}` });
    }
  }

  async *#ask(entry: Entry): AsyncGenerator<ModelEvent, Ending | undefined> {
    const { circuit } = entry;
    const signal = this.#signal;
    // What may still be broken is tried once: whoever waits for the answer has waited enough.
    const attemptsMax = circuit.isClosed || this.#entries.length === 1 ? this.#options.maxAttempts : 1;
    let attempts = 1;
    let shown = false;
    for await (const event of this.#events(entry, attemptsMax)) {
      if (event.type === "retry") {
        attempts++;
        circuit.noteAttempt();
      } else if (event.type === "failed") {
        circuit.noteEnd(event);
        if (!shown && event.code !== "cancelled" && !signal.aborted) return { failed: event, attempts };
      } else if (event.type === "done") circuit.noteEnd("done");
      shown ||= isShown(event);
      yield event;
    }
    return undefined;
  }

  async *#events(entry: Entry, attemptsMax: number): AsyncGenerator<ModelEvent> {
    const options = this.#options;
    const timeoutMs = Math.max(1, this.#endsAt - options.now());
    const withinMs = this.#left.size === 0 ? timeoutMs : Math.max(timeoutMs / 2, options.attemptTimeoutMs ?? 0);
    try {
      const provider = await untilAborted(entry.provider ??= entry.candidate.open(), this.#signal);
      if (provider === undefined) return yield toFailed("cancelled", "cancelled");
      const request = entry === this.#entries[0] ? this.#request : toOwnRequest(this.#request, entry.candidate);
      const patience = this.#left.size === 0 && attemptsMax === options.maxAttempts
        ? undefined
        : { withinMs, attemptsMax };
      yield* tryAgain(provider, { ...request, timeoutMs }, options, this.#signal, patience);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      yield toFailed(error.code, error.message);
    }
  }
}

/** The request with what is the entry's own. What vendors wanted back names its entry and model, so that no other one reads it. */
function toOwnRequest(request: ModelRequest, { model, descriptor, maxOutputTokens }: Candidate): ModelRequest {
  const { descriptor: _descriptor, maxOutputTokens: _maxOutputTokens, ...rest } = request;
  return {
    ...rest,
    model,
    // A model without tools refuses a request that has some.
    ...(descriptor?.toolCall === false ? { tools: [] } : {}),
    ...present({ descriptor, maxOutputTokens }),
  };
}

/** Whether another entry could do better with the same request. A context that nobody has stated may be a larger one. */
function canTake(failed: Failed, from: Entry, to: Entry): boolean {
  if (!failed.tooLarge) return true;
  const [had, has] = [from, to].map(({ candidate }) => candidate.descriptor?.contextTokens);
  return had === undefined || has === undefined || has > had;
}

function withAll(failed: Failed, failures: readonly string[]): Failed {
  return { ...failed, message: `No model answered.\n${failures.map((line) => `  ${line}`).join("\n")}` };
}

function toSwitch(
  from: Entry,
  to: Entry,
  why: { readonly attempt: number; readonly code: Failed["code"]; readonly message: string },
): ModelEvent {
  return { type: "switch", from: toName(from), to: toName(to), ...why };
}

function toName({ candidate: { provider, model } }: Entry): ModelName {
  return { provider, model };
}
