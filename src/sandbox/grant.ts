import { AppError } from "#/core/error.ts";
import type { Capability, Grant } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Allowance } from "#/sandbox/files.ts";
import type { HostCall } from "#/sandbox/host_call.ts";
import { isWithin } from "#/core/virtual_path.ts";

/** The capability of the grant that opens this host call: kind, scope and path by whole segments. Pure; sizes are the meter's. */
export function covers(grant: Pick<Grant, "capabilities">, call: HostCall): Capability | undefined {
  return grant.capabilities.find((capability) => opens(capability, call));
}

/** What both allow, or undefined when nothing. Pure; the smaller bound of each. */
export function intersect(a: Capability, b: Capability): Capability | undefined {
  if (a.kind === "fs.write" && b.kind === "fs.write") {
    if (a.path !== b.path || a.mode !== b.mode) return undefined;
    return { ...a, bytesMax: Math.min(a.bytesMax, b.bytesMax) };
  }
  if (a.kind === "fs.read" && b.kind === "fs.read") {
    const inner = innerOf(a, b);
    return inner && { ...inner, bytesMax: Math.min(a.bytesMax, b.bytesMax) };
  }
  if (a.kind === "fs.list" && b.kind === "fs.list") {
    const inner = innerOf(a, b);
    return inner && { ...inner, entriesMax: Math.min(a.entriesMax, b.entriesMax) };
  }
  return undefined;
}

/**
 * The same grant with no more than `capabilities`: what lies in both. A sub-agent gets this, so it can never get more than its
 * parent has, whatever it asks for. Pure.
 */
export function narrow(grant: Grant, capabilities: readonly Capability[]): Grant {
  const both = grant.capabilities.flatMap((have) => capabilities.map((want) => intersect(have, want)));
  return { ...grant, capabilities: both.filter((capability) => capability !== undefined) };
}

/** A capability in words: `fs.read /shared/a.txt`. */
export function describeCapability(capability: Capability): string {
  return `${capability.kind} ${capability.path}`;
}

/** What one tool call has used of its grant. */
export class GrantMeter {
  readonly #grant: Grant;
  readonly #spent = new Map<Capability, number>();
  #calls = 0;

  constructor(grant: Grant) {
    this.#grant = grant;
  }

  /**
   * Checks one host call against the grant and counts it. `spend` is told the bytes that were read or written. Throws AppError
   * `tool_denied` for what the grant does not open, `tool_timeout` after it expired, `quota_exceeded` over `hostCallsMax`.
   */
  take(call: HostCall, now: number): { readonly allowance: Allowance; spend(bytes: number): void } {
    if (++this.#calls > LIMITS.hostCallsMax) {
      throw new AppError(
        "quota_exceeded",
        `A tool call may make ${LIMITS.hostCallsMax} host calls, and these are used up`,
      );
    }
    if (now >= this.#grant.expiresAt) throw new AppError("tool_timeout", "The grant of this call has expired");
    const capability = covers(this.#grant, call);
    if (capability === undefined) {
      throw new AppError("tool_denied", `The grant of this call does not open ${call.fn} on that path`);
    }
    const spent = this.#spent.get(capability) ?? 0;
    const bytesMax = capability.kind === "fs.list" ? 0 : Math.max(0, capability.bytesMax - spent);
    const entriesMax = capability.kind === "fs.list" ? Math.min(capability.entriesMax, LIMITS.listEntriesMax) : 0;
    return {
      allowance: { bytesMax, entriesMax },
      spend: (bytes) => void this.#spent.set(capability, (this.#spent.get(capability) ?? 0) + bytes),
    };
  }
}

function opens(capability: Capability, call: HostCall): boolean {
  switch (call.fn) {
    case "fs-read.read-text":
      return capability.kind === "fs.read" && reaches(capability.path, capability.scope, call.path);
    case "fs-read.scan":
      return capability.kind === "fs.read" && capability.scope === "tree" && isWithin(call.path, capability.path);
    case "fs-read.list":
      if (capability.kind !== "fs.list" || call.recursive && capability.scope !== "tree") return false;
      return reaches(capability.path, capability.scope, call.path);
    case "fs-write.write-text":
      return capability.kind === "fs.write" && capability.mode === "write" && capability.path === call.path;
    case "fs-write.remove":
      return capability.kind === "fs.write" && capability.mode === "delete" && capability.path === call.path;
  }
}

function reaches(folder: string, scope: "file" | "dir" | "tree", path: string): boolean {
  return scope === "tree" ? isWithin(path, folder) : path === folder;
}

function innerOf<C extends { path: string; scope: string }>(a: C, b: C): C | undefined {
  if (a.path === b.path) return a.scope === "tree" ? b : a;
  if (a.scope === "tree" && isWithin(b.path, a.path)) return b;
  if (b.scope === "tree" && isWithin(a.path, b.path)) return a;
  return undefined;
}
