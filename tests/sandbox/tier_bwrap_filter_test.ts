import assert from "node:assert/strict";
import { type FilterArch, toFilter } from "#/sandbox/tier_bwrap_filter.ts";

const AUDIT_ARCH = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const [ALLOW, KILL, EPERM, EINVAL, ENOSYS, EAFNOSUPPORT] = [0x7fff0000, 0x80000000, 0x50001, 0x50016, 0x50026, 0x50061];

/** What the kernel would do: its machine has an accumulator, loads of words, three jumps and a return (linux/bpf_common.h). */
function judge(program: Uint8Array<ArrayBuffer>, arch: number, number: number, args: readonly number[] = []): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [index, value] of args.entries()) data.setBigUint64(16 + index * 8, BigInt(value), true);
  const view = new DataView(program.buffer);
  let loaded = 0;
  for (let at = 0, steps = 0; steps < 4_096; at += 8, steps++) {
    const [code, k] = [view.getUint16(at, true), view.getUint32(at + 4, true)];
    if (code === 0x06) return k;
    if (code === 0x20) loaded = data.getUint32(k, true);
    else {
      const holds = code === 0x15 ? loaded === k : code === 0x35 ? loaded >= k : (loaded & k) !== 0;
      assert.ok([0x15, 0x35, 0x45].includes(code), `instruction ${code}`);
      at += 8 * view.getUint8(at + (holds ? 2 : 3));
    }
  }
  throw new Error("The program does not end");
}

const CASES: readonly (readonly [what: string, x86: number, arm: number, args: readonly number[], verdict: number])[] =
  [
    ["read", 0, 63, [], ALLOW],
    ["execve", 59, 221, [], ALLOW],
    ["mseal, the newest that was looked at", 462, 462, [], ALLOW],
    ["the next one", 463, 463, [], ENOSYS],
    ["mount", 165, 40, [], EPERM],
    ["ptrace", 101, 117, [], EPERM],
    ["setns", 308, 268, [], EPERM],
    ["open_by_handle_at", 304, 265, [], EPERM],
    ["bpf", 321, 280, [], EPERM],
    ["keyctl", 250, 219, [], EPERM],
    ["io_uring_setup", 425, 425, [], EPERM],
    ["clone3", 435, 435, [], ENOSYS],
    ["memfd_secret", 447, 447, [], ENOSYS],
    ["memfd_create", 319, 279, [], ALLOW],
    ["clone of a thread", 56, 220, [0x3d0f00], ALLOW],
    ["fork", 56, 220, [0x1200011], ALLOW],
    ["clone into a user namespace", 56, 220, [0x10000011], EPERM],
    ["clone into a mount namespace", 56, 220, [0x00020011], EPERM],
    ["unshare of files", 272, 97, [0x400], ALLOW],
    ["unshare of a time namespace", 272, 97, [0x80], EPERM],
    ["AF_UNIX", 41, 198, [1, 1, 0], ALLOW],
    ["AF_INET6", 41, 198, [10, 1, 0], ALLOW],
    ["the list of interfaces", 41, 198, [16, 3, 0], ALLOW],
    ["NETLINK_NETFILTER", 41, 198, [16, 3, 12], EAFNOSUPPORT],
    ["AF_VSOCK", 41, 198, [40, 1, 0], EAFNOSUPPORT],
    ["a pair of AF_TIPC", 53, 199, [30, 1, 0], EAFNOSUPPORT],
    ["a small segment", 29, 194, [0, 65_536, 0], ALLOW],
    ["a large segment", 29, 194, [0, 65_537, 0], EINVAL],
    ["a very large segment", 29, 194, [0, 0x100000000, 0], EINVAL],
    ["TCGETS", 16, 29, [0, 0x5401], ALLOW],
    ["TIOCSTI", 16, 29, [0, 0x5412], EPERM],
    ["TIOCSTI with bits that the kernel drops", 16, 29, [0, 0x100005412], EPERM],
    ["personality, asked", 135, 92, [0xffffffff], ALLOW],
    ["personality without randomness", 135, 92, [0x40000], EPERM],
  ];

Deno.test("toFilter() judges each call alike on both machines", () => {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const program = toFilter(arch);
    for (const [what, x86, arm, args, verdict] of CASES) {
      const found = judge(program, AUDIT_ARCH[arch], arch === "x86_64" ? x86 : arm, args);
      assert.equal(found.toString(16), verdict.toString(16), `${arch}: ${what}`);
    }
  }
});

Deno.test("toFilter() kills what comes by another machine's table", () => {
  const programs = (["x86_64", "aarch64"] satisfies FilterArch[]).map((arch) => toFilter(arch));
  const [x86, arm] = programs as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  const I386 = 0x40000003;
  assert.equal(judge(x86, I386, 11), KILL);
  assert.equal(judge(x86, AUDIT_ARCH.aarch64, 0), KILL);
  assert.equal(judge(arm, AUDIT_ARCH.x86_64, 0), KILL);
  // x32: the same AUDIT_ARCH, another table.
  assert.equal(judge(x86, AUDIT_ARCH.x86_64, 0x40000000 + 59), KILL);
});

Deno.test("toFilter() is short enough for the kernel", () => {
  for (const arch of ["x86_64", "aarch64"] as const) assert.ok(toFilter(arch).length / 8 <= 4_096);
});
