/**
 * Oxydra for Deno: a self-hosted orchestrator for AI agents. As a program (`deno run -A mod.ts …`) it is the `oxydra` command;
 * as a module it exports what a tool package or an embedder needs.
 *
 * @module
 */
import manifest from "./deno.json" with { type: "json" };
import { toPlainStatus, toPlainTurn } from "#/cli/plain_args.ts";

export { AppError, type ErrorCode, type ErrorParams } from "#/core/error.ts";
export type {
  BlobRef,
  EventPayloads,
  EventType,
  LiveEvent,
  NewEvent,
  Progress,
  SessionEvent,
  StoredEvent,
  TurnEvent,
} from "#/core/event.ts";
export type {
  Capability,
  Decision,
  Grant,
  Outcome,
  Policy,
  Principal,
  Sandbox,
  ToolIdentity,
  ToolRequest,
} from "#/core/capability.ts";
export { type LimitName, LIMITS } from "#/core/limits.ts";
export type { InlineMedia, Message, Replay, ToolCall, Usage } from "#/core/message.ts";
export { type Modality, type ModelDescriptor, type ModelPrice, toModality } from "#/core/model.ts";
export type { ModelEvent, ModelName, ModelRequest, Provider, ReasoningEffort, ToolSchema } from "#/core/provider.ts";
export type { Durability, EventLog, SessionRow } from "#/core/store.ts";
export { type ComponentRun, defineTool, type Tool, type ToolEffect } from "#/core/tool.ts";

if (import.meta.main) {
  // Answered before any package is evaluated: a script that asks for the version should not wait for a command parser.
  if (Deno.args.length === 1 && (Deno.args[0] === "--version" || Deno.args[0] === "-V")) {
    console.log(`oxydra ${manifest.version} (deno ${Deno.version.deno})`);
  } else {
    const turn = toPlainTurn(Deno.args);
    const status = toPlainStatus(Deno.args);
    // Not literals: Deno would read the whole program behind them before the first line of this one runs (20 ms for --version).
    const plain = turn !== null ? "./src/cli/launch.ts" : "./src/cli/status.ts";
    const entry = new URL(turn !== null || status !== null ? plain : "./src/cli/main.ts", import.meta.url).href;
    if (turn !== null) {
      const { runPlainTurn }: typeof import("#/cli/launch.ts") = await import(entry);
      Deno.exit(await runPlainTurn(turn, manifest.version));
    }
    if (status !== null) {
      const { runPlainStatus }: typeof import("#/cli/status.ts") = await import(entry);
      Deno.exit(await runPlainStatus(status));
    }
    const { main }: typeof import("#/cli/main.ts") = await import(entry);
    Deno.exit(await main(Deno.args, manifest.version));
  }
}
