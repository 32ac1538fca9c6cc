import { resolveUser } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { probeLocalServers } from "#/provider/local_servers.ts";
import { isProtocol, normalizeBaseUrl } from "#/provider/base_url.ts";
import { findApiKey, vendorOf } from "#/provider/select.ts";
import { line } from "#/lib/field.ts";
import { toOneLine } from "#/lib/printable.ts";
import { Secret } from "#/lib/secret.ts";
import { describeStart } from "#/runner/describe_start.ts";
import { isDescribed, planStart } from "#/runner/plan_start.ts";
import type { Environment } from "#/runner/process_plan.ts";
import { readEndpoint } from "#/runner/endpoint.ts";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { loadFor, openProgram } from "#/cli/place.ts";
import { type Chosen, writeSetup } from "#/cli/setup_files.ts";
import { openModelTrial } from "#/cli/setup_trial.ts";
import { Terminal } from "#/cli/terminal.ts";
import { toCount } from "#/cli/wording.ts";

/** Options of `setup`; what is absent is asked for. */
export interface SetupOptions {
  readonly provider?: string;
  readonly model?: string;
  readonly baseUrl?: string;
}

/** A row of the first question. */
interface Row {
  readonly name: string;
  readonly type: Chosen["type"];
  readonly baseUrl?: string;
  readonly about: string;
}

const SHOWN_MODELS_MAX = 20;
const TRIES_MAX = 3;
const LINE_CHARS = 200;

/**
 * Asks for a provider, its key and a model, has the model answer once, and then writes both down in `~/.config/oxydra` (0600). Nothing is
 * written before that answer. From a pipe each question takes a line. Throws AppError `usage` when input ends, and what the files throw.
 */
export async function runSetup(options: SetupOptions): Promise<number> {
  const env = Deno.env.toObject();
  if (!env.HOME) throw new AppError("usage", "HOME is not set, so there is nowhere to write the settings");
  const terminal = new Terminal();
  const program = await openProgram();
  const row = await chooseProvider(terminal, options, env);
  await using trial = await openModelTrial({ program, env, say: (line) => terminal.say(line) });
  for (let attempt = 1;; attempt++) {
    const keyed = await askKey(terminal, row, env);
    const listed = await trial.models(keyed);
    if (!listed.ok) terminal.say(`✗ ${toOneLine(listed.message, LINE_CHARS)}`);
    // A server without a list may still answer; a key that was refused will not.
    if (listed.ok || (listed.code !== "provider_auth" && listed.code !== "provider_unavailable")) {
      const model = await chooseModel(terminal, keyed, listed.ok ? listed.models : [], options.model);
      const replied = await trial.reply({ ...keyed, model });
      if (replied.ok) {
        terminal.say(`✓ ${row.name}/${model} answers: ${toOneLine(replied.text, LINE_CHARS)} (${replied.ms} ms)`);
        return await finish(terminal, { ...keyed, model }, env.HOME);
      }
      terminal.say(`✗ ${toOneLine(replied.message, LINE_CHARS)}`);
      if (attempt === TRIES_MAX || !terminal.isTerminal) return toExitCode(replied.code);
    } else if (attempt === TRIES_MAX || !terminal.isTerminal) return toExitCode(listed.code);
  }
}

async function chooseProvider(terminal: Terminal, options: SetupOptions, env: Environment): Promise<Row> {
  const rows = await toRows(env);
  const wanted = options.provider;
  if (options.baseUrl !== undefined) return toOwnRow(wanted ?? "local", options.baseUrl);
  if (wanted === undefined) {
    terminal.say("Which model shall answer? Nothing is written before it has answered once.\n");
    rows.forEach(({ name, about }, at) => terminal.say(`  ${at + 1}  ${name.padEnd(12)} ${about}`));
    const other = "a server that speaks OpenAI's protocol: vLLM, llama.cpp, OpenRouter …";
    terminal.say(`  ${rows.length + 1}  ${"other".padEnd(12)} ${other}\n`);
  }
  const text = wanted ?? await need(terminal.ask("Provider [1]: "));
  const row = text === "" ? rows[0] : rows.find(({ name }) => name === text) ?? rows[Number(text) - 1];
  if (row !== undefined) return row;
  if (text !== "other" && Number(text) !== rows.length + 1) {
    const names = [...rows.map(({ name }) => name), "other"].join(", ");
    throw new AppError("usage", `there is no provider "${toOneLine(text, LINE_CHARS)}" here; there are: ${names}`);
  }
  return toOwnRow("local", await need(terminal.ask("Its base URL, like http://127.0.0.1:8000/v1: ")));
}

async function toRows(env: Environment): Promise<Row[]> {
  const vendors = (["openai", "anthropic", "gemini"] as const).map((type): Row => {
    const variable = vendorOf(type)!.env;
    return {
      name: type,
      type,
      about: env[variable] ? `${variable} is set` : `wants a key, as ${variable} or typed here`,
    };
  });
  const locals = (await probeLocalServers(fetch)).map(({ label, baseUrl, models }): Row => ({
    name: label.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_"),
    type: "openai",
    baseUrl,
    about: `answers at ${baseUrl} with ${toCount(models.length, "model")}; needs no key`,
  }));
  return [...vendors, ...locals];
}

function toOwnRow(name: string, baseUrl: string): Row {
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(name)) {
    throw new AppError("usage", "a provider's name has small letters, digits, - and _ only, at most 32");
  }
  const type = isProtocol(name) ? name : "openai";
  normalizeBaseUrl(baseUrl, type);
  return { name, type, baseUrl, about: "" };
}

async function askKey(terminal: Terminal, row: Row, env: Environment): Promise<Chosen> {
  const { name, type, baseUrl } = row;
  const chosen = { name, type, ...(baseUrl === undefined ? {} : { baseUrl }) };
  const variable = baseUrl === undefined ? vendorOf(type)?.env : undefined;
  const fromEnv = variable === undefined || !env[variable]
    ? undefined
    : findApiKey(name, { provider_type: type, api_key_env: variable }, env);
  const otherwise = fromEnv === undefined
    ? baseUrl === undefined ? "" : "; Enter for none"
    : `; Enter takes ${variable}`;
  const typed = await terminal.askSecret(`API key (not shown${otherwise}): `);
  if (typed !== undefined && typed !== "") {
    const found = findApiKey(name, { provider_type: type, api_key: new Secret(typed) }, {})!;
    return { ...chosen, key: found.key };
  }
  if (fromEnv !== undefined) return { ...chosen, key: fromEnv.key, keyVariable: variable! };
  // An entry without a key is sent the vendor's own, when that is in the environment (SPEC §1): not meant for this server.
  if (baseUrl !== undefined) return { ...chosen, key: new Secret("no-key") };
  throw new AppError("usage", `${name} wants an API key: type it, or set ${variable}`);
}

async function chooseModel(
  terminal: Terminal,
  { type, baseUrl }: Chosen,
  models: readonly string[],
  wanted: string | undefined,
): Promise<string> {
  const usual = baseUrl === undefined ? vendorOf(type)?.model : undefined;
  const first = usual !== undefined && (models.length === 0 || models.includes(usual)) ? usual : models[0];
  const shown = models.slice(0, SHOWN_MODELS_MAX);
  if (wanted === undefined) {
    shown.forEach((id, at) => terminal.say(`  ${String(at + 1).padStart(2)}  ${toOneLine(id, LINE_CHARS)}`));
    const more = models.length - shown.length;
    if (more > 0) terminal.say(`      … and ${more} more; type an id`);
  }
  const text = wanted ??
    await need(terminal.ask(first === undefined ? "Model: " : `Model [${toOneLine(first, LINE_CHARS)}]: `));
  const model = text === "" ? first : models.includes(text) ? text : shown[Number(text) - 1] ?? text;
  if (model === undefined || model === "") throw new AppError("usage", "a model is needed: type its id");
  if (!line().safeParse(model).success) throw new AppError("usage", "a model's id has no control characters");
  return model;
}

/** Writes, and says when another layer of the configuration still decides otherwise. */
async function finish(terminal: Terminal, chosen: Chosen & { readonly model: string }, home: string): Promise<number> {
  for (const path of await writeSetup(chosen, home)) terminal.say(`written: ${path}`);
  await tellOthers(terminal, chosen);
  terminal.say('Try:  oxydra run "write a haiku about rivers to /shared/haiku.txt, then read it back"');
  return EXIT.done;
}

/** Another layer may decide otherwise or be broken, and a vendor may serve a model that our catalog does not have yet, which a start would refuse. */
async function tellOthers(terminal: Terminal, { name, model }: Chosen & { readonly model: string }): Promise<void> {
  try {
    const loaded = await loadFor({});
    const { selection } = loaded.config;
    if (selection.provider !== name || selection.model !== model) {
      const other = `${selection.provider}/${selection.model}`;
      terminal.say(`Here ${other} answers all the same: see \`oxydra config show\` for what sets it.`);
    }
    if (readEndpoint(resolveUser(loaded).folders.ipc) !== null) {
      terminal.say("The gateway that runs here changes to it by itself; `oxydra status` says so if it cannot.");
    }
    const plan = planStart(loaded, Deno.env.toObject(), []);
    if (!isDescribed(plan, loaded)) await describeStart(plan, loaded);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    terminal.say(`Before it can start: ${error.message}`);
  }
}

async function need(answer: Promise<string | undefined>): Promise<string> {
  const text = await answer;
  if (text === undefined) throw new AppError("usage", "the input ended before everything was answered");
  return text;
}
