import { Hono } from "hono";
import { type SessionApiDeps, toSessionRoutes } from "#/gateway/api_sessions.ts";
import type { ApiDeps, DoorDeps } from "#/gateway/api_turn.ts";
import { toChatRoute } from "#/gateway/chat.ts";
import { Conversations } from "#/gateway/conversations.ts";
import { toFeedRoutes } from "#/gateway/feed.ts";
import { toHttpError } from "#/gateway/http_error.ts";
import { toModelRoutes } from "#/gateway/models.ts";
import { toOpenApiRoute } from "#/gateway/openapi.ts";
import { toResponseRoute, toResponsesRoute } from "#/gateway/responses.ts";
import { type AnyRoute, mountRoutes, type RouteDeps } from "#/gateway/route.ts";

/** Every door over HTTP, in the order of the OpenAPI document. */
export function toRoutes(deps: DoorDeps & SessionApiDeps): readonly AnyRoute[] {
  const api: ApiDeps = { ...deps, conversations: new Conversations(deps) };
  const routes = [
    toChatRoute(api),
    toResponsesRoute(api),
    toResponseRoute(deps),
    ...toModelRoutes(deps),
    ...toFeedRoutes(deps),
    ...toSessionRoutes(deps),
  ];
  const document = toOpenApiRoute(routes, deps.info.version);
  return [...routes, document];
}

/** What serves them. It is made at the first request, so that no start of a gateway waits for it. */
export function openDoors(deps: DoorDeps & SessionApiDeps & RouteDeps): (request: Request) => Promise<Response> {
  const app = new Hono();
  mountRoutes(app, toRoutes(deps), deps);
  app.notFound((c) => c.json(toHttpError("not_found", "there is no such door; see /api/v1/openapi.json", 404), 404));
  return async (request) => await app.fetch(request);
}
