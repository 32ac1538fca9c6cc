import assert from "node:assert/strict";
import { AppError, type ErrorCode } from "#/core/error.ts";
import type { EventLog } from "#/core/store.ts";

/** What the suite needs of a store beside its seam. `folder` is where one log lives. */
export interface EventLogProbes {
  /** Runs one statement of SQL on the closed log, as another version or a fault would. */
  execute(folder: string, sql: string): Promise<void>;
  /** A running process with the guest's permissions that appends batches for ever and prints the last `seq` of each recorded one. */
  writer(
    folder: string,
    batch: { readonly events: number; readonly chars: number; readonly durability: string },
  ): Promise<Deno.ChildProcess>;
  /** True for a store that two may have open. */
  readonly isShared?: boolean;
}

/** Opens the log of a folder, creating it when it is not there. */
export type OpenEventLog = (folder: string, now: () => number) => Promise<EventLog>;

/** Declares a test with an open log that has session `s`. */
export type WithLog = (sentence: string, body: (log: EventLog) => Promise<void>) => void;

/** Declares a test with an empty folder. */
export type WithFolder = (sentence: string, body: (folder: string) => Promise<void>) => void;

/** Survives a crash of the process. */
export const NORMAL = { durability: "normal" } as const;

/** Survives a power cut. */
export const FULL = { durability: "full" } as const;

/** A window around everything. */
export const ALL = { fromSeq: 1, limit: 1_000 } as const;

/** Fails unless the promise rejects with an AppError of this code and these parameters. */
export async function rejectsWith(
  promise: Promise<unknown>,
  code: ErrorCode,
  params: Record<string, unknown> = {},
): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code);
    for (const [name, value] of Object.entries(params)) assert.equal(error.params[name], value);
    return true;
  });
}

/** A clock that goes on by 1 ms with each look. */
export function clock(): () => number {
  let now = 1_700_000_000_000;
  return () => now++;
}
