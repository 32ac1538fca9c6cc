import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Hono } from "hono";
import { Conversations } from "#/gateway/conversations.ts";
import { openDoors, toRoutes } from "#/gateway/doors.ts";
import { toModelRoutes } from "#/gateway/models.ts";
import { toOpenApi, toOpenApiRoute } from "#/gateway/openapi.ts";
import { mountRoutes } from "#/gateway/route.ts";
import { openDoorHouse } from "./door_house.ts";

const INFO = { version: "9.9.9", provider: "p", model: "m", reason: "", workspace: "/w" };
const routes = toRoutes({ info: INFO, now: () => 0 } as never);

Deno.test("the OpenAPI document is valid OpenAPI 3.1, and is served", async () => {
  await using doors = await openDoorHouse();
  const response = await doors.ask("/api/v1/openapi.json", { token: "eyes" });
  const document = await response.json();
  assert.equal(response.status, 200);
  const verdict = await new Validator().validate(structuredClone(document));
  assert.deepEqual([verdict.valid, verdict.errors ?? []], [true, []]);
  assert.equal(document.openapi.slice(0, 3), "3.1");
  assert.deepEqual(document, JSON.parse(JSON.stringify(toOpenApi(routes, "9.9.9"))));
});

Deno.test("the validator of this test sees what is wrong", async () => {
  const document = structuredClone(toOpenApi(routes, "1")) as { paths: Record<string, unknown> };
  document.paths["no-slash"] = {};
  assert.equal((await new Validator().validate(document)).valid, false);
});

Deno.test("toOpenApi() has every route that is mounted, with its scopes, its parameters and every refusal", () => {
  const app = new Hono();
  mountRoutes(app, routes, { tokens: () => [], now: () => 0, report: () => {}, after: () => () => {} });
  const document = toOpenApi(routes, "1") as { paths: Record<string, Record<string, unknown>> };
  const mounted = app.routes.map((
    { method, path },
  ) => [method.toLowerCase(), path.replace(/:(\w+)(\{.*\})?/g, "{$1}")]);
  const described = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => [method, path])
  );
  assert.deepEqual(described.toSorted(), mounted.toSorted());
  const feed = document.paths["/api/v1/sessions/{id}/feed"]!["get"] as Record<string, unknown>;
  assert.match(String(feed["description"]), /`owner`, `read`, `channel`/);
  const parameters = feed["parameters"] as { name: string; in: string; required: boolean }[];
  assert.deepEqual(parameters.map((parameter) => [parameter.name, parameter.in, parameter.required]), [
    ["id", "path", true],
    ["after", "query", false],
  ]);
  const statuses = Object.keys(feed["responses"] as object);
  assert.deepEqual(statuses, "200 400 401 403 404 408 409 413 429 500 502 503 504".split(" "));
});

Deno.test("toOpenApiRoute() describes the routes that it is given, and itself", async () => {
  const own = toOpenApiRoute(toModelRoutes({ info: INFO, now: () => 0 }), "1");
  const { paths } = await own.run({} as never) as { paths: object };
  assert.deepEqual(Object.keys(paths), ["/v1/models", "/v1/models/{id}", "/api/v1/openapi.json"]);
});

Deno.test("openDoors() answers what no route serves in the shape of every error", async () => {
  const serve = openDoors(
    { info: INFO, tokens: () => [], now: () => 0, report: () => {}, after: () => () => {} } as never,
  );
  const response = await serve(new Request("http://127.0.0.1/v1/nothing"));
  assert.deepEqual([response.status, (await response.json()).error.code], [404, "not_found"]);
  assert.ok(new Conversations({} as never));
});
