import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { AskedOfTurn } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SaidMessage } from "#/gateway/conversation.ts";
import type { GatewayInfo } from "#/gateway/server_frame.ts";

/** A part of a message, as Chat Completions and Responses write it. */
const Part = z.discriminatedUnion("type", [
  z.looseObject({ type: z.enum(["text", "input_text", "output_text"]), text: z.string() }),
  z.looseObject({ type: z.literal("refusal"), refusal: z.string() }),
  z.looseObject({
    type: z.literal("image_url"),
    image_url: z.union([z.string(), z.looseObject({ url: z.string() })]),
  }),
  z.looseObject({ type: z.literal("input_image"), image_url: z.string() }),
  z.looseObject({ type: z.literal("file"), file: z.looseObject({ file_data: z.string() }) }),
  z.looseObject({ type: z.literal("input_file"), file_data: z.string() }),
  z.looseObject({
    type: z.literal("input_audio"),
    input_audio: z.looseObject({ data: z.string(), format: z.string() }),
  }),
]);

/** What a message says. */
export const Content = z.union([z.string(), z.array(Part).max(LIMITS.apiMessagesMax)]);
export type Content = z.infer<typeof Content>;

/** Free words of a client about its request; `session_id` names a session. */
export const Metadata = z.looseObject({ session_id: z.string().optional() }).nullish();

/** What a reply is to look like. */
export const OutputFormat = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({
    type: z.literal("json_schema"),
    name: z.string(),
    schema: z.record(z.string(), z.unknown()).default({}),
  }),
]);

const ROLES = { developer: "system", system: "system", user: "user", assistant: "assistant" } as const;

/** A message of either API. Pure. */
export function toSaid(role: string, content: Content | null | undefined, more = ""): SaidMessage {
  const parts = typeof content === "string" ? [{ type: "text", text: content } as const] : content ?? [];
  const texts: string[] = [];
  const media: string[] = [];
  for (const part of parts) {
    if (part.type === "image_url") media.push(typeof part.image_url === "string" ? part.image_url : part.image_url.url);
    else if (part.type === "input_image") media.push(part.image_url);
    else if (part.type === "file") media.push(part.file.file_data);
    else if (part.type === "input_file") media.push(part.file_data);
    else if (part.type === "input_audio") media.push(toAudioUrl(part.input_audio));
    else texts.push(part.type === "refusal" ? part.refusal : part.text);
  }
  const text = [...texts, ...(more === "" ? [] : [more])].join("\n").toWellFormed();
  return { role: Object.hasOwn(ROLES, role) ? ROLES[role as keyof typeof ROLES] : "tool", text, media };
}

function toAudioUrl({ data, format }: { data: string; format: string }): string {
  return data.startsWith("data:") ? data : `data:audio/${format};base64,${data}`;
}

const JSON_ONLY = "Answer with one JSON object and with nothing else.";

/** What a request asks of its turn. Throws AppError `usage` for a schema that is too large. */
export function toAsked(request: {
  readonly instructions: string;
  readonly format: z.infer<typeof OutputFormat> | undefined;
  readonly maxOutputTokens: number | null | undefined;
}): AskedOfTurn {
  const { format, maxOutputTokens } = request;
  const wanted = format?.type === "json_object" ? [JSON_ONLY] : [];
  const instructions = [...(request.instructions === "" ? [] : [request.instructions]), ...wanted].join("\n\n");
  if (format?.type === "json_schema" && JSON.stringify(format.schema).length > LIMITS.apiSchemaCharsMax) {
    throw new AppError("usage", `a JSON schema has at most ${LIMITS.apiSchemaCharsMax} characters`);
  }
  return {
    origin: "api",
    ...(instructions === "" ? {} : { instructions }),
    ...(format?.type === "json_schema" ? { outputSchema: { name: format.name, schema: format.schema } } : {}),
    ...(maxOutputTokens ? { maxOutputTokens } : {}),
  };
}

/** Names by which a client may ask for the one agent that is here: its own, and those of the model behind it. */
export function modelNames(info: Pick<GatewayInfo, "provider" | "model">): readonly string[] {
  return [...new Set(["oxydra", `${info.provider}/${info.model}`, info.model])];
}

/** Throws AppError `model_unknown` for any other model. */
export function checkModel(model: string, info: Pick<GatewayInfo, "provider" | "model">): void {
  const names = modelNames(info);
  if (names.includes(model)) return;
  const message = `there is no model \`${model.slice(0, LIMITS.quotedCharsMax)}\`; there is ${names.join(", ")}`;
  throw new AppError("model_unknown", message, { params: { code: "model_not_found", param: "model" } });
}

/** Throws AppError `usage` that names the parameter. */
export function refuse(param: string, why: string): never {
  throw new AppError("usage", `${param}: ${why}`, { params: { param } });
}

/** Throws AppError `usage` when the client's own tools would have to be called: the agent's tools run here, and no others. */
export function checkToolChoice(choice: unknown, param = "tool_choice"): void {
  if (choice === null || choice === undefined || choice === "auto" || choice === "none") return;
  refuse(param, "tools of a client are not called; this agent uses its own. Leave it out, or set it to auto or none");
}

/** The names in a request that nothing here obeys, in the order in which they came. Pure. */
export function ignoredIn(body: Readonly<Record<string, unknown>>, obeyed: ReadonlySet<string>): readonly string[] {
  return Object.keys(body).filter((name) => !obeyed.has(name) && body[name] !== null && /^[a-z_]{1,40}$/.test(name))
    .slice(0, LIMITS.apiIgnoredNamesMax);
}
