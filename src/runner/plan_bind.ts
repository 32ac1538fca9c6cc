import type { Bootstrap } from "#/app/bootstrap.ts";
import { AppError } from "#/core/error.ts";
import { type GatewayConfig, toSocketAddress } from "#/gateway/config.ts";

/** Where the gateway will listen. */
export interface BindPlan {
  /** Of 127.0.0.1, where its own clients come; 0 takes any free one. */
  readonly port: number;
  /** What the guest is told; absent when it listens nowhere else, and nobody comes there by another name. */
  readonly listen?: NonNullable<Bootstrap["listen"]>;
  /** `address:port` beside 127.0.0.1, for the guest's flags. */
  readonly also?: string;
  /** The same for a person, with what protects it. */
  readonly about?: string;
}

/** What was said beside the configuration. */
export interface Said {
  /** `--plain-text-to-the-network`. */
  readonly plainText?: boolean;
  /** The runner itself publishes this port, and on this machine's loopback only. */
  readonly isPublished?: boolean;
}

const LOOPBACK = "127.0.0.1";
const ANY: ReadonlySet<string> = new Set(["0.0.0.0", "[::]"]);

/**
 * What `[gateway]` says of addresses, for `doctor` and `posture`: nothing is read, and nothing is refused that a start would refuse. Pure.
 */
export function toBindPlan(gateway: GatewayConfig): BindPlan {
  const { hostname, port } = toSocketAddress(gateway.bind) ?? { hostname: LOOPBACK, port: 0 };
  const { trusted_proxy: isProxied, public_hosts: hosts } = gateway;
  const isTls = gateway.tls_cert_file !== undefined;
  const names = { ...(hosts.length === 0 ? {} : { hosts }), ...(isProxied ? { isProxied } : {}) };
  // Its own clients speak plain WebSocket to 127.0.0.1: what is encrypted listens beside that.
  if (hostname === LOOPBACK && !isTls) {
    return Object.keys(names).length === 0 ? { port } : { port, listen: { main: names } };
  }
  const own = ANY.has(hostname) ? [] : [`${hostname}:${port}`];
  const also = { hostname: hostname.replace(/^\[|\]$/g, ""), port, ...names, hosts: [...hosts, ...own] };
  const how = isTls ? "TLS" : isProxied ? "plain text, for a reverse proxy" : "PLAIN TEXT";
  return { port: 0, listen: { also }, also: `${hostname}:${port}`, about: `${hostname}:${port} (${how})` };
}

/**
 * Where a start listens, certificate and key read. Refuses an address that other machines reach in plain text, unless the configuration and
 * the command line both say so: one slip must not put a conversation on the network. Throws AppError `config_invalid`.
 */
export function planBind(gateway: GatewayConfig, said: Said = {}): BindPlan {
  const plan = toBindPlan(gateway);
  const { tls_cert_file: cert, tls_key_file: key } = gateway;
  if ((cert === undefined) !== (key === undefined)) {
    throw refuse("tls_cert_file and tls_key_file belong together");
  }
  const also = plan.listen?.also;
  if (also === undefined || plan.also === undefined) return plan;
  if (also.port === 0) throw refuse(`bind = "${gateway.bind}": an address that others use needs a fixed port`);
  if (also.hosts?.length === 0) {
    throw refuse(
      `bind = "${gateway.bind}" is every address of this machine: name those that clients use in public_hosts`,
    );
  }
  const isLoopback = toSocketAddress(gateway.bind)!.loopback;
  const isTold = gateway.plain_text_to_the_network && said.plainText === true;
  if (!isLoopback && cert === undefined && !gateway.trusted_proxy && said.isPublished !== true && !isTold) {
    throw refuse(
      `bind = "${gateway.bind}" would send tokens and conversations over the network in plain text; set tls_cert_file and ` +
        "tls_key_file, or trusted_proxy when a proxy encrypts in front of it. If you mean it: plain_text_to_the_network = true " +
        "and --plain-text-to-the-network",
    );
  }
  if (cert === undefined || key === undefined) return plan;
  return {
    ...plan,
    listen: { also: { ...also, tls: { cert: read("tls_cert_file", cert), key: read("tls_key_file", key) } } },
  };
}

function read(name: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new AppError("config_invalid", `[gateway] ${name}: ${path} cannot be read`, { cause });
  }
}

function refuse(text: string): AppError {
  return new AppError("config_invalid", `[gateway] ${text}`);
}
