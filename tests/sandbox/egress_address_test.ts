import assert from "node:assert/strict";
import {
  type AddressKind,
  checkPublicTarget,
  DENIED_NET,
  toAddressKind,
  toAllowedKeys,
  toEgressTarget,
} from "#/sandbox/egress_address.ts";

Deno.test("toAddressKind() knows the first and the last address of every range, and their public neighbours", () => {
  const table: Readonly<Record<AddressKind, string>> = {
    public:
      "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 168.63.129.17 " +
      "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 " +
      "192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 " +
      "2000:: 2001:200:: 2001:db7:ffff::1 2001:db9:: 2003:: 2606:4700::1111 3ffe:: 3fff:1000:: [2606:4700::1111] 2A00::1",
    loopback: "127.0.0.0 127.0.0.1 127.255.255.255 ::1 [::1] 0:0:0:0:0:0:0:1",
    private:
      "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255 fc00:: fdff:ffff::1 fd00:ec2::254 FD00::1",
    shared: "100.64.0.0 100.127.255.255 100.100.100.200",
    "link-local": "169.254.0.0 169.254.169.254 169.254.255.255 168.63.129.16 fe80:: fe80::1 febf:ffff::1",
    special:
      "0.0.0.0 0.255.255.255 192.0.0.0 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.1 198.18.0.0 198.19.255.255 " +
      "198.51.100.7 203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 :: 0::0 ::2 ::7f00:1 ::127.0.0.1 " +
      "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:7f00:1 ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 1fff:ffff::1 " +
      "2001:: 2001:0:1::1 2001:10::1 2001:1ff:ffff::1 2001:db8:: 2001:db8:ffff::1 2002:7f00:1:: 2002:808:808:: 3fff:: 3fff:fff::1 " +
      "4000:: 5f00::1 fec0::1 feff::1 ff02::1 ffff::1",
    invalid:
      "1.2.3 1.2.3.4.5 1.2.3.256 01.2.3.4 0x7f.0.0.1 1.2.3.4. fe80::1%eth0 ::1%lo 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1::2::3 " +
      "::1.2.3 ::1.2.3.256 12345:: g:: : ::: 1:2:3:4:5:6:7::8 localhost 1 -1",
  };
  for (const [kind, addresses] of Object.entries(table)) {
    for (const address of addresses.split(" ")) assert.equal(toAddressKind(address), kind, address);
  }
  assert.equal(toAddressKind(""), "invalid");
});

Deno.test("toEgressTarget() gives host, port and key in one spelling", () => {
  const table: [string, string, number, string, string][] = [
    ["http://Example.COM/a?b=c#d", "example.com", 80, "example.com:80", "http://example.com/a?b=c"],
    ["https://example.com.:8443/", "example.com", 8443, "example.com:8443", "https://example.com:8443/"],
    [
      "https://bücher.example",
      "xn--bcher-kva.example",
      443,
      "xn--bcher-kva.example:443",
      "https://xn--bcher-kva.example/",
    ],
    ["http://[2606:4700:0::1111]:80", "2606:4700::1111", 80, "[2606:4700::1111]:80", "http://[2606:4700::1111]/"],
    ["http://0x08080808", "8.8.8.8", 80, "8.8.8.8:80", "http://8.8.8.8/"],
    ["http://my_host", "my_host", 80, "my_host:80", "http://my_host/"],
  ];
  for (const [text, host, port, key, href] of table) {
    const target = toEgressTarget(text);
    assert.deepEqual([target.host, target.port, target.key, target.url.href], [host, port, key, href]);
    checkPublicTarget(target);
  }
});

Deno.test("toEgressTarget() refuses what is no plain http URL, with a reason", () => {
  const table: [string, RegExp][] = [
    ["", /cannot be read/],
    ["example.com", /cannot be read/],
    ["http://", /cannot be read/],
    ["http://a:99999/", /cannot be read/],
    ["http://[fe80::1%25eth0]/", /cannot be read/],
    ["file:///etc/passwd", /Only http/],
    ["ftp://example.com", /Only http/],
    ["gopher://example.com", /Only http/],
    ["data:text/html,x", /Only http/],
    ["javascript:alert(1)", /Only http/],
    ["ws://example.com", /Only http/],
    ["http://user@example.com", /user name or password/],
    ["http://:secret@example.com", /user name or password/],
    ["http://a..b/", /not a valid name/],
    ["http://a../", /not a valid name/],
    [`http://${"a".repeat(64)}.com/`, /not a valid name/],
    [`http://${"a.".repeat(127)}com/`, /not a valid name/],
    ["http://a$b/", /not a valid name/],
  ];
  for (const [text, message] of table) {
    assert.throws(() => toEgressTarget(text), { code: "egress_denied", message }, text);
  }
});

Deno.test("checkPublicTarget() refuses addresses that are not public and ports of other protocols", () => {
  for (const url of ["http://127.0.0.1/", "http://[::1]/", "http://10.1.2.3:8080/"]) {
    assert.throws(() => checkPublicTarget(toEgressTarget(url)), { code: "egress_denied", message: /not public/ }, url);
  }
  for (const port of [0, 22, 25, 143, 3659, 6667, 10080]) {
    const target = toEgressTarget(`http://example.com:${port}/`);
    assert.throws(() => checkPublicTarget(target), { code: "egress_denied", message: /another protocol/ });
  }
  for (const port of [80, 81, 443, 8080, 65535]) checkPublicTarget(toEgressTarget(`http://example.com:${port}/`));
});

Deno.test("toAllowedKeys() reads host, host:port and addresses, and nothing that is more", () => {
  const table: [string, string[]][] = [
    ["searx.local", ["searx.local:80", "searx.local:443"]],
    ["SEARX.local.:8080", ["searx.local:8080"]],
    ["host:80", ["host:80"]],
    ["10.0.0.1", ["10.0.0.1:80", "10.0.0.1:443"]],
    ["[::1]:8080", ["[::1]:8080"]],
    ["fd00:0::1", ["[fd00::1]:80", "[fd00::1]:443"]],
    ["[fd00::1]", ["[fd00::1]:80", "[fd00::1]:443"]],
  ];
  for (const [entry, keys] of table) assert.deepEqual(toAllowedKeys(entry), keys, entry);
  for (
    const entry of ["", "*", "*.local", "a/b", "a?b", "a#b", "u@a", "a b", "a:99999", "a\\b", "a,b", "%61", "http://a"]
  ) {
    assert.throws(() => toAllowedKeys(entry), { code: "config_invalid" }, entry);
  }
});

Deno.test("DENIED_NET has every range of the check that Deno's flag can say", () => {
  for (
    const denied of ["0.0.0.0/8", "127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "[::1]", "[::]"]
  ) {
    assert.ok(DENIED_NET.includes(denied), denied);
  }
  for (const cidr of DENIED_NET.filter((one) => !one.startsWith("["))) {
    assert.notEqual(toAddressKind(cidr.split("/")[0]!), "public", cidr);
  }
});
