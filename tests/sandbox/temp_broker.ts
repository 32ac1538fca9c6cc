import { join } from "node:path";
import { z } from "zod";
import type { Capability, Outcome, Policy, ToolRequest } from "#/core/capability.ts";
import type { Tool } from "#/core/tool.ts";
import { type Audit, openAudit } from "#/sandbox/audit.ts";
import { type Broker, type BrokerOptions, openBroker } from "#/sandbox/broker.ts";
import type { ToolChildren } from "#/sandbox/run_call.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { toTools } from "#/tools/registry.ts";
import { openFilesComponent, openRealChildren } from "./child_kit.ts";
import type { TempFiles } from "./temp_files.ts";

/** A tool whose arguments say what it needs. */
export const probe: Tool<{ path: string; needs?: Capability[] | undefined }> = {
  name: "probe",
  description: "for tests",
  args: z.strictObject({ path: z.string(), needs: z.array(z.custom<Capability>()).optional() }),
  effect: "read_only",
  timeoutMs: 1_000,
  needs: (args) => args.needs ?? [{ kind: "fs.read", path: args.path, scope: "file", bytesMax: 100 }],
  run: { component: "probes" },
};

/** What a test does in the place of a child. */
export type ProbeRun = ToolChildren["run"];

/** A broker with the one tool, run by the function. */
export async function openTempBroker(
  temp: TempFiles,
  run: ProbeRun,
  options: Partial<BrokerOptions> = {},
): Promise<Broker> {
  const policy: Policy = await openPolicy([DEFAULT_POLICY]);
  return openBroker({
    user: "default",
    tools: new Map([["probe", probe as Tool]]),
    packages: new Map([["probes", { version: "1.0.0", sha256: "ab", children: { run } }]]),
    policy,
    audit: openTempAudit(temp, policy.digest),
    files: temp.files,
    now: () => 5_000,
    ...options,
  });
}

/** The real file tools in real children, for a test of what comes out of them. */
export async function openRealBroker(
  temp: TempFiles,
  options: Partial<BrokerOptions> = {},
): Promise<AsyncDisposable & { readonly broker: Broker }> {
  const component = await openFilesComponent();
  const children = await openRealChildren({ component });
  const { version, sha256 } = component;
  const packages = new Map([["files", { version, sha256, children }]]);
  const broker = await openTempBroker(temp, says("never"), { tools: toTools(), packages, now: Date.now, ...options });
  return {
    broker,
    async [Symbol.asyncDispose]() {
      broker.close();
      await children.close();
    },
  };
}

/** An audit log of its own, in the folder that the test removes. */
export function openTempAudit(temp: Pick<TempFiles, "dir">, policyDigest: string): Audit {
  const opened = { version: "0.0.0", policyDigest };
  return openAudit({ dir: join(temp.dir, `audit-${crypto.randomUUID()}`), now: Date.now, opened });
}

/** A request for the tool. */
export function requestOf(args: unknown, extra: Partial<ToolRequest> = {}): ToolRequest {
  return {
    principal: { user: "default", agent: ["default"], origin: "channel" },
    session: "s",
    turn: "t",
    callId: crypto.randomUUID(),
    tool: "probe",
    args,
    ...extra,
  };
}

/** A run that ends at once with this text. */
export function says(text: string): ProbeRun {
  return () => Promise.resolve({ ok: true, code: "ok", text, outputBytes: text.length, elapsedMs: 1 });
}

/** The parts of an outcome that tests compare. */
export function brief(outcome: Outcome): readonly [Outcome["kind"], string | undefined, string] {
  return [outcome.kind, outcome.code, outcome.text];
}
