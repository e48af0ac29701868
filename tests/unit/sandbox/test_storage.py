"""Removing trees and telling their size."""

import os

import pytest

from jettison.sandbox.storage import remove_tree, size_of


def test_a_tree_is_removed_and_nothing_beyond(tmp_path: os.PathLike[str]) -> None:
    top = os.path.join(tmp_path, "top")
    for path in ("a/b/c", "a/d", "e"):
        os.makedirs(os.path.join(top, path))
    outside = os.path.join(tmp_path, "outside")
    os.mkdir(outside)
    for path in (f"{outside}/kept", f"{top}/a/b/file", f"{top}/file"):
        with open(path, "wb") as file:
            file.write(b"x")
    os.symlink(outside, os.path.join(top, "a", "link"))
    os.symlink(outside, os.path.join(tmp_path, "direct"))
    remove_tree(top)
    remove_tree(os.path.join(tmp_path, "direct"))
    remove_tree(os.path.join(tmp_path, "nothing"))
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["kept"]


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path: os.PathLike[str]) -> None:
    top = os.path.join(tmp_path, "top")
    os.mkdir(top)
    at = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("longer", dir_fd=at)
        below = os.open("longer", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    remove_tree(top)
    assert not os.path.exists(top)


def test_a_size_counts_links_once_and_follows_nothing(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "file"), "wb") as file:
        file.write(bytes(1 << 20))
    one = size_of(os.fspath(tmp_path))
    assert 1 << 20 <= one < (1 << 20) + 65536
    os.link(os.path.join(tmp_path, "file"), os.path.join(tmp_path, "link"))
    os.symlink("file", os.path.join(tmp_path, "symlink"))
    assert size_of(os.fspath(tmp_path)) == one
    assert size_of(os.path.join(tmp_path, "nothing")) == 0


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_what_is_mounted_below_is_not_emptied(tmp_path: os.PathLike[str]) -> None:
    from jettison.sandbox import mount, syscalls

    top = os.path.join(tmp_path, "top")
    os.makedirs(os.path.join(top, "mounted"))
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            mount.private_namespace()
            syscalls.mount("tmpfs", f"{top}/mounted", "tmpfs")
            os.mkdir(f"{top}/mounted/kept")
            try:
                remove_tree(top)
            except OSError:
                status = 0 if os.path.isdir(f"{top}/mounted/kept") else 1
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
