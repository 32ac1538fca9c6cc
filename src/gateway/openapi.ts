import { z } from "zod";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";

/** Statuses of refusals, and when they come. */
const REFUSALS = {
  400: "The request is wrong; `param` names the part",
  401: "No good token",
  403: "A token that may not do this, another host, or a page of another origin",
  404: "There is no such session, response or model, or it is not the caller's",
  408: "The body was not there in time",
  409: "The id of this turn was used for another message",
  413: "The body is too large",
  429: "Too much at once; later there is room",
  500: "A defect of ours; the message has the id under which the log has it",
  502: "The model's vendor refused or broke off",
  503: "The gateway closes, the turn was cancelled, or the store does not answer",
  504: "The model's vendor was silent for too long",
} as const;

const Failure = z.object({
  error: z.object({ message: z.string(), type: z.string(), code: z.string(), param: z.string().nullable() }),
});

const ABOUT =
  `Doors over HTTP of one Oxydra gateway. A bearer token is needed; what one is good for stands at each operation.
\`GET /healthz\` says that the process lives and \`GET /readyz\` that it can work, both without a token.
Clients that want everything as it happens, and to answer approvals, speak WebSocket at \`/ws\` (protocol version 2, subprotocol \`oxydra.v2\`,
the same tokens): frames are JSON texts \`{"type", "payload"}\`, the first one is \`hello\`.`;

type Json = Readonly<Record<string, unknown>>;

/** `GET /api/v1/openapi.json`: what the other routes are, and this one. */
export function toOpenApiRoute(routes: readonly AnyRoute[], version: string): AnyRoute {
  const own: AnyRoute = defineRoute({
    method: "get",
    path: "/api/v1/openapi.json",
    scope: ["read", "channel"],
    about: "This document",
    answer: { about: "OpenAPI 3.1", schema: z.looseObject({ openapi: z.string() }) },
    run: () => Promise.resolve(toOpenApi([...routes, own], version)),
  });
  return own;
}

/** The OpenAPI 3.1 document of these routes, made from the schemas that their requests are parsed with. Pure. */
export function toOpenApi(routes: readonly AnyRoute[], version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) (paths[toPath(route.path)] ??= {})[route.method] = toOperation(route);
  return {
    openapi: "3.1.1",
    info: { title: "Oxydra", version, summary: "A self-hosted orchestrator for AI agents", description: ABOUT },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "A token of this gateway; see `oxydra tokens`" },
      },
      schemas: { Failure: toSchema(Failure, "output") },
      responses: Object.fromEntries(
        Object.entries(REFUSALS).map(([status, description]) => [`Failure${status}`, {
          description,
          content: { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } },
        }]),
      ),
    },
  };
}

function toOperation(route: AnyRoute): Json {
  const { answer, body, scope, method, path } = route;
  const type = answer.contentType ?? "application/json";
  const content = answer.schema === undefined
    ? { schema: { type: "string" } }
    : { schema: toSchema(answer.schema, "output") };
  const scopes = ["owner", ...[scope].flat().filter((name) => name !== "owner")];
  return {
    operationId: `${method}${path.replace(/\{.*?\}/g, "").replace(/[^a-z0-9]+(.)?/gi, (_, c = "") => c.toUpperCase())}`,
    summary: route.about,
    description: `Scope of the token: ${scopes.map((name) => `\`${name}\``).join(", ")}.`,
    parameters: [...toParameters(route.params, "path"), ...toParameters(route.query, "query")],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: toSchema(body, "input") } } } }),
    responses: {
      [answer.status ?? 200]: { description: answer.about, content: { [type]: content } },
      ...Object.fromEntries(
        Object.keys(REFUSALS).map((status) => [status, { $ref: `#/components/responses/Failure${status}` }]),
      ),
    },
  };
}

function toParameters(schema: z.ZodType, where: "path" | "query"): Json[] {
  const { properties = {}, required = [] } = toSchema(schema, "input") as { properties?: Json; required?: string[] };
  return Object.entries(properties).map(([name, property]) => {
    return { name, in: where, required: where === "path" || required.includes(name), schema: property };
  });
}

function toSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any", target: "draft-2020-12" });
  return rest;
}

/** `/a/:id{.+}` as OpenAPI writes it. */
function toPath(path: string): string {
  return path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
}
