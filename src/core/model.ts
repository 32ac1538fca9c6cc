/** What a message can carry to a model. `document` is any other file. */
export type Modality = "text" | "image" | "audio" | "video" | "pdf" | "document";

/** US dollars per million tokens, as models.dev states them. */
export interface ModelPrice {
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  /** What all of a call costs when its prompt is longer than this, the smaller bound first. */
  readonly tiers?: readonly (Omit<ModelPrice, "tiers"> & { readonly aboveTokens: number })[];
}

/** What is known about a model: where it ends, what it takes, what it costs. */
export interface ModelDescriptor {
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Tokens of a whole conversation, the reply included. */
  readonly contextTokens: number;
  /** Tokens of a prompt, where the vendor sets a smaller bound. */
  readonly inputTokens?: number;
  /** Tokens of one reply. */
  readonly outputTokens: number;
  readonly input: readonly Modality[];
  readonly output: readonly Modality[];
  readonly toolCall: boolean;
  readonly reasoning: boolean;
  readonly structuredOutput: boolean;
  /** Absent when nobody has stated it: a cost limit then refuses the model. */
  readonly price?: ModelPrice;
  /** Where this was read: the catalog's place, or `synthetic` for a model that no catalog has. */
  readonly source: string;
}

/** The modality of a file by its MIME type. */
export function toModality(mimeType: string): Modality {
  const type = mimeType.trim().toLowerCase();
  if (type.startsWith("application/pdf")) return "pdf";
  const kind = type.split("/")[0];
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "document";
}
