/** A machine around a walled shell: something to read, to write, to reach and to end, and what the host sees of it. */
import { createSocket } from "node:dgram";
import { join } from "#/lib/path.ts";
import { WallHouse } from "../sandbox/wall_kit.ts";

/** What an attack is after. */
export type Effect = "reads" | "writes" | "connects" | "ends";

/** What the host saw. `said` is what the command printed, for a message. */
export interface Seen {
  readonly effects: ReadonlySet<Effect>;
  readonly said: string;
}

const PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
const LATE_SECS = "20";

/**
 * Runs the same text behind the walls and, to show that it is an attack, without them. `$OUT` is a folder of the host with a file `canary`
 * and a socket `docker.sock`, `$PID` a process of the host that works in it and has the canary in its environment, `$PORT` a port of the
 * host for TCP and UDP, `$NAME` an abstract socket. It reads when the canary comes out, by stdout or as a file; it writes when `$OUT/proof` is
 * there, connects when somebody calls at a socket, ends when the process is gone.
 */
export class ShellHouse implements AsyncDisposable {
  readonly canary = crypto.randomUUID();
  readonly out: string;
  readonly house: WallHouse;
  readonly #open: AsyncDisposableStack;
  readonly #name = `oxydra-${crypto.randomUUID()}`;
  readonly #free: string;
  #contacts = 0;
  #port = 0;
  #victim: Deno.ChildProcess | undefined;
  #isVictimGone = false;

  private constructor(house: WallHouse, open: AsyncDisposableStack) {
    this.house = house;
    this.#open = open;
    [this.out, this.#free] = [join(house.root, "outside"), join(house.root, "free")];
  }

  /** Starts all of it. */
  static async open(): Promise<ShellHouse> {
    const open = new AsyncDisposableStack();
    const house = open.use(await WallHouse.open());
    const self = new ShellHouse(house, open);
    for (const dir of [self.out, self.#free]) Deno.mkdirSync(dir);
    Deno.writeTextFileSync(join(self.out, "canary"), `${self.canary}\n`);
    await self.#listen();
    self.#startVictim();
    open.defer(() => self.#endVictim());
    return self;
  }

  /** Behind the walls. */
  async walled(command: string): Promise<Seen> {
    await this.#clean();
    const { stdout, stderr } = await this.house.run(command, { env: { ...this.#env(), OXYDRA: "1" } });
    return await this.#see(`${stdout}${stderr}`, this.house.root);
  }

  /** Without any walls. */
  async free(command: string): Promise<Seen> {
    await this.#clean();
    const { stdout, stderr } = await new Deno.Command("/usr/bin/timeout", {
      args: ["-s", "KILL", LATE_SECS, "/bin/bash", "-c", command],
      clearEnv: true,
      env: { PATH, HOME: this.#free, LANG: "C.UTF-8", TERM: "dumb", ...this.#env() },
      cwd: this.#free,
      stdin: "null",
    }).output();
    const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    return await this.#see(text, this.#free);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }

  #env(): Record<string, string> {
    return { OUT: this.out, PID: String(this.#victim?.pid), PORT: String(this.#port), NAME: this.#name };
  }

  async #see(said: string, root: string): Promise<Seen> {
    const effects = new Set<Effect>();
    if (await this.#countContacts() > 0) effects.add("connects");
    if (said.includes(this.canary) || holds(root, this.canary, this.out)) effects.add("reads");
    if ([...Deno.readDirSync(this.out)].some(({ name }) => name.startsWith("proof"))) effects.add("writes");
    if (this.#isVictimGone || !isAlive(this.#victim!.pid)) effects.add("ends");
    return { effects, said };
  }

  /** Calls at each socket itself, and waits until it is heard: whoever called before was heard, too. */
  async #countContacts(): Promise<number> {
    const own = [
      Deno.connect({ hostname: "127.0.0.1", port: this.#port }),
      Deno.connect({ transport: "unix", path: join(this.out, "docker.sock") }),
    ];
    for (const connection of await Promise.all(own)) {
      await connection.read(new Uint8Array(1));
      connection.close();
    }
    const heard = this.#contacts - own.length;
    const udp = createSocket("udp4");
    await new Promise<void>((resolve) => udp.send("x", this.#port, "127.0.0.1", () => resolve()));
    udp.close();
    const call = "use IO::Socket::UNIX; IO::Socket::UNIX->new(Peer => qq{\\0$ARGV[0]}) or die";
    await new Deno.Command("perl", { args: ["-e", call, this.#name] }).output();
    while (this.#contacts < heard + own.length + 2) await new Promise((resolve) => setTimeout(resolve, 1));
    return this.#contacts - own.length - 2;
  }

  async #clean(): Promise<void> {
    for (const dir of [this.house.shared, this.house.tmp, this.#free]) {
      for (const { name } of Deno.readDirSync(dir)) Deno.removeSync(join(dir, name), { recursive: true });
    }
    for (const { name } of Deno.readDirSync(this.out)) {
      if (name.startsWith("proof")) Deno.removeSync(join(this.out, name), { recursive: true });
    }
    if (this.#isVictimGone || !isAlive(this.#victim!.pid)) {
      await this.#endVictim();
      this.#startVictim();
    }
    this.#contacts = 0;
  }

  #startVictim(): void {
    const victim = new Deno.Command("/bin/sleep", {
      args: ["1000"],
      clearEnv: true,
      env: { SECRET: this.canary },
      cwd: this.out,
      stdin: "null",
    }).spawn();
    this.#isVictimGone = false;
    this.#victim = victim;
    void victim.status.then(() => {
      if (this.#victim === victim) this.#isVictimGone = true;
    });
  }

  async #endVictim(): Promise<void> {
    const victim = this.#victim!;
    if (!this.#isVictimGone) victim.kill("SIGKILL");
    await victim.status;
  }

  async #listen(): Promise<void> {
    const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = tcp.addr.port;
    const socket = Deno.listen({ transport: "unix", path: join(this.out, "docker.sock") });
    for (const listener of [tcp, socket]) {
      void this.#accept(listener);
      this.#open.defer(() => listener.close());
    }
    const udp = createSocket("udp4");
    await new Promise<void>((resolve) => udp.bind(this.#port, "127.0.0.1", resolve));
    udp.on("message", () => this.#contacts++);
    this.#open.defer(() => new Promise<void>((resolve) => udp.close(() => resolve())));
    await this.#listenAbstract();
  }

  /** Deno listens at no abstract name. */
  async #listenAbstract(): Promise<void> {
    const script =
      "use IO::Socket::UNIX; $| = 1; my $s = IO::Socket::UNIX->new(Local => qq{\\0$ARGV[0]}, Listen => 9) or die; " +
      "print qq{ready\\n}; while (my $c = $s->accept) { print qq{x\\n}; close $c }";
    const perl = new Deno.Command("perl", { args: ["-e", script, this.#name], stdin: "null", stdout: "piped" }).spawn();
    const reader = perl.stdout.getReader();
    await reader.read();
    const reading = (async () => {
      while (!(await reader.read()).done) this.#contacts++;
    })();
    this.#open.defer(async () => {
      perl.kill("SIGKILL");
      await Promise.all([perl.status, reading]);
    });
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    const answer = new TextEncoder().encode("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    try {
      for await (const connection of listener) {
        this.#contacts++;
        void connection.write(answer).catch(() => {}).finally(() => connection.close());
      }
    } catch {
      // Closed.
    }
  }
}

/** Whether a file below holds the text; the folder `except` is the original. */
function holds(dir: string, text: string, except: string): boolean {
  for (const { name, isDirectory, isFile } of Deno.readDirSync(dir)) {
    const path = join(dir, name);
    if (path === except) continue;
    if (isDirectory ? holds(path, text, except) : isFile && read(path).includes(text)) return true;
  }
  return false;
}

function read(path: string): string {
  try {
    return new TextDecoder().decode(Deno.readFileSync(path));
  } catch {
    return "";
  }
}

/** Neither gone nor a zombie: what was killed is one until its parent has looked. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
