"""What the kernel and the interpreter refuse to a process that runs a model's code.

Linux confines it forever: seccomp refuses new programs and processes, sockets and signals, Landlock refuses
to change files outside of one directory. Both hold whatever the code does to its interpreter. Where the
kernel lacks one of them, and for plainer messages, an audit hook refuses the same as far as Python tells.
"""

import contextlib
import ctypes
import os
import platform
import struct
import sys
from pathlib import Path
from typing import Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
# prctl: no new privileges, a filter of system calls, a signal at the parent's end.
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER, _PARENT_DEATH, _DUMPABLE = 38, 22, 2, 1, 4
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_THREAD = 0x00010000
# Numbers of system calls, on x86-64 and on AArch64; None where one doesn't exist.
_REFUSED: dict[str, tuple[int | None, int]] = {
    "fork": (57, -1),
    "vfork": (58, -1),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
}
_MACHINES = {"x86_64": (0, 0xC000003E, 56, 435), "aarch64": (1, 0xC00000B7, 220, 435)}
# Landlock's system calls have these numbers on every machine.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
# Rights to files, by the version of Landlock that knows them: all but to run a program.
_RIGHTS = ((1, 0b1_1111_1111_1110), (2, 1 << 13), (3, 1 << 14))
_WRITES, _READS = (1 << 1) | (1 << 14), (1 << 2) | (1 << 3)
_READS_FILE, _LISTS = 1 << 2, 1 << 3
_MAKES_DEVICES = (1 << 6) | (1 << 11)
# From version 4 on no TCP, from version 6 on no signals and abstract sockets to others.
_NO_TCP, _NO_REACH = 0b11, 0b11
# Not all of /usr and /opt: projects are kept there, with the golden sets that say what is expected.
_READABLE = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share"),
    *("/usr/local/lib", "/usr/local/lib64", "/usr/local/share", "/nix/store"),
    # Of these folders what everybody may read and what says nothing of other processes: root may read more.
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone"),
    *("/etc/os-release", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf"),
    *("/etc/hostname", "/etc/mime.types", "/etc/locale.alias", "/etc/ssl/certs", "/etc/ssl/openssl.cnf"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/loadavg"),
    *("/proc/uptime", "/proc/filesystems", "/sys/devices/system", "/sys/fs/cgroup"),
    *("/dev/urandom", "/dev/zero"),
)


def cut_network() -> None:
    """A network of its own, without any connection, where Linux permits it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NETWORK)


def hide_memory() -> None:
    """Let no other process of the same user look into this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)


def confine(directory: str) -> list[str]:
    """Let the kernel refuse to this process what a model's code may not do.

    Args:
        directory: The only one in which files may be changed.

    Returns:
        What this kernel can't refuse: ``files``, ``processes``, or nothing.
    """
    if sys.platform != "linux":
        return ["files", "processes"]
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    missing = [] if _confine_files(system, directory) else ["files"]
    return missing if _confine_calls(system) else [*missing, "processes"]


def _confine_files(system: Any, directory: str) -> bool:
    """Landlock's rules: to change files in the directory, to read those of Python and its libraries."""
    version = system.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return False
    rights = sum(bits for known, bits in _RIGHTS if version >= known)
    handled = struct.pack("QQQ", rights, _NO_TCP, _NO_REACH)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = system.syscall(_CREATE, handled[:size], size, 0)
    if rules < 0:
        return False
    allowed = _readable()
    allowed |= {os.devnull: _WRITES | _READS, directory: rights & ~_MAKES_DEVICES}
    for path, wanted in allowed.items():
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        fitting = wanted if Path(path).is_dir() else wanted & (_WRITES | _READS_FILE)
        added = system.syscall(_ADD, rules, 1, struct.pack("=Qi", fitting & rights, handle), 0)
        os.close(handle)
        if added != 0:
            return False
    done = system.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _readable() -> dict[str, int]:
    """Where Python's libraries and the system's are, with the rights there."""
    installed = [f"{prefix}/{part}" for prefix in {sys.prefix, sys.base_prefix} for part in ("lib", "lib64")]
    installed += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    allowed = {path: _READS for path in (*_READABLE, *installed) if path and Path(path).exists()}
    for path in map(Path, filter(None, sys.path)):
        if path.is_file():
            allowed[str(path)] = _READS
        if not path.is_dir() or any(path.is_relative_to(one) for one in allowed):
            continue
        # The folder of a project that is installed for editing: its packages, not its golden sets.
        allowed[str(path)] = _LISTS
        for inner in path.iterdir():
            if inner.suffix in {".py", ".so"} or (inner / "__init__.py").exists():
                allowed[str(inner)] = _READS
    return allowed


def _confine_calls(system: Any) -> bool:
    """A filter of system calls; a thread may be started, a process may not."""
    machine = _MACHINES.get(platform.machine())
    if machine is None or sys.maxsize < 2**32:
        return False
    column, architecture, clone, clone3 = machine
    numbers = [call[column] for call in _REFUSED.values()]
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, _EPERM), (0x20, 0, 0, 0)]
    if column == 0:
        # The numbers of x32 are another table of the same calls.
        program += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, _EPERM)]
    for number in numbers:
        if number is not None and number >= 0:
            program += [(0x15, 0, 1, number), (0x06, 0, 0, _EPERM)]
    # The C library then uses clone, whose flags can be read here.
    program += [(0x15, 0, 1, clone3), (0x06, 0, 0, _ENOSYS)]
    program += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 1, 0, _THREAD), (0x06, 0, 0, _EPERM)]
    program += [(0x06, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    return bool(system.prctl(_SECCOMP, _FILTER, ctypes.create_string_buffer(head, len(head)), 0, 0) == 0)
