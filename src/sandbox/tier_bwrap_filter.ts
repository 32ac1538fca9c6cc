/** Machines that the filter is written for, as `Deno.build.arch` names them. */
export type FilterArch = "x86_64" | "aarch64";

/** `AUDIT_ARCH_*` of linux/audit.h: which table of numbers a call is meant by. */
const AUDIT_ARCH: Readonly<Record<FilterArch, number>> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };

// linux/bpf_common.h and linux/seccomp.h.
const [LOAD_WORD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06];
const [ALLOW, KILL_PROCESS, ERRNO] = [0x7fff0000, 0x80000000, 0x00050000];
const [EPERM, EINVAL, ENOSYS, EAFNOSUPPORT] = [1, 22, 38, 97];
/** struct seccomp_data: number, architecture, then after the instruction pointer the arguments, 8 bytes each, low half first. */
const [AT_NUMBER, AT_ARCH] = [0, 4];
const atArgument = (index: number): number => 16 + 8 * index;

/** Calls of the x32 table have this bit; the kernel takes them under the same AUDIT_ARCH. */
const X32_BIT = 0x40000000;
/** Numbers are the same on every machine since 424; what is newer than `mseal` was not looked at. */
const NEWEST = 462;
/** CLONE_NEW* of linux/sched.h; in `clone` the time namespace's bit is part of a signal's number. */
const NEW_NAMESPACES = 0x7e020000;
const NEW_TIME = 0x80;

/**
 * What a shell never needs: a call, its number on x86_64 and on aarch64 (asm/unistd_64.h, asm-generic/unistd.h), 0 where it does not exist.
 * Mounts, roots and namespaces, by which containers are left; files by handle, which pass every mount by; other processes; parts of the
 * kernel that were broken into again and again, or that no namespace divides; the machine itself.
 */
const REFUSED = `
  mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, setns 308 268, open_tree 428 428, move_mount 429 429, fsopen 430 430,
  fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442,
  name_to_handle_at 303 264, open_by_handle_at 304 265,
  ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440, process_mrelease 448 448,
  pidfd_getfd 438 438, kcmp 312 272, move_pages 279 239, migrate_pages 256 238,
  bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
  add_key 248 217, request_key 249 218, keyctl 250 219, fanotify_init 300 262, vhangup 153 58, modify_ldt 154 0, uselib 134 0,
  lookup_dcookie 212 18, nfsservctl 180 42,
  kexec_load 246 104, kexec_file_load 320 294, init_module 175 105, finit_module 313 273, delete_module 176 106, swapon 167 224,
  swapoff 168 225, reboot 169 142, acct 163 89, quotactl 179 60, quotactl_fd 443 443, settimeofday 164 170, clock_settime 227 112,
  clock_adjtime 305 266, adjtimex 159 171, sethostname 170 161, setdomainname 171 162, syslog 103 116, iopl 172 0, ioperm 173 0`;

/** Calls that are judged by an argument, or that have to look as if they did not exist. */
const JUDGED =
  "clone 56 220, unshare 272 97, socket 41 198, socketpair 53 199, ioctl 16 29, personality 135 92, clone3 435 435, memfd_secret 447 447, shmget 29 194";

/** AF_UNIX, AF_INET, AF_INET6; and AF_NETLINK with NETLINK_ROUTE, by which libc lists interfaces. Not AF_VSOCK, AF_ALG, AF_PACKET … */
const FAMILIES = [1, 2, 10];
const [AF_NETLINK, NETLINK_ROUTE] = [16, 0];
/** TIOCSTI types into a terminal, TIOCLINUX pastes into a console, TIOCSETD loads line disciplines. */
const TERMINAL_IOCTLS = [0x5412, 0x541c, 0x5423];
/** A segment of System V: what nobody has mapped is memory of nobody, so no watch sees it. 4,096 of these are little. */
const SEGMENT_BYTES_MAX = 65_536;
/** PER_LINUX, and the question which one it is. */
const PERSONALITIES = [0, 0xffffffff];

/**
 * The seccomp program of a walled process, as `struct sock_filter[]` for `bwrap --seccomp`: what a shell never needs is refused with EPERM,
 * what programs try and have another way for (clone3, calls newer than this list) with ENOSYS; a call by another machine's table kills.
 */
export function toFilter(arch: FilterArch): Uint8Array<ArrayBuffer> {
  const isX86 = arch === "x86_64";
  const call = toNumbers(JUDGED, arch);
  const program: Step[] = [
    load(AT_ARCH),
    { code: JUMP_EQUAL, k: AUDIT_ARCH[arch], yes: 1, no: 0 },
    end(KILL_PROCESS),
    load(AT_NUMBER),
    // Also what is beyond X32_BIT; its own line, for the day when NEWEST is gone.
    ...(isX86 ? [{ code: JUMP_AT_LEAST, k: X32_BIT, yes: 0, no: 1 }, end(KILL_PROCESS)] : []),
    { code: JUMP_AT_LEAST, k: NEWEST + 1, yes: 0, no: 1 },
    end(ERRNO | ENOSYS),
  ];
  for (const number of toNumbers(REFUSED, arch).values()) program.push(...when(number, [end(ERRNO | EPERM)]));
  // Its flags are behind a pointer, where no filter sees them; libc falls back to clone.
  for (const name of ["clone3", "memfd_secret"]) program.push(...when(call.get(name)!, [end(ERRNO | ENOSYS)]));
  program.push(
    ...when(call.get("clone")!, [load(atArgument(0)), ...refuseBits(NEW_NAMESPACES), end(ALLOW)]),
    ...when(call.get("unshare")!, [load(atArgument(0)), ...refuseBits(NEW_NAMESPACES | NEW_TIME), end(ALLOW)]),
    ...when(call.get("ioctl")!, [
      load(atArgument(1)),
      ...TERMINAL_IOCTLS.flatMap((k) => when(k, [end(ERRNO | EPERM)])),
      end(ALLOW),
    ]),
    ...when(call.get("personality")!, [
      load(atArgument(0)),
      ...PERSONALITIES.flatMap((k) => when(k, [end(ALLOW)])),
      end(ERRNO | EPERM),
    ]),
  );
  program.push(
    ...when(call.get("shmget")!, [
      load(atArgument(1) + 4),
      { code: JUMP_EQUAL, k: 0, yes: 1, no: 0 },
      end(ERRNO | EINVAL),
      load(atArgument(1)),
      { code: JUMP_AT_LEAST, k: SEGMENT_BYTES_MAX + 1, yes: 0, no: 1 },
      end(ERRNO | EINVAL),
      end(ALLOW),
    ]),
  );
  for (const name of ["socket", "socketpair"]) {
    program.push(...when(call.get(name)!, [
      load(atArgument(0)),
      ...FAMILIES.flatMap((family) => when(family, [end(ALLOW)])),
      ...when(AF_NETLINK, [load(atArgument(2)), ...when(NETLINK_ROUTE, [end(ALLOW)])]),
      end(ERRNO | EAFNOSUPPORT),
    ]));
  }
  return assemble([...program, end(ALLOW)]);
}

/** The calls of a table that exist on a machine. */
function toNumbers(table: string, arch: FilterArch): Map<string, number> {
  const rows = table.trim().split(/,\s+/).map((row) => row.split(" "));
  return new Map(
    rows.map(([name, x86, arm]) => [name!, Number(arch === "x86_64" ? x86 : arm)] as const).filter(([, number]) =>
      number !== 0
    ),
  );
}

/** One instruction; the jumps are in instructions. */
interface Step {
  readonly code: number;
  readonly k: number;
  readonly yes?: number;
  readonly no?: number;
}

const load = (k: number): Step => ({ code: LOAD_WORD, k });
const end = (k: number): Step => ({ code: RETURN, k });

/** `steps` when what was loaded is `value`. */
function when(value: number, steps: readonly Step[]): Step[] {
  return [{ code: JUMP_EQUAL, k: value, yes: 0, no: steps.length }, ...steps];
}

function refuseBits(bits: number): Step[] {
  return [{ code: JUMP_ANY_BIT, k: bits, yes: 0, no: 1 }, end(ERRNO | EPERM)];
}

function assemble(steps: readonly Step[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(steps.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, k, yes = 0, no = 0 }] of steps.entries()) {
    if (yes > 255 || no > 255) throw new RangeError("A jump of the filter is too far");
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, yes);
    view.setUint8(index * 8 + 3, no);
    view.setUint32(index * 8 + 4, k >>> 0, true);
  }
  return bytes;
}
