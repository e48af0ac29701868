"""Stacks and contexts as they are looked up: what hides what, where bytes are, and no way out of the root."""

import os
import socket

import pytest
from trees import directory, snapshot

from jettison.base.errors import HostError, InputError
from jettison.tree.manifest import Head, write_head, write_rows
from jettison.tree.row import DELETED, DIR, FILE, SYMLINK, Row
from jettison.tree.view import DirectoryView, StackView, resolve


def layer(path, *rows):
    """A snapshot of rows alone."""
    os.makedirs(path / "files")
    write_rows(str(path), [Row("", DIR, 0o755, implied=True), *rows])
    write_head(str(path), Head())
    return str(path)


def implied(path):
    return Row(path, DIR, 0o700, 99, 99, implied=True)


def file(path, size=0):
    return Row(path, FILE, 0o644, size=size)


def folder(path, **more):
    return Row(path, DIR, 0o755, **more)


def names(view, path=""):
    return view.children(path)


def test_a_large_layer_tells_the_first_paths_and_the_last_alike(tmp_path):
    rows = [folder("opt"), *(file(f"opt/{number}", number) for number in range(1000)), Row("optional", DELETED)]
    large = layer(tmp_path / "large", *rows, implied("usr"))
    view = StackView((layer(tmp_path / "small", file("optional"), folder("usr")), large))
    paths = ["", "opt", "opt/7", "op", "opt/1000", "optional", "usr", "usr/bin"]
    first = [view.row(path) for path in paths]
    assert first == [Row("", DIR, 0o755), rows[0], rows[8], None, None, None, folder("usr"), None]
    assert [view.row(f"opt/{number}") for number in range(1001)] == [*rows[1:1001], None]
    assert [view.row(path) for path in paths] == first
    assert len(view.children("opt")) == 1000


def test_no_layers_are_an_empty_root():
    view = StackView(())
    assert view.empty
    assert view.row("") == Row("", DIR, 0o755)
    assert view.entries("") == []
    assert view.row("a") is None


def test_upper_layers_win_and_merge(tmp_path):
    view = StackView(
        [
            layer(tmp_path / "1", folder("d"), file("d/a", 1), file("d/b", 1), file("x", 1)),
            layer(tmp_path / "2", implied("d"), file("d/b", 2), file("d/c", 2), file("x", 2)),
        ]
    )
    assert names(view) == ["d", "x"]
    assert names(view, "d") == ["a", "b", "c"]
    assert [row.size for row in view.entries("d")] == [1, 2, 2]
    assert view.where("d/a") == f"{tmp_path}/1/files/d/a"
    assert view.where("d/b") == f"{tmp_path}/2/files/d/b"


def test_an_implied_directory_has_the_lower_ones_metadata(tmp_path):
    lower = layer(tmp_path / "1", folder("d", uid=5))
    upper = layer(tmp_path / "2", implied("d"), file("d/a"))
    assert StackView([lower, upper]).row("d") == folder("d", uid=5)
    assert StackView([upper]).row("d") == Row("d", DIR, 0o700, 99, 99)


def test_an_implied_directory_takes_the_place_of_what_is_none(tmp_path):
    lower = layer(tmp_path / "1", Row("d", SYMLINK, 0o777, target="e"), folder("e"), file("e/f"))
    view = StackView([lower, layer(tmp_path / "2", implied("d"), file("d/a"))])
    assert view.row("d").type == DIR
    assert names(view, "d") == ["a"]


def test_deleted_paths_hide_what_is_below(tmp_path):
    lower = layer(tmp_path / "1", folder("d"), folder("d/e"), file("d/e/f"), file("x"))
    view = StackView([lower, layer(tmp_path / "2", Row("d", DELETED), Row("x", DELETED))])
    assert names(view) == []
    assert view.row("d/e/f") is None
    assert view.entries("d/e") == []
    again = StackView([lower, f"{tmp_path}/2", layer(tmp_path / "3", folder("d"), file("d/g"))])
    assert names(again, "d") == ["g"]
    assert again.row("d/e/f") is None


def test_opaque_directories_hide_what_is_below(tmp_path):
    lower = layer(tmp_path / "1", folder("d"), folder("d/e"), file("d/e/f"))
    view = StackView([lower, layer(tmp_path / "2", folder("d", opaque=True), file("d/g"))])
    assert names(view, "d") == ["g"]
    assert view.row("d/e/f") is None


def test_an_opaque_root(tmp_path):
    upper = tmp_path / "2"
    os.makedirs(upper)
    write_rows(str(upper), [Row("", DIR, 0o700, opaque=True), file("b")])
    view = StackView([layer(tmp_path / "1", file("a")), str(upper)])
    assert names(view) == ["b"]
    assert view.row("").mode == 0o700


def test_a_file_in_place_of_a_directory(tmp_path):
    lower = layer(tmp_path / "1", folder("d"), file("d/f"))
    view = StackView([lower, layer(tmp_path / "2", file("d", 3))])
    assert view.row("d").size == 3
    assert view.row("d/f") is None
    again = StackView([lower, f"{tmp_path}/2", layer(tmp_path / "3", folder("d"), file("d/g"))])
    assert names(again, "d") == ["g"]


def test_nothing_is_below_a_symlink(tmp_path):
    view = StackView([layer(tmp_path / "1", Row("l", SYMLINK, 0o777, target="d"), folder("d"), file("d/f"))])
    assert view.row("l/f") is None
    assert view.entries("l") == []


def test_link_groups_are_a_layers_own(tmp_path):
    group = [Row(path, FILE, link="a") for path in ("a", "b", "c")]
    view = StackView([layer(tmp_path / "1", *group), layer(tmp_path / "2", group[0], group[2])])
    a, b, c = (view.link_of(view.row(path)) for path in ("a", "b", "c"))
    assert a == c != b
    assert view.link_of(file("x")) == ""


def test_bytes_that_are_not_there(tmp_path):
    view = StackView([layer(tmp_path / "1", file("a"))])
    with pytest.raises(HostError, match="cannot read"):
        view.open("a")
    with pytest.raises(HostError, match="no layer holds"):
        view.where("b")


LINKS = {
    "abs": "/d/f", "rel": "d/f", "up": "../../../d", "chain": "rel2/f", "rel2": "up", "loop": "pool", "pool": "loop",
    "self": "self/x", "gone": "no/where", "d/back": "../abs", "dot": "./d/./", "root": "/",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/abs", "d/f"), ("rel", "d/f"), ("up/f", "d/f"), ("chain", "d/f"), ("gone/x", "no/where/x"), ("", ""),
        ("d/back", "d/f"), ("d/../../d/f", "d/f"), ("up/../d", "d"), ("dot/f", "d/f"), ("root/d", "d"), ("n/o", "n/o"),
        ("n/../d", "d"), ("root/root/root", ""),
    ],
)  # fmt: skip
def test_symlinks_are_resolved_inside_the_root(tmp_path, path, found):
    links = [Row(name, SYMLINK, 0o777, target=target) for name, target in LINKS.items()]
    view = StackView([layer(tmp_path / "1", folder("d"), file("d/f"), *links)])
    assert resolve(view, path) == found


def test_symlinks_in_a_circle_and_the_last_one_left(tmp_path):
    links = [Row(name, SYMLINK, 0o777, target=target) for name, target in LINKS.items() if name != "d/back"]
    view = StackView([layer(tmp_path / "1", folder("d"), *links)])
    for path in ("loop", "self", "loop/x"):
        with pytest.raises(InputError, match="too many levels of symbolic links"):
            resolve(view, path)
    assert resolve(view, "up/../abs", follow_last=False) == "abs"
    assert resolve(view, "loop", follow_last=False) == "loop"


def test_a_directory_shows_owners_as_root_and_sockets_as_files(tmp_path):
    root = directory(tmp_path / "c", {"f": "640 5:6 abc", "l": "-> /etc", "p": "600 0:0 fifo"})
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{root}/s")
    server.close()
    view = DirectoryView(root)
    assert names(view) == ["f", "l", "p", "s"]
    assert [(row.type, row.mode & 0o700, row.uid, row.size) for row in view.entries("")] == [
        ("f", 0o600, 0, 3), ("l", 0o700, 0, 0), ("p", 0o600, 0, 0), ("f", 0o700, 0, 0),
    ]  # fmt: skip
    with open(view.open("f"), "rb") as file:
        assert file.read() == b"abc"


def test_a_directory_is_never_left(tmp_path):
    (tmp_path / "secret").write_text("s")
    root = directory(tmp_path / "c", {"up": "-> ..", "d/f": "", "dd": "-> d"})
    view = DirectoryView(root)
    assert view.row("up/secret") is None
    assert view.entries("up") == []
    assert view.row("dd/f") is None
    with pytest.raises(InputError, match="cannot read"):
        view.open("up/secret")
    with pytest.raises(InputError, match="cannot read"):
        view.open("up")
    assert resolve(view, "up/secret") == "secret"


def test_a_file_that_became_something_else_is_not_opened(tmp_path):
    root = directory(tmp_path / "c", {"f": "644 0:0 abc"})
    view = DirectoryView(root)
    assert view.row("f").size == 3
    os.unlink(f"{root}/f")
    os.mkfifo(f"{root}/f")
    with pytest.raises(InputError, match="changed while it was read"):
        view.open("f")


def test_the_ignore_file_hides(tmp_path):
    root = directory(tmp_path / "c", {"a/b/c": "", "a/b/d": "", "a/e": "", "n/x": "", "k": ""})
    view = DirectoryView(root, ["a", "!a/b/c", "n", "!n/nothing", "*.md"])
    assert names(view) == ["a", "k"]
    assert names(view, "a") == ["b"]
    assert names(view, "a/b") == ["c"]
    assert view.row("a/e") is None
    assert view.hidden_by("a/e") == "a"
    assert view.hidden_by("n") == "n"
    assert view.hidden_by("k") is None
    assert view.hidden_by("missing.md") is None


def test_paths_may_be_deep(tmp_path):
    deep = "/".join(["d"] * 1500)
    rows = [folder("/".join(["d"] * (n + 1))) for n in range(1500)]
    view = StackView([layer(tmp_path / "s", *rows)])
    assert view.row(deep).type == DIR
    assert resolve(view, f"{deep}/x") == f"{deep}/x"
    context = DirectoryView(directory(tmp_path / "c", {"f": ""}))
    assert context.row(deep) is None
    assert resolve(context, deep) == deep


def test_where_bytes_lie(tmp_path):
    stack = StackView([snapshot(tmp_path / "s", {"d/f": "644 0:0 xyz"})])
    with open(stack.open("d/f"), "rb") as file:
        assert file.read() == b"xyz"
    assert stack.snapshot_of("d/f") == str(tmp_path / "s")


def test_a_snapshot_that_is_made_anew_is_read_anew(tmp_path):
    first = layer(tmp_path / "1", file("a"))
    assert names(StackView([first])) == ["a"]
    assert names(StackView([first])) == ["a"]
    write_rows(first, [Row("", DIR, 0o755, implied=True), file("b")])
    assert names(StackView([first])) == ["b"]
    os.unlink(f"{first}/manifest")
    with pytest.raises(HostError, match="damaged"):
        StackView([first])


def test_many_rows_are_right_whether_or_not_they_are_kept(tmp_path):
    stack = [layer(tmp_path / str(number), *(file(f"{number}-{each}") for each in range(3_000))) for number in range(4)]
    stack.append(layer(tmp_path / "large", *(file(f"x-{each}") for each in range(9_000))))
    for _ in range(2):
        assert len(names(StackView(stack))) == 21_000
