"""Sockets without Python's `socket`."""

import os
import subprocess
import sys

import pytest

from jettison.sandbox.sockets import SOCK_SEQPACKET, pair, recv_fds, send_fds

BOTH_ENDS = """
import sys
import jettison.sandbox.client, jettison.sandbox.birth, jettison.sandbox.keeper, jettison.sandbox.serve
print(*sys.modules)
"""


def test_descriptors_go_along_with_bytes():
    ours, theirs = pair(SOCK_SEQPACKET)
    with ours, theirs, open(os.devnull, "rb") as one, open(os.devnull, "rb") as two:
        send_fds(ours, b"?", [one.fileno(), two.fileno()])
        ours.send(b"!")
        data, fds = recv_fds(theirs, 1, 5)
        try:
            assert data == b"?"
            assert len(fds) == 2
            assert [os.fstat(fd).st_rdev for fd in fds] == [os.stat(os.devnull).st_rdev] * 2
        finally:
            for fd in fds:
                os.close(fd)
        assert recv_fds(theirs, 1, 5) == (b"!", [])
        ours.close()
        assert recv_fds(theirs, 1, 5) == (b"", [])


def test_a_block_closes_its_socket():
    ours, theirs = pair()
    with ours, theirs:
        pass
    assert ours.fileno() == theirs.fileno() == -1
    with pytest.raises(OSError, match="Bad file"):
        ours.send(b"late")


def test_no_program_inherits_them():
    for end in pair():
        with end:
            assert not os.get_inheritable(end.fileno())


def test_neither_end_of_a_request_imports_socket():
    found = subprocess.run([sys.executable, "-c", BOTH_ENDS], check=True, capture_output=True, text=True).stdout
    assert {"socket", "selectors"}.isdisjoint(found.split())
