"""What a step sees and may do, in the tiers root and rootless."""

import os
import re

import pytest

from jettison.base.errors import InputError
from sandboxes import Sandbox, ordinary_user, sandbox

__all__ = ["ordinary_user", "sandbox"]
pytestmark = pytest.mark.root
DOCKER_CAPABILITIES = "00000000a80425fb"


def status(sandbox: Sandbox, **fields: object) -> dict[str, str]:
    out = sandbox.run("cat /proc/self/status", **fields).out
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", out, re.MULTILINE))


def held(mask: str) -> str:
    """Docker's default, less what the outer world lacks."""
    with open("/proc/self/status", encoding="ascii") as file:
        bounding = int(re.search(r"CapBnd:\s*(\w+)", file.read())[1], 16)
    return f"{int(mask, 16) & bounding:016x}"


def test_root_has_dockers_fourteen_capabilities_and_no_more(sandbox: Sandbox) -> None:
    seen = status(sandbox)
    full = held(DOCKER_CAPABILITIES)
    assert [seen[key] for key in ("CapPrm", "CapEff", "CapBnd")] == [full] * 3
    assert [seen[key] for key in ("CapInh", "CapAmb")] == ["0" * 16] * 2


def test_another_user_has_no_capability_but_in_the_bounding_set(sandbox: Sandbox) -> None:
    seen = status(sandbox, user="1000:1000")
    assert [seen[key] for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == ["0" * 16] * 4
    assert seen["CapBnd"] == held(DOCKER_CAPABILITIES)
    assert seen["Uid"].split() == ["1000"] * 4
    assert seen["Groups"].split() == ["1000"]


def test_the_step_is_process_1_of_its_own_namespace(sandbox: Sandbox) -> None:
    result = sandbox.run("echo $$; ls -d /proc/[0-9]*")
    assert result.out.splitlines()[0] == "1"
    assert len(result.out.splitlines()) <= 3  # itself, and ls


def test_the_hostname_is_buildkits_or_what_was_asked(sandbox: Sandbox) -> None:
    assert sandbox.run("hostname; cat /etc/hosts").out == (
        "buildkitsandbox\n127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    )
    result = sandbox.run("hostname; tail -n1 /etc/hosts", hostname="moon", extra_hosts=("db:10.0.0.7",))
    assert result.out == "moon\n10.0.0.7\tdb\n"


def test_dev_holds_what_docker_gives(sandbox: Sandbox) -> None:
    result = sandbox.run(
        "ls /dev; for f in fd stdout ptmx; do readlink /dev/$f; done; head -c3 /dev/zero | wc -c; echo x >/dev/null"
    )
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert " ".join(result.out.split()) == f"{names} /proc/self/fd /proc/self/fd/1 pts/ptmx 3"


def test_no_device_that_a_step_makes_can_be_opened(sandbox: Sandbox) -> None:
    result = sandbox.run("for d in / /dev /dev/shm; do mknod $d/mem c 1 1 && head -c1 $d/mem || true; done; echo done")
    assert result.out == "done\n"
    assert "Permission denied" in result.err or "Operation not permitted" in result.err


def test_the_machines_device_nodes_cannot_be_changed(sandbox: Sandbox) -> None:
    before = os.stat("/dev/null")
    sandbox.run("chmod 600 /dev/null /dev/stdin || true; chown 5 /dev/null || true")
    after = os.stat("/dev/null")
    assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)


def test_shm_has_the_size_that_was_asked(sandbox: Sandbox) -> None:
    assert "size=65536k" in sandbox.run("grep /dev/shm /proc/mounts").out
    assert "size=1024k" in sandbox.run("grep /dev/shm /proc/mounts", shm_size_bytes=1 << 20).out


def test_sys_and_the_steering_parts_of_proc_are_read_only(sandbox: Sandbox) -> None:
    files = "/proc/sys/kernel/hostname /sys/kernel/profiling /etc/hosts /etc/resolv.conf"
    script = f"for f in {files}; do (echo x > $f) || true; done; wc -c < /proc/keys; ls /sys/firmware"
    result = sandbox.run(script)
    assert result.err.count("Read-only file system") == 4
    assert result.out == "0\n"


def test_nothing_can_be_mounted_and_the_old_root_is_gone(sandbox: Sandbox) -> None:
    result = sandbox.run("mount -t tmpfs none /bin || echo refused; umount /proc || echo refused")
    assert result.out == "refused\nrefused\n"
    points = [line.split()[1] for line in sandbox.run("cat /proc/mounts").out.splitlines()]
    assert points.count("/") == 1
    assert all(re.match(r"/($|dev|proc|sys|etc/(hosts|resolv.conf)$)", point) for point in points)


def test_no_descriptor_is_handed_down(sandbox: Sandbox) -> None:
    assert sandbox.run("ls /proc/self/fd").out.split() == ["0", "1", "2", "3"]  # 3 is of ls itself


def test_stdin_is_empty_and_the_environment_is_what_was_given(sandbox: Sandbox) -> None:
    result = sandbox.run("wc -c; env", env=(("PATH", "/bin"), ("A", "b=c"), ("EMPTY", "")))
    assert result.out.splitlines()[0] == "0"
    assert set(result.out.splitlines()[1:]) <= {"PATH=/bin", "A=b=c", "EMPTY=", "HOME=/", "SHLVL=1", "PWD=/"}


def test_signals_are_at_their_defaults(sandbox: Sandbox) -> None:
    seen = sandbox.ask(sandbox.request("/bin/cat", "/proc/self/status")).out
    ignored, blocked = (int(re.search(rf"{key}:\t(\w+)", seen)[1], 16) for key in ("SigIgn", "SigBlk"))
    assert (ignored & 0x7FFFFFFF, blocked) == (0, 0)  # libc keeps two of the others for itself


def test_network_none_has_a_loopback_and_nothing_else(sandbox: Sandbox) -> None:
    result = sandbox.run("ls /sys/class/net; ifconfig lo; ping -c1 -w2 127.0.0.1 | grep received", network="none")
    assert result.out.split()[0] == "lo"
    assert "UP LOOPBACK RUNNING" in result.out
    with open("/proc/net/dev", encoding="ascii") as file:
        names = {line.partition(":")[0].strip() for line in file if ":" in line}
    assert set(sandbox.run("sed -n 's/ *\\(.*\\):.*/\\1/p' /proc/net/dev").out.split()) == names


def test_insecure_keeps_every_capability(sandbox: Sandbox) -> None:
    seen = status(sandbox, security="insecure")
    assert int(seen["CapEff"], 16) >> 21 & 1  # SYS_ADMIN
    assert (
        sandbox.run(
            "mount -t tmpfs none /mnt2 2>&1 || mkdir /mnt2; mount -t tmpfs none /mnt2", security="insecure"
        ).code
        == 0
    )


PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1001:\nextra:x:44:root,app\nlater:x:45:app\n"
USERS = [
    ("", "0:0:0 44:/root"),
    ("app", "1000:1001:44 45 1001:/home/app"),
    ("1000", "1000:1001:44 45 1001:/home/app"),
    ("app:extra", "1000:44:44:/home/app"),
    ("app:7", "1000:7:7:/home/app"),
    ("4321", "4321:0:0:/"),
    ("4321:99", "4321:99:99:/"),
]


@pytest.fixture(scope="module")
def users(sandbox: Sandbox) -> str:
    return sandbox.snapshot(etc__passwd=PASSWD, etc__group=GROUP)


@pytest.mark.parametrize(("user", "wanted"), USERS)
def test_user_is_looked_up_in_the_tree(sandbox: Sandbox, users: str, user: str, wanted: str) -> None:
    fields = ("Groups", "Uid", "Gid")
    script = "".join(f"sed -n 's/^{field}:[[:space:]]*//p' /proc/self/status; " for field in fields) + "echo $HOME"
    groups, uid, gid, home = sandbox.run(script, (users,), user=user).out.splitlines()
    assert f"{uid.split()[0]}:{gid.split()[0]}:{groups.strip()}:{home}" == wanted


def test_an_unknown_user_is_an_error_in_the_reference_words(sandbox: Sandbox, users: str) -> None:
    with pytest.raises(InputError, match="unable to find user nosuch: no matching entries in passwd file"):
        sandbox.run("true", (users,), user="nosuch")


def test_a_user_may_open_its_own_output_by_name(sandbox: Sandbox) -> None:
    result = sandbox.run("echo one > /dev/stdout; echo two > /dev/stderr", user="1000")
    assert (result.out, result.err) == ("one\n", "two\n")


def test_a_missing_working_directory_is_made_for_the_user(sandbox: Sandbox) -> None:
    result = sandbox.run("pwd; echo x > f; stat -c '%u %a' . ..", cwd="/w/x", user="1000:5")
    assert result.out == "/w/x\n1000 755\n1000 755\n"


EXEC_ERRORS = [
    (("nosuch",), 127, 'exec: "nosuch": executable file not found in $PATH'),
    (("/nosuch",), 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
    (("/bin",), 126, 'exec: "/bin": is a directory'),
    (("/tool/data",), 126, 'exec: "/tool/data": permission denied'),
    (("/tool/script",), 127, "exec /tool/script: no such file or directory"),
    (("/tool/junk",), 126, "exec /tool/junk: exec format error"),
]


@pytest.fixture(scope="module")
def tools(sandbox: Sandbox) -> str:
    script = "mkdir tool; cd tool; echo x > data; echo '#!/no/shell' > script; echo -e '\\x00\\x01' > junk"
    return sandbox.step(f"{script}; chmod +x script junk")[0]


@pytest.mark.parametrize(("args", "code", "words"), EXEC_ERRORS)
def test_what_cannot_be_executed_is_said_as_runc_says_it(
    sandbox: Sandbox, tools: str, args: tuple[str, ...], code: int, words: str
) -> None:
    result = sandbox.ask(sandbox.request(*args, below=(tools,)))
    assert (result.code, result.err, result.changed) == (code, f"{words}\n", False)


def test_a_nul_in_an_argument_is_an_error_of_the_input(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="null"):
        sandbox.ask(sandbox.request("/bin/echo", "a\0b"))


def test_text_that_is_not_utf_8_arrives_as_it_is(sandbox: Sandbox) -> None:
    strange = b"\xff\xfe".decode(errors="surrogateescape")
    result = sandbox.ask(sandbox.request("/bin/sh", "-c", 'echo "$1 $V"', "x", strange, env=(("V", strange),)))
    assert result.out == f"{strange} {strange}\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("(kill -TERM $BASHPID; sleep 9) & wait $!; exit $?", 143)]
)
def test_exit_codes_are_a_shells(sandbox: Sandbox, script: str, code: int) -> None:
    assert sandbox.run(script.replace("$BASHPID", "$(sh -c 'echo $PPID')")).code == code
