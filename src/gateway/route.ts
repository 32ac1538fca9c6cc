import type { Context, Hono } from "hono";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { findCaller } from "#/gateway/auth.ts";
import { toHttpError, toHttpFailure } from "#/gateway/http_error.ts";
import { type Caller, type GatewayToken, mayDo, type Scope } from "#/gateway/token.ts";

/** What a route is asked, parsed. */
export interface RouteInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  readonly headers: Headers;
  /** The body as it comes, where the route has no schema for it. */
  readonly stream: ReadableStream<Uint8Array> | null;
  /** Fires when the client has left. */
  readonly signal: AbortSignal;
}

/** One door over HTTP: what serves it and what the OpenAPI document says of it are the same value. */
export interface Route<Params, Query, Body> {
  readonly method: "get" | "post" | "patch" | "delete";
  /** As Hono writes it: `/api/v1/sessions/:id`. */
  readonly path: `/${string}`;
  /** What a token must be good for: this, or one of these. */
  readonly scope: Scope | readonly Scope[];
  readonly about: string;
  readonly params: z.ZodType<Params>;
  readonly query: z.ZodType<Query>;
  /** Absent where a request has no body. */
  readonly body?: z.ZodType<Body>;
  /** What the answer looks like; `schema` is absent for one that is no JSON. */
  readonly answer: { readonly about: string; readonly schema?: z.ZodType; readonly contentType?: string };
  /** Gives what is sent as JSON with 200, or a response of its own. Throws AppError. */
  readonly run: (input: RouteInput<Params, Query, Body>) => Promise<unknown>;
}

/** A route of whatever it takes. */
export type AnyRoute = Route<unknown, unknown, unknown>;

const NOTHING = z.object({});

/** A route, with what most of them leave out. */
export function defineRoute<Params = object, Query = object, Body = undefined>(
  route:
    & Omit<Route<Params, Query, Body>, "params" | "query">
    & Partial<Pick<Route<Params, Query, Body>, "params" | "query">>,
): AnyRoute {
  // Whoever calls `run` has parsed with the very schemas that its types come from.
  return { params: NOTHING, query: NOTHING, ...route } as unknown as AnyRoute;
}

/** What every route needs. */
export interface RouteDeps {
  readonly tokens: () => readonly GatewayToken[];
  /** Integer ms UTC. */
  readonly now: () => number;
  readonly report: (error: unknown, id: string) => void;
}

/**
 * Serves the routes: a token of the wanted scope, then the request by its schemas, then the route. What is wrong is answered in the shape
 * of `toHttpError`: 401 without a good token, 403 with one that may not, 400 with the place of the first mistake, 413 for a body over
 * `wsFrameBytesMax`, otherwise what the AppError means.
 */
export function mountRoutes(app: Hono, routes: readonly AnyRoute[], deps: RouteDeps): void {
  for (const route of routes) app.on(route.method.toUpperCase(), route.path, (c) => answer(c, route, deps));
}

async function answer(c: Context, route: AnyRoute, deps: RouteDeps): Promise<Response> {
  try {
    const caller = await findCaller(c.req.raw, deps.tokens(), deps.now());
    if (caller === undefined) {
      const headers = { "www-authenticate": "Bearer" };
      return refuse(401, "gateway_refused", "a token is needed: Authorization: Bearer <token>", headers);
    }
    const wanted = [route.scope].flat();
    if (!wanted.some((scope) => mayDo(caller.scope, scope))) {
      const needed = wanted.join("` or `");
      return refuse(403, "gateway_refused", `this token is good for \`${caller.scope}\`; \`${needed}\` is needed`);
    }
    const params = parse(route.params, c.req.param(), "the address");
    const query = parse(route.query, c.req.query(), "the query");
    const body = route.body === undefined ? undefined : parse(route.body, await readJson(c.req.raw), "the body");
    const { headers, signal } = c.req.raw;
    const stream = route.body === undefined ? c.req.raw.body : null;
    const made = await route.run({ params, query, body, caller, headers, stream, signal });
    return made instanceof Response ? made : Response.json(made ?? null);
  } catch (error) {
    const id = crypto.randomUUID();
    if (!(error instanceof AppError)) deps.report(error, id);
    const { status, body } = toHttpFailure(error, id);
    return Response.json(body, { status });
  }
}

function refuse(status: number, code: string, message: string, headers: HeadersInit = {}): Response {
  return Response.json(toHttpError(code, message, status), { status, headers });
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join(".") ?? "";
  throw new AppError("usage", `${what}${path === "" ? "" : `, ${path}`}: ${issue?.message ?? "invalid"}`);
}

async function readJson(request: Request): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "application/json";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new AppError("usage", "the body must be application/json");
  const max = LIMITS.wsFrameBytesMax;
  let text: string;
  try {
    text = request.body === null ? "" : await readBounded(request.body, max);
  } catch (error) {
    if (error instanceof RangeError) throw new AppError("frame_too_large", `a body has at most ${max} bytes`);
    throw new AppError("usage", "the body was cut off", { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError("usage", "the body is not JSON");
  }
}
