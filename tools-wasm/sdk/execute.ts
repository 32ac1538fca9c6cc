/** One tool inside a component: parsed arguments in, text for the model out. */
// deno-lint-ignore no-explicit-any -- the host has parsed the arguments with the tool's strict schema
export type GuestTool<Host> = (args: any, host: Host) => string;

/** A failure that the model can act on. `code` is one of the host's closed list. */
export class ToolFailure extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The WIT record `failure`. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** The exports of a world: `describe` and `execute`. Whatever a tool throws leaves as a `failure` record: an Error would trap the instance. */
export function toExports<Host>(
  identity: { name: string; version: string },
  tools: Record<string, GuestTool<Host>>,
  host: Host,
) {
  return {
    describe: () => JSON.stringify({ ...identity, tools: Object.keys(tools) }),
    execute(tool: string, args: string): string {
      try {
        const run = Object.hasOwn(tools, tool) ? tools[tool] : undefined;
        if (run === undefined) {
          throw new ToolFailure(
            "tool_unknown",
            `this component has no tool ${JSON.stringify(tool)}`,
          );
        }
        return run(JSON.parse(args), host);
      } catch (error) {
        throw toFailure(error);
      }
    },
  };
}

/** A thrown value as the WIT record: our own failures and the host's keep their code, everything else is `tool_failed`. */
export function toFailure(error: unknown): Failure {
  if (error instanceof ToolFailure) {
    return { code: error.code, message: error.message };
  }
  const payload = (error as { payload?: Partial<Failure> } | null)?.payload;
  if (
    typeof payload?.code === "string" && typeof payload.message === "string"
  ) {
    return { code: payload.code, message: payload.message };
  }
  return { code: "tool_failed", message: `the tool broke: ${String(error)}` };
}
