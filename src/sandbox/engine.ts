import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { splitLines } from "#/lib/byte_lines.ts";
import { type ContainerPlan, toContainerBody } from "#/sandbox/engine_body.ts";
import { EngineHttp, type EngineRequest } from "#/sandbox/engine_http.ts";
import { type EngineStdio, openStdio } from "#/sandbox/engine_stream.ts";

/** API versions that this file was written to: 1.41 is Docker 20.10 and Podman 4, 1.47 the newest that was read. */
const API = { oldest: 41, newest: 47 };

const Version = z.looseObject({
  ApiVersion: z.string().regex(/^1\.\d{1,3}$/),
  MinAPIVersion: z.string().regex(/^1\.\d{1,3}$/).default("1.12"),
  Version: z.string().max(200),
  Components: z.array(z.looseObject({ Name: z.string() })).default([]),
});
const Info = z.looseObject({
  Runtimes: z.record(z.string(), z.unknown()).default({}),
  DefaultRuntime: z.string().default("runc"),
  SecurityOptions: z.array(z.string()).nullable().default([]),
  KernelVersion: z.string().default(""),
  InitBinary: z.string().default(""),
  Architecture: z.string().default(""),
});
const Image = z.looseObject({
  Id: z.string(),
  Architecture: z.string().default(""),
  Config: z.looseObject({ Env: z.array(z.string()).nullable().default([]) }).nullable().default({ Env: [] }),
});
const Created = z.looseObject({ Id: z.string().regex(/^[0-9a-f]{64}$/) });
const Waited = z.looseObject({ StatusCode: z.int() });
const Container = z.looseObject({
  State: z.looseObject({
    Pid: z.int().default(0),
    Running: z.boolean(),
    ExitCode: z.int().default(0),
    OOMKilled: z.boolean().default(false),
    Error: z.string().default(""),
  }),
  NetworkSettings: z.looseObject({
    Ports: z.record(z.string(), z.array(z.looseObject({ HostPort: z.string() })).nullable()).nullable().default({}),
  }).default({ Ports: {} }),
});
const Listed = z.array(z.looseObject({ Id: z.string(), Labels: z.record(z.string(), z.string()).nullable() }));
const Progress = z.looseObject({
  stream: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
});

/** What an engine is. */
export interface EngineInfo {
  /** E.g. `Docker 20.10.24`. */
  readonly about: string;
  readonly runtimes: readonly string[];
  readonly defaultRuntime: string;
  /** Runs as a user without power: uid 0 inside is that user. */
  readonly rootless: boolean;
  /** Maps the users of containers to others of the host. */
  readonly remapsUsers: boolean;
  readonly hasSeccomp: boolean;
  /** Has a process that reaps, for `ContainerPlan.init`. */
  readonly hasInit: boolean;
  /** Release of the kernel that it runs on, like `uname -r`. */
  readonly kernel: string;
}

/** An image that the engine has. */
export interface EngineImage {
  readonly id: string;
  /** Names of its environment. */
  readonly envNames: readonly string[];
}

/** How a container is. */
export interface ContainerState {
  readonly isRunning: boolean;
  /** Of its first process, on the host; 0 when it does not run or the engine is elsewhere. */
  readonly pid: number;
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly error: string;
  /** Port on the host by port inside. */
  readonly ports: Readonly<Record<number, number>>;
}

/**
 * A Docker or Podman engine behind its unix socket. Every function throws AppError `tier_unavailable` in words for a person (`params.status` when
 * the engine refused) and `cancelled`; each is bounded in time and size.
 */
export class Engine implements Disposable {
  readonly #http: EngineHttp;
  readonly #prefix: string;

  private constructor(http: EngineHttp, prefix: string, readonly about: string) {
    this.#http = http;
    this.#prefix = prefix;
  }

  /** Asks the engine behind this socket for its version. Throws also when it speaks another API. */
  static async open(socketPath: string, signal: AbortSignal): Promise<Engine> {
    const http = new EngineHttp(socketPath);
    try {
      const request = { method: "GET", path: "/version", timeoutMs: LIMITS.enginePingMs } as const;
      const version = await http.json(request, Version, signal);
      const [newest, oldest] = [version.ApiVersion, version.MinAPIVersion].map((text) => Number(text.slice(2)));
      if (newest! < API.oldest || oldest! > API.newest) {
        const speaks = `speaks the API from ${version.MinAPIVersion} to ${version.ApiVersion}`;
        const text =
          `the container engine at ${socketPath} ${speaks}; needed is one from 1.${API.oldest} to 1.${API.newest}`;
        throw new AppError("tier_unavailable", text);
      }
      const kind = version.Components.some(({ Name }) => Name.startsWith("Podman")) ? "Podman" : "Docker";
      return new Engine(http, `/v1.${Math.min(API.newest, newest!)}`, `${kind} ${version.Version}`);
    } catch (error) {
      http[Symbol.dispose]();
      throw error;
    }
  }

  /** Where it is reached. Root for whoever opens it. */
  get socketPath(): string {
    return this.#http.socketPath;
  }

  /** Ends every connection to it. */
  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  /** What it is and has. */
  async info(signal: AbortSignal): Promise<EngineInfo> {
    const info = await this.#json("GET", "/info", Info, signal);
    const options = info.SecurityOptions ?? [];
    const has = (name: string) => options.some((option) => option.split(",").includes(`name=${name}`));
    return {
      about: this.about,
      runtimes: Object.keys(info.Runtimes),
      defaultRuntime: info.DefaultRuntime,
      rootless: has("rootless"),
      remapsUsers: has("userns"),
      hasSeccomp: has("seccomp"),
      hasInit: info.InitBinary !== "",
      kernel: info.KernelVersion,
    };
  }

  /** The image of this name; undefined when the engine does not have it. Never asks a registry. */
  async image(name: string, signal: AbortSignal): Promise<EngineImage | undefined> {
    const image = await this.#find(`/images/${encodeURI(name)}/json`, Image, signal);
    return image && { id: image.Id, envNames: (image.Config?.Env ?? []).map((entry) => entry.split("=")[0]!) };
  }

  /** Builds an image from a tar of its context with a `Dockerfile`. What its FROM names is pulled when it is not there: look before. */
  async build(
    name: string,
    context: Uint8Array<ArrayBuffer>,
    { onLog }: { readonly onLog: (text: string) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const query = { t: name, rm: "1", forcerm: "1" };
    const request = { method: "POST", path: `${this.#prefix}/build`, query, body: context } as const;
    await this.#http.stream({ ...request, timeoutMs: LIMITS.engineBuildMs }, async (answer) => {
      const bounds = { lineBytesMax: LIMITS.engineLineBytesMax, bytesMax: LIMITS.engineLogBytesMax };
      // Lines of what goes on; the last one may be an error under a status of 200.
      for await (const line of splitLines(answer, bounds)) {
        const said = Progress.parse(JSON.parse(new TextDecoder().decode(line)));
        if (said.error !== undefined) {
          throw new AppError("tier_unavailable", `the container engine refused: ${said.error}`);
        }
        onLog(said.stream ?? said.status ?? "");
      }
    }, signal);
  }

  /** Creates it, not started; returns its id. A name that is taken is refused with status 409. */
  async create(name: string, plan: ContainerPlan, signal: AbortSignal): Promise<string> {
    const more = { query: { name }, body: toContainerBody(plan) };
    return (await this.#json("POST", "/containers/create", Created, signal, more)).Id;
  }

  /** Its stdio, from before its start. */
  async attach(id: string, signal: AbortSignal): Promise<EngineStdio> {
    const query = "stream=1&stdin=1&stdout=1&stderr=1";
    const { conn, first } = await this.#http.upgrade(`${this.#prefix}/containers/${id}/attach?${query}`, signal);
    return openStdio(conn, first);
  }

  /** Starts it. An image that cannot be started is refused here. */
  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.#json("POST", `/containers/${id}/start`, z.unknown(), signal);
  }

  /** Its exit code, when it has ended; however long that takes. Throws when the engine is gone before. */
  async wait(id: string, signal: AbortSignal): Promise<number> {
    return (await this.#json("POST", `/containers/${id}/wait`, Waited, signal, { timeoutMs: 0 })).StatusCode;
  }

  /** How it is; undefined when there is none. */
  async inspect(id: string, signal: AbortSignal): Promise<ContainerState | undefined> {
    const container = await this.#find(`/containers/${id}/json`, Container, signal);
    if (container === undefined) return undefined;
    const { State: state, NetworkSettings } = container;
    const ports = Object.entries(NetworkSettings.Ports ?? {}).flatMap(([inner, outer]) =>
      outer?.[0] === undefined ? [] : [[parseInt(inner), Number(outer[0].HostPort)]]
    );
    return {
      isRunning: state.Running,
      pid: state.Pid,
      exitCode: state.ExitCode,
      oomKilled: state.OOMKilled,
      error: state.Error,
      ports: Object.fromEntries(ports),
    };
  }

  /** Ends it by SIGKILL, and removes it with what it wrote. One that is gone, or going, is no error. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#json("DELETE", `/containers/${id}`, z.unknown(), signal, { query: { force: "1", v: "1" } });
    } catch (error) {
      if (!isRefused(error, 404) && !isRefused(error, 409)) throw error;
    }
  }

  /** Sends it a signal. Throws when it does not run. */
  async kill(id: string, name: "SIGKILL" | "SIGTERM", signal: AbortSignal): Promise<void> {
    const more = { query: { signal: name }, timeoutMs: LIMITS.engineKillMs };
    await this.#json("POST", `/containers/${id}/kill`, z.unknown(), signal, more);
  }

  /** Ids and labels of all containers that have these labels, whether they run or not. */
  async list(
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<readonly { readonly id: string; readonly labels: Readonly<Record<string, string>> }[]> {
    const filters = JSON.stringify({ label: Object.entries(labels).map(([name, value]) => `${name}=${value}`) });
    const listed = await this.#json("GET", "/containers/json", Listed, signal, { query: { all: "1", filters } });
    return listed.map(({ Id, Labels }) => ({ id: Id, labels: Labels ?? {} }));
  }

  async #json<T>(
    method: EngineRequest["method"],
    path: string,
    schema: z.ZodType<T>,
    signal: AbortSignal,
    more: Pick<EngineRequest, "query" | "body" | "timeoutMs"> = {},
  ): Promise<T> {
    return await this.#http.json({ method, path: `${this.#prefix}${path}`, ...more }, schema, signal);
  }

  async #find<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await this.#json("GET", path, schema, signal);
    } catch (error) {
      if (isRefused(error, 404)) return undefined;
      throw error;
    }
  }
}

/** True for a refusal of the engine with this status. */
export function isRefused(error: unknown, status: number): boolean {
  return error instanceof AppError && error.params["status"] === status;
}
