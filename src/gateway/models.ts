import { z } from "zod";
import { checkModel, modelNames } from "#/gateway/api_body.ts";
import type { DoorDeps } from "#/gateway/api_turn.ts";
import { type AnyRoute, defineRoute } from "#/gateway/route.ts";

const Model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.number().int(),
  owned_by: z.string(),
});

/** `GET /v1/models` and `GET /v1/models/{id}`: the agent under its own name, and under those of the model that it thinks with. */
export function toModelRoutes({ info, now }: Pick<DoorDeps, "info" | "now">): readonly AnyRoute[] {
  // The agent is as old as this gateway.
  const created = Math.floor(now() / 1000);
  const toModel = (id: string): z.infer<typeof Model> => {
    return { id, object: "model", created, owned_by: id === "oxydra" ? "oxydra" : info.provider };
  };
  return [
    defineRoute({
      method: "get",
      path: "/v1/models",
      scope: ["channel", "read"],
      about: "The names that a request may ask for",
      answer: { about: "A list", schema: z.object({ object: z.literal("list"), data: z.array(Model) }) },
      run: () => Promise.resolve({ object: "list", data: modelNames(info).map(toModel) }),
    }),
    defineRoute({
      method: "get",
      // A name with a slash in it may come as it is.
      path: "/v1/models/:id{.+}",
      scope: ["channel", "read"],
      about: "One of them",
      params: z.object({ id: z.string() }),
      answer: { about: "The model", schema: Model },
      run({ params }) {
        checkModel(params.id, info);
        return Promise.resolve(toModel(params.id));
      },
    }),
  ];
}
