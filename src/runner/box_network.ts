import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { EngineHttp } from "#/sandbox/engine_http.ts";
import { isRefused } from "#/sandbox/engine.ts";

/** A bridge of one workspace's own: nobody else is in it. */
export interface BoxNetwork {
  readonly name: string;
  /** Of this machine in it. */
  readonly gateway: string;
  /** CIDR. */
  readonly subnet: string;
}

const Network = z.looseObject({
  Labels: z.record(z.string(), z.string()).nullable().default({}),
  IPAM: z.looseObject({
    Config: z.array(z.looseObject({ Subnet: z.cidrv4(), Gateway: z.ipv4() })).min(1),
  }),
});

/** Docker 20.10 and Podman 4. */
const API = "/v1.41";

/** The networks of an engine. Functions throw AppError `tier_unavailable`, `cancelled`. */
export class BoxNetworks implements Disposable {
  readonly #http: EngineHttp;

  /** Nothing is connected yet. */
  constructor(socketPath: string) {
    this.#http = new EngineHttp(socketPath);
  }

  /** The network of this name, made where it is missing. Another's of the same name is refused: who else is in it is not known. */
  async ensure(name: string, labels: Readonly<Record<string, string>>, signal: AbortSignal): Promise<BoxNetwork> {
    const found = await this.#find(name, signal) ?? await this.#make(name, labels, signal);
    const isOurs = Object.entries(labels).every(([key, value]) => found.Labels?.[key] === value);
    if (!isOurs) {
      throw new AppError("tier_unavailable", `the network ${name} of the container engine is not ours; remove it`);
    }
    const { Gateway: gateway, Subnet: subnet } = found.IPAM.Config[0]!;
    return { name, gateway, subnet };
  }

  /** Removes it; one that is gone or in use is no error. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#http.json({ method: "DELETE", path: `${API}/networks/${name}` }, z.unknown(), signal);
    } catch (error) {
      if (!isRefused(error, 404) && !isRefused(error, 403)) throw error;
    }
  }

  /** Ends every connection. */
  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #find(name: string, signal: AbortSignal): Promise<z.infer<typeof Network> | undefined> {
    try {
      return await this.#http.json({ method: "GET", path: `${API}/networks/${name}` }, Network, signal);
    } catch (error) {
      if (isRefused(error, 404)) return undefined;
      throw error;
    }
  }

  async #make(
    name: string,
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<z.infer<typeof Network>> {
    const body = {
      Name: name,
      CheckDuplicate: true,
      Driver: "bridge",
      Labels: labels,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    };
    await this.#http.json({ method: "POST", path: `${API}/networks/create`, body }, z.unknown(), signal);
    return (await this.#find(name, signal))!;
  }
}
