import { Argument, Command, CommanderError, Option } from "commander";
import { toPrintable } from "#/lib/printable.ts";
import type { SessionsAsk } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { reportError } from "#/cli/report_error.ts";

/** Options that every command which needs a configuration takes. */
export interface CommonOptions {
  readonly config?: string;
  readonly user?: string;
  readonly tier?: string;
}

/** Options of a command that can also answer with one JSON document. */
export interface JsonOptions extends CommonOptions {
  readonly json?: boolean;
}

/** Options of `tools add`. */
export interface AddOptions extends CommonOptions {
  readonly manifest: string;
  readonly yes?: boolean;
}

/** Options of `sessions …`. */
export interface SessionsOptions extends JsonOptions {
  readonly archived?: boolean;
  readonly yes?: boolean;
  /** Decimal digits. */
  readonly at?: string;
  readonly name?: string;
  readonly output?: string;
}

/** Options of `run`, `chat`, `tui` and `ask`. */
export interface TurnOptions extends JsonOptions {
  readonly session?: string;
  readonly model?: string;
  /** Folder for the pictures and sounds that the model makes. */
  readonly saveMedia?: string;
  /** The second of the two words that let the gateway listen on the network without TLS. */
  readonly plainTextToTheNetwork?: boolean;
  /** Variables handed to this start. */
  readonly env?: readonly string[];
  readonly envFile?: string;
  /** A gateway elsewhere, and the file with its token. */
  readonly gateway?: string;
  readonly tokenFile?: string;
}

const EXITS = `
Exit codes: 0 done · 1 internal · 2 usage or configuration · 3 the model's provider failed · 4 a budget ended the turn ·
            5 policy refused a tool call · 130 interrupted

Try:  oxydra run "write a haiku about rivers to /shared/haiku.txt, then read it back"
      oxydra doctor
`;

const STATUS_EXITS = `
Exit codes: 0 it runs · 3 it does not, or not yet · 1 the audit log is not what its runner wrote · 2 usage or configuration
`;

/** The files of the commands. Each is loaded when it is wanted, so that a command costs what it uses. */
interface Files {
  "./approvals.ts": typeof import("#/cli/approvals.ts");
  "./audit_show.ts": typeof import("#/cli/audit_show.ts");
  "./audit_verify.ts": typeof import("#/cli/audit_verify.ts");
  "./backup.ts": typeof import("#/cli/backup.ts");
  "./catalog_fetch.ts": typeof import("#/cli/catalog_fetch.ts");
  "./catalog_show.ts": typeof import("#/cli/catalog_show.ts");
  "./catalog_verify.ts": typeof import("#/cli/catalog_verify.ts");
  "./config_show.ts": typeof import("#/cli/config_show.ts");
  "./doctor.ts": typeof import("#/cli/doctor.ts");
  "./launch.ts": typeof import("#/cli/launch.ts");
  "./posture.ts": typeof import("#/cli/posture.ts");
  "./restore.ts": typeof import("#/cli/restore.ts");
  "./selfcheck.ts": typeof import("#/cli/selfcheck.ts");
  "./sessions.ts": typeof import("#/cli/sessions.ts");
  "./setup.ts": typeof import("#/cli/setup.ts");
  "./reload.ts": typeof import("#/cli/reload.ts");
  "./status.ts": typeof import("#/cli/status.ts");
  "./tokens.ts": typeof import("#/cli/tokens.ts");
  "./tools.ts": typeof import("#/cli/tools.ts");
  "./trust.ts": typeof import("#/cli/trust.ts");
  "./usage.ts": typeof import("#/cli/usage.ts");
}

/** Makes the action of a command: loads its file, calls it with what stood on the command line, and keeps the exit code. */
type Run = <Path extends keyof Files, Args extends unknown[]>(
  path: Path,
  action: (file: Files[Path], ...args: Args) => Promise<number>,
) => (...args: Args) => Promise<void>;

/** Runs one command line and returns its exit code. Nothing but this function reads Deno.env, and it passes on what it read. */
export async function main(args: readonly string[], version: string): Promise<number> {
  let code: number = EXIT.done;
  const run: Run = (path, action) => async (...args) => {
    // The specifier is no literal, so that Deno reads the file now and not before (--help: 30 ms).
    code = await action(await import(new URL(path, import.meta.url).href), ...args);
  };
  try {
    await toProgram(version, run).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportError(error);
  }
}

const CONFIG = [new Option("--config <dir>", "read this folder instead of ./.oxydra")];
const COMMON = [
  ...CONFIG,
  new Option("--user <id>", "which user's workspace"),
  new Option("--tier <name>", "isolation tier, whatever the configuration says")
    .choices(["process", "container", "micro_vm"]),
];
const DOCUMENT = new Option("--json", "as one JSON document");
const HANDED = [
  new Option("-e, --env <name=value>", "set a variable for this start; a name alone is taken from the environment")
    .argParser((entry: string, before: readonly string[] = []) => [...before, entry]),
  new Option("--env-file <file>", "set the variables of this file, one NAME=VALUE a line"),
];
const SESSION = [
  ...COMMON,
  ...HANDED,
  new Option("--session <id>", "continue or start this session"),
  new Option(
    "--plain-text-to-the-network",
    "with [gateway] plain_text_to_the_network: serve other machines without TLS, readable by whoever is between",
  ),
  new Option("--model <provider/model>", "use this model for the gateway that this command starts"),
  new Option("--gateway <url>", "use the gateway at this ws:// or wss:// address (its token: OXYDRA_GATEWAY_TOKEN)"),
  new Option("--token-file <file>", "the file with that token"),
];
const TURN = [
  ...SESSION,
  new Option("--json", "print each event as one JSON line"),
  new Option("--save-media <dir>", "write pictures and sounds that the model makes into this folder"),
];

/** Adds a command; what it takes besides these options follows. How it ends and what it prints it has from its parent. */
function add(
  parent: Command,
  name: string,
  about: string,
  options: readonly Option[] = [],
  isDefault: boolean = false,
): Command {
  const command = parent.command(name, { isDefault }).description(about);
  for (const option of options) command.addOption(option);
  return command;
}

/** The command tree. */
function toProgram(version: string, run: Run): Command {
  const program = new Command("oxydra")
    .description("A self-hosted, sandboxed agent: the model plans, WASM tools act, and nothing acts without a grant.")
    .version(`oxydra ${version} (deno ${Deno.version.deno})`)
    .addHelpText("after", EXITS)
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(toPrintable(text)) })
    .exitOverride();
  addTurnCommands(program, run, version);
  addConfigCommands(program, run);
  addToolsCommands(program, run);
  addCatalogCommands(program, run);
  addAuditCommands(program, run);
  addApprovalCommands(program, run);
  addSessionCommands(program, run, version);
  addTokenCommands(program, run);
  add(program, "setup", "choose the model that answers: asks, tries it once, then writes it down")
    .option("--provider <name>", "openai, anthropic, gemini, a server on this machine, or a name for --base-url")
    .option("--model <id>", "the model's id")
    .option("--base-url <url>", "a server that speaks OpenAI's protocol, or that of the vendor named by --provider")
    .action(run("./setup.ts", (file, options) => file.runSetup(options)));
  const json = [...COMMON, DOCUMENT];
  add(program, "status", "say whether it runs, what waits for you, and the audit log's head", json)
    .addHelpText("after", STATUS_EXITS)
    .action(run("./status.ts", (file, options) => file.runStatus(options)));
  add(program, "reload", "have what runs read its configuration again; it also does so when a file changes", COMMON)
    .action(run("./reload.ts", (file, options) => file.runReload(options)));
  add(program, "doctor", "show each process, its exact flags and what it can reach; check this machine", json)
    .action(run("./doctor.ts", (file, options) => file.runDoctor(options, version)));
  add(program, "usage", "print what models were used for, and what it cost", json)
    .option("--days <n>", "of this many days, today among them (UTC)", "30")
    .option("--session <id>", "of this session")
    .addOption(new Option("--by <what>", "one row each").choices(["model", "session", "day"]))
    .action(run("./usage.ts", (file, options) => file.runUsage(options)));
  add(program, "backup", "copy the event log, with every conversation, into one file; also while it runs", json)
    .argument("[file]", "where to; a name with the date in this folder without it")
    .option("--force", "write over a file that is there")
    .action(run("./backup.ts", (file, path, options) => file.runBackup(path, options)));
  add(program, "restore", "put a backup in the place of the event log, which is kept; not while it runs", json)
    .argument("<file>", "what oxydra backup made")
    .action(run("./restore.ts", (file, path, options) => file.runRestore(path, options)));
  add(program, "posture", "say what this installation can touch right now, and who decides; changes nothing", json)
    .action(run("./posture.ts", (file, options) => file.runPosture(options, version)));
  add(program, "selfcheck", "attack this installation for a moment and say what held; exit 2 when a wall did not", json)
    .action(run("./selfcheck.ts", (file, options) => file.runSelfcheck(options)));
  return program;
}

function addTurnCommands(program: Command, run: Run, version: string): void {
  add(program, "run", "send one message, show the turn, exit with its result", TURN)
    .argument("<prompt...>", "the message")
    .action(run("./launch.ts", (file, words, options) => file.launchClient("run", words.join(" "), options, version)));
  add(program, "tui", "talk in this terminal, with a screen: what `chat` is where it can be", SESSION)
    .action(run("./launch.ts", (file, options) => file.launchClient("tui", undefined, options, version)));
  add(program, "chat", "talk in this terminal; from a pipe, one turn a line", TURN)
    .action(run("./launch.ts", (file, options) => file.launchClient("chat", undefined, options, version)));
  add(program, "ask", "what follows -- is the message; nothing means chat", TURN)
    .argument("[prompt...]", "the message")
    .action(run("./launch.ts", (file, words, options) => {
      return file.launchClient(words.length > 0 ? "run" : "chat", words.join(" "), options, version);
    }));
}

function addConfigCommands(program: Command, run: Run): void {
  const config = add(program, "config", "the configuration, layer by layer");
  add(config, "show", "print each value and the layer it comes from; secrets are masked", COMMON)
    .option("--effective", "every value, defaults included (what is shown without it too)")
    .addOption(DOCUMENT)
    .action(run("./config_show.ts", (file, options) => file.runConfigShow(options)));
  add(program, "trust", "let this configuration file widen what the agent may reach, as long as it stays as it is now")
    .argument("<file>", "a file in ./.oxydra")
    .action(run("./trust.ts", (file, path) => file.runTrust(path)));
}

function addToolsCommands(program: Command, run: Run): void {
  const tools = add(program, "tools", "tool packages of others: WASM components with a manifest");
  add(tools, "add <file.wasm>", "show what a package asks for, and install it", COMMON)
    .requiredOption("--manifest <file.json>", "the package's manifest")
    .option("--yes", "agree to what it asks for")
    .action(run("./tools.ts", (file, path, options) => file.runToolsAdd(path, options)));
  add(tools, "list", "print the installed packages and what each may ask for", COMMON)
    .action(run("./tools.ts", (file, options) => file.runToolsList(options)));
  add(tools, "remove <name>", "remove a package", COMMON)
    .action(run("./tools.ts", (file, name, options) => file.runToolsRemove(name, options)));
  add(tools, "reinstall <name>", "install a damaged package again from what was kept", COMMON)
    .action(run("./tools.ts", (file, name, options) => file.runToolsReinstall(name, options)));
}

function addCatalogCommands(program: Command, run: Run): void {
  const catalog = add(program, "catalog", "what is known about models: limits, abilities, prices");
  const json = [...CONFIG, DOCUMENT];
  add(catalog, "show", "print the vendors, the models of one, or all about one model", json)
    .argument("[vendor[/model]]", "as in openai or openai/gpt-5")
    .action(run("./catalog_show.ts", (file, what, options) => file.runCatalogShow(what, options)));
  add(catalog, "verify", "check the catalog's files; exit 2 when one is not used as it is", json)
    .action(run("./catalog_verify.ts", (file, options) => file.runCatalogVerify(options)));
  add(catalog, "fetch", "fetch a newer catalog from models.dev into ~/.config/oxydra", CONFIG)
    .option("--url <address>", "from here, whatever [catalog] pinned_url says")
    .action(run("./catalog_fetch.ts", (file, options) => file.runCatalogFetch(options)));
}

function addAuditCommands(program: Command, run: Run): void {
  const audit = add(program, "audit", "what tools were allowed to do, and did");
  add(audit, "verify", "check the log's chain, and what turns saw of it; exit 1 when it is broken", [
    ...COMMON,
    DOCUMENT,
  ])
    .action(run("./audit_verify.ts", (file, options) => file.runAuditVerify(options)));
  add(audit, "show", "print the newest entries, one a line", COMMON)
    .option("--turn <id>", "of this turn")
    .option("--session <id>", "of this session")
    .option("--tool <name>", "of this tool")
    .option("--denied", "what was refused")
    .option("--last <n>", "at most this many", "50")
    .option("--json", "each entry as one JSON line")
    .action(run("./audit_show.ts", (file, options) => file.runAuditShow(options)));
}

function addSessionCommands(program: Command, run: Run, version: string): void {
  const sessions = add(program, "sessions", "list, name, archive, delete, branch, export and import conversations");
  const json = [...COMMON, DOCUMENT];
  const ID = "its id, or as much of it as no other one begins with";
  const ask = (what: SessionsAsk["do"]) =>
    run("./sessions.ts", (file, ...args: unknown[]) => {
      const [options] = args.splice(-2) as [SessionsOptions];
      return file.runSessions(what, args as string[], options, version);
    });
  add(sessions, "list", "print the sessions, the last active first", json, true)
    .option("--archived", "with those in the archive")
    .action(ask("list"));
  add(sessions, "show", "print all about one", json).argument("<id>", ID).action(ask("show"));
  add(sessions, "rename", "name one; an empty name takes its name away", json)
    .argument("<id>", ID).argument("<name>", "the name").action(ask("rename"));
  add(sessions, "archive", "put one away; a message to it takes it back", json).argument("<id>", ID).action(
    ask("archive"),
  );
  add(sessions, "unarchive", "take one back", json).argument("<id>", ID).action(ask("unarchive"));
  add(sessions, "delete", "delete one for good: everything that was said in it", json)
    .argument("<id>", ID).option("--yes", "do not ask").action(ask("delete"));
  add(sessions, "branch", "begin a new one as another one was", json)
    .argument("<id>", ID)
    .option("--at <event>", "up to and with this event; without it, all of them")
    .option("--name <name>", "the new one's name")
    .action(ask("branch"));
  add(sessions, "export", "write one as JSON lines, with everything that was said and made in it", json)
    .argument("<id>", ID).option("--output <file>", "into this new file instead of stdout").action(ask("export"));
  add(sessions, "import", "make a session of an exported file", json)
    .argument("<file>", "the file; - is stdin").action(ask("import"));
}

function addApprovalCommands(program: Command, run: Run): void {
  const approvals = add(program, "approvals", "see which calls wait for you, and answer them");
  add(approvals, "list", "show the calls that wait for an answer", [...COMMON, DOCUMENT], true)
    .action(run("./approvals.ts", (file, options) => file.runApprovalsList(options)));
  add(approvals, "answer", "answer one of them as the owner", COMMON)
    .argument("<id>", "the id that the list shows, or the start of it that the list shows in front")
    .addArgument(
      new Argument("<answer>", "yes once, yes in this session, yes until a time; no, or never again")
        .choices(["once", "session", "until", "no", "never"]),
    )
    .option("--until <time>", "with `until`: 90m, 8h or 2d from now, or a date such as 2030-01-31T18:00")
    .action(run("./approvals.ts", (file, id, answer, options) => file.runApprovalsAnswer(id, answer, options)));
}

function addTokenCommands(program: Command, run: Run): void {
  const tokens = add(program, "tokens", "who else may speak to the gateway: tokens that you make and end");
  add(tokens, "create", "make a token and print it, this once", [...COMMON, DOCUMENT])
    .requiredOption("--name <name>", "what you call it")
    .addOption(
      new Option("--scope <scope>", "everything, only watching, or messages in sessions that it begins itself")
        .choices(["owner", "read", "channel"]).makeOptionMandatory(),
    )
    .option("--expires <time>", "90m, 8h or 30d from now; without it, never")
    .action(run("./tokens.ts", (file, options) => file.runTokensCreate(options)));
  add(tokens, "list", "print them, never what opens", [...COMMON, DOCUMENT], true)
    .action(run("./tokens.ts", (file, options) => file.runTokensList(options)));
  add(tokens, "revoke <name>", "end the token of this name or id, and close what it opened", COMMON)
    .action(run("./tokens.ts", (file, name, options) => file.runTokensRevoke(name, options)));
}
