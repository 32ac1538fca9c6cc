import { AppError } from "#/core/error.ts";
import type { Capability, Grant } from "#/core/capability.ts";
import { DEFAULT_PORTS, type HttpCapability, toHttpNeed } from "#/core/http_need.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Allowance } from "#/sandbox/files.ts";
import { sha256Of } from "#/lib/chained_line.ts";
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
  if (a.kind === "http" && b.kind === "http") return intersectHttp(a, b);
  if (a.kind === "secret" && b.kind === "secret") {
    const hosts = a.hosts.filter((host) => b.hosts.includes(host));
    return a.name === b.name && hosts.length > 0 ? { ...a, hosts } : undefined;
  }
  if (a.kind === "shell" && b.kind === "shell") return a.command === b.command ? a : undefined;
  if (a.kind === "connect" && b.kind === "connect") return a.host === b.host && a.port === b.port ? a : undefined;
  if (a.kind === "browser" && b.kind === "browser") return a.action === b.action ? a : undefined;
  if (a.kind === "config" && b.kind === "config") return a.section === b.section ? a : undefined;
  return a.kind === b.kind && (a.kind === "clock" || a.kind === "random" || a.kind === "log") ? a : undefined;
}

function intersectHttp(a: HttpCapability, b: HttpCapability): HttpCapability | undefined {
  const methods = a.methods.filter((method) => b.methods.includes(method));
  if (a.scheme !== b.scheme || a.host !== b.host || a.port !== b.port || methods.length === 0) return undefined;
  const inner = isPathOpen(a, b.path, b.scope) ? b : isPathOpen(b, a.path, a.scope) ? a : undefined;
  return inner && {
    ...inner,
    methods,
    bytesUpMax: Math.min(a.bytesUpMax, b.bytesUpMax),
    bytesDownMax: Math.min(a.bytesDownMax, b.bytesDownMax),
    redirectsMax: Math.min(a.redirectsMax, b.redirectsMax),
  };
}

/**
 * The same grant with no more than `capabilities`: what lies in both. A sub-agent gets this, so it can never get more than its
 * parent has, whatever it asks for. Pure.
 */
export function narrow(grant: Grant, capabilities: readonly Capability[]): Grant {
  const both = grant.capabilities.flatMap((have) => capabilities.map((want) => intersect(have, want)));
  return { ...grant, capabilities: both.filter((capability) => capability !== undefined) };
}

/** Whatever shows as nothing, as a blank that is none, or in another place than it stands. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;

/**
 * A command as a person reads it before they allow it, on one line and whole: a line break is ⏎, and what would not be seen is named. One
 * that is little else but names is cut, with its hash. Pure.
 */
export function toCommandText(command: string): string {
  const shown = command.replace(
    HIDDEN,
    (char) => char === "\n" ? " ⏎ " : char === "\t" ? "\\t" : `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
  if (shown.length <= LIMITS.shellShownCharsMax) return shown;
  const what = `${command.length} characters, most of them invisible, sha256 ${sha256Of(command)}`;
  return `${shown.slice(0, LIMITS.shellShownCharsMax).toWellFormed()} ⟪… cut: ${what}⟫`;
}

/** A capability in words: `fs.read /shared/a.txt`, `http GET https://example.com/a`, `secret web_search on example.com`. */
export function describeCapability(capability: Capability): string {
  switch (capability.kind) {
    case "fs.read":
    case "fs.list":
    case "fs.write":
      return `${capability.kind} ${capability.path}`;
    case "http":
      return `http ${capability.methods.join("/")} ${toUrlText(capability)}`;
    case "secret":
      return `secret ${capability.name} on ${capability.hosts.join(", ")}`;
    case "config":
      return `config ${capability.section}`;
    case "browser":
      return `browser ${capability.action}`;
    case "shell":
      return `shell ${toCommandText(capability.command)}`;
    case "connect":
      return `connect ${capability.host.includes(":") ? `[${capability.host}]` : capability.host}:${capability.port}`;
    default:
      return capability.kind;
  }
}

function toUrlText({ scheme, host, port, path }: HttpCapability): string {
  const isDefault = port === DEFAULT_PORTS[scheme];
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}${isDefault ? "" : `:${port}`}${path}`;
}

/** What one tool call has used of its grant. */
export class GrantMeter {
  readonly #grant: Grant;
  readonly #spent = new Map<Capability, number>();
  readonly #sent = new Map<Capability, number>();
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
      const message = `A tool call may make ${LIMITS.hostCallsMax} host calls, and these are used up`;
      throw new AppError("quota_exceeded", message);
    }
    if (now >= this.#grant.expiresAt) throw new AppError("tool_timeout", "The grant of this call has expired");
    const capability = covers(this.#grant, call);
    if (capability === undefined) {
      const what = call.fn === "http.fetch" ? `${call.method} ${call.url.slice(0, 200)}` : `${call.fn} there`;
      throw new AppError("tool_denied", `The grant of this call does not open ${what}`);
    }
    if (call.fn === "http.fetch" && capability.kind === "http") this.#send(capability, call);
    const spent = this.#spent.get(capability) ?? 0;
    const bytesMax = Math.max(0, bytesOf(capability) - spent);
    const entriesMax = capability.kind === "fs.list" ? Math.min(capability.entriesMax, LIMITS.listEntriesMax) : 0;
    const redirectsMax = capability.kind === "http" ? capability.redirectsMax : 0;
    return {
      allowance: { bytesMax, entriesMax, redirectsMax },
      spend: (bytes) => void this.#spent.set(capability, (this.#spent.get(capability) ?? 0) + bytes),
    };
  }

  /** Counts what a request carries out, and checks that each secret it names may go to that host. */
  #send(capability: HttpCapability, call: Extract<HostCall, { fn: "http.fetch" }>): void {
    const sent = (this.#sent.get(capability) ?? 0) + new TextEncoder().encode(call.body).length;
    if (sent > capability.bytesUpMax) {
      throw new AppError("quota_exceeded", `This call may send ${capability.bytesUpMax} bytes to that address`);
    }
    this.#sent.set(capability, sent);
    for (const { name } of call.secrets) {
      const isOpen = this.#grant.capabilities.some((other) =>
        other.kind === "secret" && other.name === name && other.hosts.includes(capability.host)
      );
      if (!isOpen) throw new AppError("tool_denied", `The secret ${name} is not granted for ${capability.host}`);
    }
  }
}

function bytesOf(capability: Capability): number {
  if (capability.kind === "http") return capability.bytesDownMax;
  return capability.kind === "fs.read" || capability.kind === "fs.write" ? capability.bytesMax : 0;
}

function opens(capability: Capability, call: HostCall): boolean {
  switch (call.fn) {
    case "fs-read.read-text":
    case "fs-read.read-bytes":
      return capability.kind === "fs.read" && reaches(capability.path, capability.scope, call.path);
    case "fs-read.scan":
      return capability.kind === "fs.read" && capability.scope === "tree" && isWithin(call.path, capability.path);
    case "fs-read.list":
      if (capability.kind !== "fs.list" || call.recursive && capability.scope !== "tree") return false;
      return reaches(capability.path, capability.scope, call.path);
    case "fs-write.write-text":
    case "fs-write.write-bytes":
      return capability.kind === "fs.write" && capability.mode === "write" && capability.path === call.path;
    case "fs-write.remove":
      return capability.kind === "fs.write" && capability.mode === "delete" && capability.path === call.path;
    case "http.fetch":
      return capability.kind === "http" && isRequestOpen(capability, call);
    case "config.get":
      return capability.kind === "config" && call.key.startsWith(`${capability.section}.`);
    case "log.write":
      return capability.kind === "log";
  }
}

function isRequestOpen(capability: HttpCapability, call: Extract<HostCall, { fn: "http.fetch" }>): boolean {
  const need = toHttpNeed(call.url, { ...capability, methods: [call.method], scope: "exact" });
  return need.scheme === capability.scheme && need.host === capability.host && need.port === capability.port &&
    capability.methods.includes(call.method) && isPathOpen(capability, need.path, "exact");
}

/** A tree opens what lies below it, whatever the query. */
function isPathOpen(open: HttpCapability, path: string, scope: "exact" | "tree"): boolean {
  if (open.scope === "tree") return isWithin(path.split("?", 1)[0]!, open.path);
  return scope === "exact" && path === open.path;
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
