import type { ModelDescriptor, ModelPrice } from "#/core/model.ts";
import { toOneLine } from "#/lib/printable.ts";
import { toRow, toTable } from "#/cli/columns.ts";
import { toCount } from "#/cli/wording.ts";

/** Where the text beside a label begins. */
const LABEL = 10;
/** One cell; ids are at most 256 characters, and a stranger may have written them. */
const CELL_CHARS_MAX = 300;

/** A model as it is shown: what counts of it, changes of the overlay included. `--json` prints it as it is. */
export interface ShownModel extends ModelDescriptor {
  readonly vendor: string;
  /** ISO 8601; it may lack the day. */
  readonly released?: string;
  /** `deprecated`, `beta` or what else a vendor calls it. */
  readonly status?: string;
}

/** A row for each vendor, the models of each being given newest first. `places` are where they are from, the first that counts first. Pure. */
export function toVendorTable(models: readonly ShownModel[], places: readonly string[]): string {
  const rows = [...Map.groupBy(models, ({ vendor }) => vendor)].map(([vendor, own]) => {
    const { name, released = "" } = own[0]!;
    return [vendor, String(own.length), released, name].map(toCell);
  });
  return [
    ...toTable([["vendor", "models", "newest", ""], ...rows], [1]),
    "",
    `${toCount(models.length, "model")}, from ${places.map(toCell).join(", then ")}`,
    `those of one vendor: oxydra catalog show ${rows.at(-1)?.[0] ?? "openai"}`,
  ].join("\n");
}

/** A row for each of a vendor's models, of which there is at least one. Pure. */
export function toModelTable(models: readonly ShownModel[]): string {
  const sources = [...new Set(models.map(({ source }) => source))];
  const rows = models.map((model) =>
    [
      model.id,
      toShort(model.contextTokens),
      toShort(model.outputTokens),
      model.price === undefined ? "?" : toDollars(model.price.input),
      model.price === undefined ? "?" : toDollars(model.price.output),
      [...toRemarks(model), ...(sources.length > 1 ? [model.source] : [])].join(", "),
    ].map(toCell)
  );
  const from = sources.length > 1 ? "" : `; from ${toCell(sources[0]!)}`;
  const { vendor, id } = models[0]!;
  return [
    ...toTable([["model", "context", "reply", "$ in", "$ out", "besides text"], ...rows], [1, 2, 3, 4]),
    "",
    `context and reply in tokens, prices in US dollars per million of them${from}`,
    `all about one: oxydra catalog show ${toCell(`${vendor}/${id}`)}`,
  ].join("\n");
}

/** All that is known about one model. Pure. */
export function toModelCard(model: ShownModel): string {
  const { name, released, status, contextTokens, inputTokens, price } = model;
  const prompt = inputTokens === undefined ? "" : `, a prompt at most ${toGrouped(inputTokens)}`;
  const abilities = [
    model.toolCall ? "tools" : "no tools",
    ...(model.reasoning ? ["reasoning"] : []),
    ...(model.structuredOutput ? ["structured output"] : []),
  ];
  const rows: readonly (readonly [string, string])[] = [
    ["name", [name, ...(released === undefined ? [] : [`of ${released}`]), ...(status ? [status] : [])].join(", ")],
    ["context", `${toGrouped(contextTokens)} tokens${prompt}`],
    ["reply", `at most ${toGrouped(model.outputTokens)} tokens`],
    ["takes", model.input.join(", ")],
    ["makes", model.output.join(", ")],
    ["has", abilities.join(", ")],
    ["price", price === undefined ? "not known: a cost limit refuses this model" : toPriceText(price)],
    ["from", model.source],
  ];
  return [
    toCell(`${model.vendor}/${model.id}`),
    ...rows.flatMap(([label, text]) => toRow(label, LABEL, toCell(text))),
  ].join("\n");
}

function toRemarks({ input, output, toolCall, status }: ShownModel): string[] {
  const takes = input.filter((modality) => modality !== "text").join(" ");
  const makes = output.filter((modality) => modality !== "text").join(" ");
  const remarks = [takes, makes === "" ? "" : `makes ${makes}`, toolCall ? "" : "no tools", status ?? ""];
  return remarks.filter((remark) => remark !== "");
}

function toPriceText({ tiers = [], ...rates }: ModelPrice): string {
  const dearer = tiers.map(({ aboveTokens, ...above }) =>
    `; with more than ${toGrouped(aboveTokens)} in: ${toRatesText(above)}`
  );
  return `per million tokens ${toRatesText(rates)}${dearer.join("")}`;
}

function toRatesText({ input, output, cacheRead, cacheWrite }: Omit<ModelPrice, "tiers">): string {
  const parts = [
    `$${toDollars(input)} in`,
    `$${toDollars(output)} out`,
    ...(cacheRead === undefined ? [] : [`$${toDollars(cacheRead)} read from the cache`]),
    ...(cacheWrite === undefined ? [] : [`$${toDollars(cacheWrite)} written into it`]),
  ];
  return parts.join(", ");
}

/** At least cents, and what comes after them: 1.00, 0.075. */
function toDollars(amount: number): string {
  const text = String(+amount.toFixed(6));
  return /\.\d{3,}$/.test(text) ? text : amount.toFixed(2);
}

/** 8.2k, 400k, 1.05M. */
function toShort(tokens: number): string {
  if (tokens >= 999_500) return `${+(tokens / 1e6).toFixed(2)}M`;
  return tokens < 1_000 ? String(tokens) : `${+(tokens / 1e3).toFixed(tokens < 10_000 ? 1 : 0)}k`;
}

function toGrouped(count: number): string {
  return count.toLocaleString("en-US");
}

function toCell(text: string): string {
  return toOneLine(text, CELL_CHARS_MAX);
}
