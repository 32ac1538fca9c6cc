import { Argument, Command, CommanderError, Option } from "commander";
import type { ApprovalAnswer } from "#/core/capability.ts";
import { toPrintable } from "#/lib/printable.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { reportError } from "#/cli/report_error.ts";

/** Options that every command which needs a configuration takes. */
export interface CommonOptions {
  readonly config?: string;
  readonly user?: string;
  readonly tier?: string;
}

/** Options of `tools add`. */
export interface AddOptions extends CommonOptions {
  readonly manifest: string;
  readonly yes?: boolean;
}

/** Options of `run`, `chat` and `ask`. */
export interface TurnOptions extends CommonOptions {
  readonly json?: boolean;
  readonly session?: string;
  readonly model?: string;
  /** Folder for the pictures and sounds that the model makes. */
  readonly saveMedia?: string;
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

/** Runs one command line and returns its exit code. Nothing but this function reads Deno.env, and it passes on what it read. */
export async function main(args: readonly string[], version: string): Promise<number> {
  let code: number = EXIT.done;
  const run = (action: () => Promise<number>) => async () => {
    code = await action();
  };
  try {
    await toProgram(version, run).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return reportError(error);
  }
}

/** Loads the file of one command. The specifier is no literal, so that Deno reads it when it is wanted and not before (--help: 30 ms). */
function load<Module>(file: string): Promise<Module> {
  return import(new URL(file, import.meta.url).href);
}

type Run = (action: () => Promise<number>) => () => Promise<void>;

/** The command tree; each action imports its own file, so that a command costs what it uses. */
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
  program.commands.forEach((command) => command.exitOverride());
  program.command("setup").description("choose the model that answers: asks, tries it once, then writes it down")
    .option("--provider <name>", "openai, anthropic, gemini, a server on this machine, or a name for --base-url")
    .option("--model <id>", "the model's id")
    .option("--base-url <url>", "a server that speaks OpenAI's protocol")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/setup.ts")>("./setup.ts")).runSetup(options))()
    );
  withCommon(program.command("status").description("say whether it runs, what waits for you, and the audit log's head"))
    .option("--json", "as one JSON document")
    .addHelpText("after", STATUS_EXITS)
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/status.ts")>("./status.ts")).runStatus(options))()
    );
  withCommon(
    program.command("doctor").description(
      "show each process, its exact flags and what it can reach; check this machine",
    ),
  )
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/doctor.ts")>("./doctor.ts")).runDoctor(options, version))()
    );
  addUsageCommand(program, run);
  withCommon(
    program.command("posture").description(
      "say what this installation can touch right now, and who decides; changes nothing",
    ),
  )
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/posture.ts")>("./posture.ts")).runPosture(options, version))()
    );
  withCommon(
    program.command("selfcheck").description(
      "attack this installation for a moment and say what held; exit 2 when a wall did not",
    ),
  )
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/selfcheck.ts")>("./selfcheck.ts")).runSelfcheck(options))()
    );
  return program;
}

function addTurnCommands(program: Command, run: Run, version: string): void {
  const turn = (mode: "run" | "chat", prompt: string | undefined, options: TurnOptions) =>
    run(async () =>
      (await load<typeof import("#/cli/launch.ts")>("./launch.ts")).launchClient(mode, prompt, options, version)
    )();
  withTurn(
    program.command("run").description("send one message, show the turn, exit with its result").argument(
      "<prompt...>",
      "the message",
    ),
  )
    .action((words: string[], options: TurnOptions) => turn("run", words.join(" "), options));
  withTurn(program.command("chat").description("talk in this terminal; from a pipe, one turn a line"))
    .action((options: TurnOptions) => turn("chat", undefined, options));
  withTurn(
    program.command("ask").description("what follows -- is the message; nothing means chat").argument(
      "[prompt...]",
      "the message",
    ),
  )
    .action((words: string[], options: TurnOptions) =>
      turn(words.length > 0 ? "run" : "chat", words.join(" "), options)
    );
}

function addUsageCommand(program: Command, run: Run): void {
  withCommon(program.command("usage").description("print what models were used for, and what it cost"))
    .option("--json", "as one JSON document")
    .option("--days <n>", "of this many days, today among them (UTC)", "30")
    .option("--session <id>", "of this session")
    .addOption(new Option("--by <what>", "one row each").choices(["model", "session", "day"]))
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/usage.ts")>("./usage.ts")).runUsage(options))()
    );
}

function addConfigCommands(program: Command, run: Run): void {
  const config = program.command("config").description("the configuration, layer by layer").exitOverride();
  withCommon(config.command("show").description("print each value and the layer it comes from; secrets are masked"))
    .option("--effective", "every value, defaults included (what is shown without it too)")
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/config_show.ts")>("./config_show.ts")).runConfigShow(options))()
    );
  program.command("trust").description(
    "let this configuration file widen what the agent may reach, as long as it stays as it is now",
  )
    .argument("<file>", "a file in ./.oxydra")
    .action((file: string) =>
      run(async () => (await load<typeof import("#/cli/trust.ts")>("./trust.ts")).runTrust(file))()
    );
}

function addToolsCommands(program: Command, run: Run): void {
  const tools = program.command("tools").description("tool packages of others: WASM components with a manifest")
    .exitOverride();
  const loadTools = () => load<typeof import("#/cli/tools.ts")>("./tools.ts");
  withCommon(tools.command("add").description("show what a package asks for, and install it").argument("<file.wasm>"))
    .requiredOption("--manifest <file.json>", "the package's manifest")
    .option("--yes", "agree to what it asks for")
    .exitOverride()
    .action((file: string, options: AddOptions) => run(async () => (await loadTools()).runToolsAdd(file, options))());
  withCommon(tools.command("list").description("print the installed packages and what each may ask for"))
    .exitOverride()
    .action((options: CommonOptions) => run(async () => (await loadTools()).runToolsList(options))());
  withCommon(tools.command("remove").description("remove a package").argument("<name>"))
    .exitOverride()
    .action((name: string, options: CommonOptions) =>
      run(async () => (await loadTools()).runToolsRemove(name, options))()
    );
  withCommon(
    tools.command("reinstall").description("install a damaged package again from what was kept").argument("<name>"),
  )
    .exitOverride()
    .action((name: string, options: CommonOptions) =>
      run(async () => (await loadTools()).runToolsReinstall(name, options))()
    );
}

function addCatalogCommands(program: Command, run: Run): void {
  const catalog = program.command("catalog").description("what is known about models: limits, abilities, prices")
    .exitOverride();
  withConfig(catalog.command("show").description("print the vendors, the models of one, or all about one model"))
    .argument("[vendor[/model]]", "as in openai or openai/gpt-5")
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((what: string | undefined, options) =>
      run(async () =>
        (await load<typeof import("#/cli/catalog_show.ts")>("./catalog_show.ts")).runCatalogShow(what, options)
      )()
    );
  withConfig(catalog.command("verify").description("check the catalog's files; exit 2 when one is not used as it is"))
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () =>
        (await load<typeof import("#/cli/catalog_verify.ts")>("./catalog_verify.ts")).runCatalogVerify(options)
      )()
    );
  withConfig(catalog.command("fetch").description("fetch a newer catalog from models.dev into ~/.config/oxydra"))
    .option("--url <address>", "from here, whatever [catalog] pinned_url says")
    .exitOverride()
    .action((options) =>
      run(async () =>
        (await load<typeof import("#/cli/catalog_fetch.ts")>("./catalog_fetch.ts")).runCatalogFetch(options)
      )()
    );
}

function addAuditCommands(program: Command, run: Run): void {
  const audit = program.command("audit").description("what tools were allowed to do, and did").exitOverride();
  withCommon(
    audit.command("verify").description("check the log's chain, and what turns saw of it; exit 1 when it is broken"),
  )
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) =>
      run(async () =>
        (await load<typeof import("#/cli/audit_verify.ts")>("./audit_verify.ts")).runAuditVerify(options)
      )()
    );
  withCommon(audit.command("show").description("print the newest entries, one a line"))
    .option("--turn <id>", "of this turn")
    .option("--session <id>", "of this session")
    .option("--tool <name>", "of this tool")
    .option("--denied", "what was refused")
    .option("--last <n>", "at most this many", "50")
    .option("--json", "each entry as one JSON line")
    .exitOverride()
    .action((options) =>
      run(async () => (await load<typeof import("#/cli/audit_show.ts")>("./audit_show.ts")).runAuditShow(options))()
    );
}

function addApprovalCommands(program: Command, run: Run): void {
  const file = () => load<typeof import("#/cli/approvals.ts")>("./approvals.ts");
  const approvals = program.command("approvals").description("see which calls wait for you, and answer them")
    .exitOverride();
  withCommon(approvals.command("list", { isDefault: true }).description("show the calls that wait for an answer"))
    .option("--json", "as one JSON document")
    .exitOverride()
    .action((options) => run(async () => (await file()).runApprovalsList(options))());
  withCommon(approvals.command("answer").description("answer one of them as the owner"))
    .argument("<id>", "the id that the list shows, or the start of it that the list shows in front")
    .addArgument(
      new Argument("<answer>", "yes once, yes in this session, yes until a time; no, or never again").choices([
        "once",
        "session",
        "until",
        "no",
        "never",
      ]),
    )
    .option("--until <time>", "with `until`: 90m, 8h or 2d from now, or a date such as 2030-01-31T18:00")
    .exitOverride()
    .action((id: string, answer: ApprovalAnswer, options) =>
      run(async () => (await file()).runApprovalsAnswer(id, answer, options))()
    );
}

function withConfig(command: Command): Command {
  return command.option("--config <dir>", "read this folder instead of ./.oxydra");
}

function withCommon(command: Command): Command {
  return withConfig(command)
    .option("--user <id>", "which user's workspace")
    .addOption(
      new Option("--tier <name>", "isolation tier, whatever the configuration says").choices([
        "process",
        "container",
        "micro_vm",
      ]),
    );
}

function withTurn(command: Command): Command {
  return withCommon(command)
    .option("--json", "print each event as one JSON line")
    .option("--session <id>", "continue or start this session")
    .option("--save-media <dir>", "write pictures and sounds that the model makes into this folder")
    .addOption(new Option("--model <provider/model>", "use this model for the gateway that this command starts"));
}
