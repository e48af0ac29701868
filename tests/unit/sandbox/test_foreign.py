"""What is said of a program that execve refuses: only where the processor is why."""

import errno
import os
import struct

import pytest

from jettison.sandbox import foreign, launch, spec


def elf(machine: int, bits: int = 64, order: str = "<") -> bytes:
    """The head of an ELF program."""
    ident = b"\x7fELF" + bytes((2 if bits == 64 else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    return (ident + struct.pack(f"{order}HHI", 2, machine, 1)).ljust(64, b"\0")


OTHER = 183 if os.uname().machine != "aarch64" else 62
OWN = {"x86_64": 62, "aarch64": 183}.get(os.uname().machine, 62)


def said(tmp_path: object, head: bytes, number: int = errno.ENOEXEC) -> str | None:
    path = os.path.join(str(tmp_path), "program")
    with open(path, "wb") as file:
        file.write(head)
    found = foreign.fault(path, OSError(number, "x"))
    return found and f"{found.message} ({found.hint})".replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("head", "platform"),
    [
        (elf(243), "linux/riscv64"),
        (elf(40, 32), "linux/arm"),
        (elf(22, order=">"), "linux/s390x"),
        (elf(8, 32, ">"), "linux/mips"),
        (elf(8, 64), "linux/mips64le"),
        (elf(21, order=">"), "linux/ppc64"),
        (elf(21), "linux/ppc64le"),
        (elf(999), "another processor (ELF machine 999)"),
    ],
)
def test_the_platform_is_named(tmp_path: object, head: bytes, platform: str) -> None:
    text = said(tmp_path, head)
    assert text
    assert f"exec /program: exec format error: a program for {platform}," in text
    assert "apt-get install qemu-user-static binfmt-support" in text
    assert "FROM --platform=$BUILDPLATFORM" in text


def test_an_emulator_that_the_image_lacks(tmp_path: object) -> None:
    text = said(tmp_path, elf(OTHER), errno.ENOENT)
    assert text
    assert "is not in the image" in text
    assert "flag F" in text


@pytest.mark.parametrize(
    ("head", "number"),
    [
        (elf(OWN), errno.ENOENT),  # its loader is missing
        (elf(OTHER), errno.EACCES),
        (b"echo no head\n", errno.ENOEXEC),
        (b"\x7fELF", errno.ENOEXEC),
        (b"", errno.ENOEXEC),
        (b"#!\n", errno.ENOEXEC),
        (b"#!/no/such/interpreter -e\n", errno.ENOENT),
    ],
)
def test_other_faults_are_left_alone(tmp_path: object, head: bytes, number: int) -> None:
    assert said(tmp_path, head, number) is None


def test_a_script_is_as_foreign_as_what_runs_it(tmp_path: object) -> None:
    interpreter = os.path.join(str(tmp_path), "sh")
    with open(interpreter, "wb") as file:
        file.write(elf(999))
    text = said(tmp_path, f"#! {interpreter} -e\n".encode())
    assert text
    assert "exec /sh: exec format error" in text


def test_scripts_that_run_each_other_end(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "program")
    assert said(tmp_path, f"#!{path}\n".encode()) is None


def test_the_kernel_itself_refuses_such_a_program(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "program")
    with open(path, "wb") as file:
        file.write(elf(999))
    os.chmod(path, 0o755)
    answer = launch.execute((path,), {})
    assert isinstance(answer, spec.Failed)
    assert answer.kind == "HostError"
