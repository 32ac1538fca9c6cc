import { type Command, Option } from "commander";
import type { Run } from "#/cli/options.ts";

/** The files of these commands. */
export interface LifecycleFiles {
  "./logs.ts": typeof import("#/cli/logs.ts");
  "./restart.ts": typeof import("#/cli/restart.ts");
  "./service.ts": typeof import("#/cli/service.ts");
  "./start.ts": typeof import("#/cli/start.ts");
  "./status.ts": typeof import("#/cli/status.ts");
  "./stop.ts": typeof import("#/cli/stop.ts");
}

/** What commands are added with. */
export interface CommandKit {
  readonly program: Command;
  readonly run: Run<LifecycleFiles>;
  readonly add: (parent: Command, name: string, about: string, options: readonly Option[]) => Command;
  /** Options of every command that needs a configuration; of one that starts a gateway; and `--json`. */
  readonly common: readonly Option[];
  readonly gateway: readonly Option[];
  readonly document: Option;
}

const START_HELP = `
It stays until \`oxydra stop\`, Ctrl-C or SIGTERM, whoever is connected. run, chat and tui find it and leave it running.
A stop gives turns at work 15 s to end; what does not end is suspended and goes on at the next start.

Exit codes: 0 stopped in good order (--detach: it listens) · 1 it failed, or its guest ended too often · 2 usage,
            configuration, or it runs already
`;

const STOP_HELP = `
Exit codes: 0 it has stopped · 3 nothing ran · 1 it does not end · 2 usage or configuration
`;

const RESTART_HELP = `
Without options of a start it is started as it was: in the background if it was there, with the same --env and --model.
The configuration is read before anything stops. What systemd or launchd started, they restart.
`;

const LOGS_HELP = `
A line is: time [process_file][runtime|sidecar][stdout|stderr] text. The runtime is the gateway and its runner, a sidecar
what runs the shell or the browser. Each log keeps its newest 16 MiB. Prompts and answers are never in them.
-f goes on over restarts until Ctrl-C.
`;

const STATUS_EXITS = `
Exit codes: 0 it runs · 3 it does not, or not yet · 1 the audit log is not what its runner wrote · 2 usage or configuration
`;

const START = [
  new Option("--detach", "in the background, in a session of its own: returns when the gateway listens"),
  new Option("--insecure", "the reference's word: means --tier process, and removes no wall"),
];
const STOP = [
  new Option("--timeout <seconds>", "time for turns at work to end; 15 without it"),
  new Option("--now", "suspend turns at work at once; kill what does not end then"),
];
/** Adds start, stop, restart, status, logs and service. */
export function addLifecycleCommands(
  { program, run, add, common, gateway, document }: CommandKit,
  version: string,
): void {
  add(program, "start", "run the gateway until it is stopped, here or in the background", [...gateway, ...START])
    .addOption(new Option("--options-on-stdin").hideHelp())
    .addHelpText("after", START_HELP)
    .action(run("./start.ts", (file, options) => file.runStart(options, version)));
  add(program, "stop", "stop what runs, in good order", [...common, ...STOP])
    .addHelpText("after", STOP_HELP)
    .action(run("./stop.ts", (file, options) => file.runStop(options)));
  add(program, "restart", "stop what runs, then start it in the same way", [...gateway, ...START, ...STOP])
    .addHelpText("after", RESTART_HELP)
    .action(run("./restart.ts", (file, options) => file.runRestart(options, version)));
  add(program, "status", "say whether it runs, what waits for you, and the audit log's head", [...common, document])
    .addHelpText("after", STATUS_EXITS)
    .action(run("./status.ts", (file, options) => file.runStatus(options)));
  add(program, "logs", "print what it logged, and with -f what it logs from now on", common)
    .addOption(new Option("--role <role>", "whose lines").choices(["runtime", "sidecar", "all"]).default("runtime"))
    .addOption(new Option("--stream <stream>", "which of them").choices(["stdout", "stderr", "both"]).default("both"))
    .option("--tail [n]", "the newest of them: 200 without a number, at most 1000")
    .option("--since <time>", "not older than this: 30s, 15m, 1h, 2d, or 2030-01-31T18:00:00Z")
    .addOption(
      new Option("--format <format>", "as text, or as one JSON line each").choices(["text", "json"]).default("text"),
    )
    .option("-f, --follow", "go on with those that come")
    .addHelpText("after", LOGS_HELP)
    .action(run("./logs.ts", (file, options) => file.runLogs(options)));
  add(program, "service", "print what has systemd or launchd start this gateway; changes nothing", common)
    .addOption(new Option("--for <what>", "what of this machine's system without it").choices(["systemd", "launchd"]))
    .option("--system", "for the machine, not for your login; runs as you all the same")
    .option("--env-file <file>", "with the variables of this file, such as keys")
    .action(run("./service.ts", (file, options) => file.runService(options)));
}
