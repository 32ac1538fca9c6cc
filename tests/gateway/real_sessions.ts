import assert from "node:assert/strict";
import type { Sandbox } from "#/core/capability.ts";
import type { Provider } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { openSessions } from "#/session/session.ts";
import type { BelowGateway } from "./house.ts";
import { toSendDeps } from "../session/session_kit.ts";

/** The real sessions, as app joins them to the gateway. */
export function sessionsOver(
  provider: Provider,
  lanes = { runningMax: 10, queuedMax: 2 },
  sandbox?: Pick<Sandbox, "call">,
) {
  return async (log: EventLog): Promise<BelowGateway> => {
    const sessions = await openSessions({ log, lanes, now: Date.now, report: (error) => assert.fail(String(error)) });
    const principal = { user: "ann", agent: ["default"], origin: "channel" } as const;
    const deps = () => toSendDeps(provider, sandbox, { principal });
    return {
      send: (message, signal, steering) => sessions.send(message, { ...deps(), steering }, signal),
      resume: (place, answer, signal, steering) => sessions.resume(place, answer, { ...deps(), steering }, signal),
      exclusive: (session, work) => sessions.exclusive("ann", session, "its session is deleted", work),
      endParked: ({ session, turn }, reason) => sessions.endParked(session, turn, reason),
      suspend: () => sessions.stop("suspend", "the gateway is stopping"),
    };
  };
}
