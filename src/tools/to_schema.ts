import { z } from "zod";
import type { ToolSchema } from "#/core/provider.ts";
import type { Tool } from "#/core/tool.ts";

/**
 * A tool as a model sees it: name, description and the JSON Schema (draft 2020-12) of its arguments, as a model writes them. Pure;
 * the caller keeps the result for as long as it has the tool.
 */
export function toSchema<Args>(tool: Pick<Tool<Args>, "name" | "description" | "args">): ToolSchema {
  // `$schema` costs tokens in every request and no vendor reads it.
  const { $schema: _, ...parameters } = z.toJSONSchema(tool.args, { target: "draft-2020-12", io: "input" });
  return { name: tool.name, description: tool.description, parameters };
}
