import { AppError } from "#/core/error.ts";
import { isInRange } from "#/lib/ipv4_range.ts";

/** What kind of address it is; only `public` is reached without being listed. */
export type AddressKind = "public" | "loopback" | "private" | "shared" | "link-local" | "special" | "invalid";

/**
 * IPv4 ranges that are not public. IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast (RFC 5771), and the one public
 * address that a cloud (Azure, its "wire server") answers at from inside every machine. AWS, GCP and Azure metadata are link-local,
 * Alibaba's (100.100.100.200) is shared, Oracle's (192.0.0.192) is special.
 */
const IPV4_RANGES: readonly (readonly [cidr: string, kind: AddressKind])[] = [
  ["0.0.0.0/8", "special"], // "this network", RFC 791 §3.2; Linux connects 0.0.0.0 to loopback
  ["10.0.0.0/8", "private"], // RFC 1918
  ["100.64.0.0/10", "shared"], // carrier-grade NAT, RFC 6598
  ["127.0.0.0/8", "loopback"], // RFC 1122 §3.2.1.3
  ["168.63.129.16/32", "link-local"], // Azure wire server
  ["169.254.0.0/16", "link-local"], // RFC 3927
  ["172.16.0.0/12", "private"], // RFC 1918
  ["192.0.0.0/24", "special"], // IETF protocol assignments, RFC 6890
  ["192.0.2.0/24", "special"], // documentation, RFC 5737
  ["192.88.99.0/24", "special"], // 6to4 relays, RFC 7526
  ["192.168.0.0/16", "private"], // RFC 1918
  ["198.18.0.0/15", "special"], // benchmarking, RFC 2544
  ["198.51.100.0/24", "special"], // documentation, RFC 5737
  ["203.0.113.0/24", "special"], // documentation, RFC 5737
  ["224.0.0.0/4", "special"], // multicast, RFC 5771
  ["240.0.0.0/4", "special"], // reserved and broadcast, RFC 1112 §4
];

/**
 * IPv6 the other way round: only what IANA gave out as global unicast (2000::/3, RFC 4291 §2.4) can be public. ::, ::1, ::ffff:0:0/96
 * (mapped), ::/96 (compatible), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64, RFC 6052 and 8215), 100::/64, 5f00::/16, fec0::/10 and ff00::/8
 * lie outside. Inside it these are special (IANA IPv6 Special-Purpose Address Registry).
 */
const IPV6_RANGES: readonly (readonly [prefix: string, bits: number, kind: AddressKind])[] = [
  ["::1", 128, "loopback"],
  ["fc00::", 7, "private"], // unique local, RFC 4193; AWS and GCP metadata are there too
  ["fe80::", 10, "link-local"], // RFC 4291 §2.5.6
  ["2001::", 23, "special"], // IETF protocol assignments: Teredo (RFC 4380), ORCHID, benchmarking
  ["2001:db8::", 32, "special"], // documentation, RFC 3849
  ["2002::", 16, "special"], // 6to4, RFC 3056: carries any IPv4 address
  ["3fff::", 20, "special"], // documentation, RFC 9637
  ["2000::", 3, "public"],
];

/** The ranges above as `--deny-net` takes them: Deno 2.9.6 knows CIDR for IPv4 only, so of IPv6 the two that mean this machine. */
export const DENIED_NET: readonly string[] = [...IPV4_RANGES.map(([cidr]) => cidr), "[::1]", "[::]"];

/**
 * Ports that speak something else than HTTP and could be made to obey a request's text: the "bad ports" of the Fetch standard (§2.9).
 * An entry of the allowlist lifts this for itself.
 */
const BAD_PORTS: ReadonlySet<number> = new Set(
  ("0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137 139 143 " +
    "161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 " +
    "4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080").split(" ").map(Number),
);

/** The kind of an address in text, IPv6 with or without brackets. What cannot be read is `invalid`, a zone id (`%eth0`) included. Pure. */
export function toAddressKind(address: string): AddressKind {
  if (toUint32(address) !== null) return IPV4_RANGES.find(([cidr]) => isInRange(address, cidr))?.[1] ?? "public";
  const v6 = toGroups(address.replace(/^\[(.*)\]$/, "$1"));
  if (v6 === null) return "invalid";
  return IPV6_RANGES.find(([prefix, bits]) => hasPrefix(v6, toGroups(prefix)!, bits))?.[2] ?? "special";
}

/** Where a URL leads. */
export interface EgressTarget {
  readonly url: URL;
  /** Lower case, no trailing dot, punycode; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port` as the allowlist and `--allow-net` write it: an IPv6 address in brackets. */
  readonly key: string;
  readonly isAddress: boolean;
}

/**
 * Reads a URL as the WHATWG parser does, which turns every spelling of an IPv4 address (decimal, octal, hex, short, full-width,
 * percent-encoded) into four decimal numbers. Throws AppError `egress_denied` with the reason in words. Pure.
 */
export function toEgressTarget(text: string): EgressTarget {
  if (!URL.canParse(text)) throw denied("The URL cannot be read");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw denied("Only http and https URLs can be fetched");
  if (url.username !== "" || url.password !== "") throw denied("A URL with a user name or password is refused");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  const isAddress = toAddressKind(host) !== "invalid";
  // Underscores occur in real names; anything else outside LDH is a name that a resolver may read as something else.
  if (!isAddress && (host.length > 253 || !/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host))) {
    throw denied("The URL's host is not a valid name");
  }
  // From here on nobody sees the trailing dot: it would make a second name of the same host.
  url.hostname = url.hostname.replace(/\.$/, "");
  url.hash = "";
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { url, host, port, key: `${url.hostname}:${port}`, isAddress };
}

/** Refuses a target that nobody listed: an address that is not public, or a port of another protocol. Throws AppError `egress_denied`. */
export function checkPublicTarget(target: EgressTarget): void {
  if (target.isAddress && toAddressKind(target.host) !== "public") throw denied("The URL's address is not public");
  if (BAD_PORTS.has(target.port)) throw denied(`Port ${target.port} belongs to another protocol than HTTP`);
}

/**
 * The `host:port` keys that an entry of `egress_allowlist` stands for; without a port, 80 and 443. Throws AppError `config_invalid`
 * for what is no host. Pure.
 */
export function toAllowedKeys(entry: string): string[] {
  // A bare IPv6 address has more than one colon and no port.
  const bare = /:.*:/.test(entry) && !entry.startsWith("[") ? `[${entry}]` : entry;
  const port = /:(\d{1,5})$/.exec(bare)?.[1];
  try {
    if (/[^\p{L}\p{N}.:[\]_-]/u.test(bare)) throw new RangeError("more than a host");
    const base = port === undefined ? bare : bare.slice(0, -port.length - 1);
    return (port === undefined ? ["80", "443"] : [port]).map((one) => toEgressTarget(`http://${base}:${one}/`).key);
  } catch (cause) {
    throw new AppError("config_invalid", `egress_allowlist: "${entry}" is not a host or host:port`, { cause });
  }
}

function denied(message: string): AppError {
  return new AppError("egress_denied", message);
}

/** Four decimal numbers and nothing else: other spellings have gone through the URL parser, a resolver gives none. */
function toUint32(address: string): number | null {
  const parts = address.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2), dotted tail included; null for anything else. */
function toGroups(address: string): number[] | null {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const tail = dotted === null ? null : toUint32(dotted[2]!);
  if (dotted !== null && tail === null) return null;
  const text = tail === null
    ? address
    : `${dotted![1]}${Math.floor(tail / 65_536).toString(16)}:${(tail % 65_536).toString(16)}`;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [left = [], right = []] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...Array<string>(Math.max(missing, 0)).fill("0"), ...right];
  return groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) ? groups.map((group) => parseInt(group, 16)) : null;
}

function hasPrefix(address: readonly number[], prefix: readonly number[], bits: number): boolean {
  return address.every((group, index) => {
    const used = Math.min(Math.max(bits - index * 16, 0), 16);
    const shift = 16 - used;
    return group >> shift === prefix[index]! >> shift;
  });
}
