"""USER and --chown: names and numbers. Reference §1.6 and §1.8."""

import pytest
from trees import snapshot

from jettison.base.errors import InputError
from jettison.tree.passwd import Identity, chown_ids, needs_names, user_of
from jettison.tree.view import StackView

PASSWD = """\
# a comment
root:x:0:0:root:/root:/bin/sh

ann:x:5:50:Ann:/home/ann:/bin/sh
bob:x:6:60::
ann2:x:5:51::/home/other:
broken
odd:x:many:x::/odd:
"""
GROUP = """\
root:x:0:
staff:x:70:bob,ann
audio:x:71:ann
empty:x:72:
ann:x:50:
"""


@pytest.fixture
def view(tmp_path):
    return StackView([snapshot(tmp_path / "s", {"etc/passwd": f"644 0:0 {PASSWD}", "etc/group": f"644 0:0 {GROUP}"})])


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("", Identity(0, 0, (), "/root")), ("root", Identity(0, 0, (), "/root")), ("0", Identity(0, 0, (), "/root")),
        ("ann", Identity(5, 50, (70, 71), "/home/ann")), ("5", Identity(5, 50, (70, 71), "/home/ann")),
        ("ann:staff", Identity(5, 70, (), "/home/ann")), ("ann:9", Identity(5, 9, (), "/home/ann")),
        ("5:9", Identity(5, 9, (), "/home/ann")), ("77", Identity(77, 0, (), "/")),
        ("77:88", Identity(77, 88, (), "/")), ("77:staff", Identity(77, 70, (), "/")),
        ("bob", Identity(6, 60, (70,), "/")), ("odd", Identity(0, 0, (), "/root")),
    ],
)  # fmt: skip
def test_who_a_process_is(view, text, who):
    assert user_of(view, text) == who


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("ann:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("-1", "must be in range"), ("4294967296", "must be in range"), ("1:-1", "must be in range"),
    ],
)  # fmt: skip
def test_who_no_process_can_be(view, text, message):
    with pytest.raises(InputError, match=message):
        user_of(view, text)


def test_a_tree_without_a_passwd_file():
    view = StackView(())
    assert user_of(view, "") == Identity(0, 0)
    assert user_of(view, "5") == Identity(5, 0)
    with pytest.raises(InputError, match="unable to find user ann"):
        user_of(view, "ann")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("7", (7, 7)), ("7:8", (7, 8)), ("ann", (5, 50)), ("ann:staff", (5, 70)), ("7:staff", (7, 70)),
        ("ann:8", (5, 8)),        ("root", (0, 0)), ("nosuch", (0, 0)), ("nosuch:staff", (0, 70)), ("7:nosuch", (7, 7)),
        (":9", (0, 9)),
        ("ann:nosuch", (5, 50)), ("ann:root", (5, 0)), ("ann:", (5, 0)), (":staff", (0, 70)), ("7:", (7, 0)),
    ],
)  # fmt: skip
def test_who_owns(view, text, ids):
    assert chown_ids(view, text) == ids


def test_names_need_a_tree():
    view = StackView(())
    assert chown_ids(view, "root:0") == (0, 0)
    with pytest.raises(InputError, match="invalid user index: -1"):
        chown_ids(view, "ann")
    assert not needs_names("1:root")
    assert needs_names("1:staff")


def test_the_files_are_found_through_symlinks(tmp_path):
    tree = {"etc": "-> /real", "real/passwd": "-> ../p", "p": f"644 0:0 {PASSWD}"}
    assert user_of(StackView([snapshot(tmp_path / "s", tree)]), "ann").uid == 5


def test_a_directory_in_their_place_is_none(tmp_path):
    view = StackView([snapshot(tmp_path / "s", {"etc/passwd/": "", "etc/group": "600 0:0 fifo"})])
    assert chown_ids(view, "ann:staff") == (0, 0)
