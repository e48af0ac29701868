"""Trees against what this floor did not write: stacks against the layer floor's merge, --chmod against chmod(1), copies
against cp(1).
"""

import itertools
import os
import stat
import subprocess

from examples import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jettison.layer.merge import merged_rows
from jettison.planning.ops import CopyOp, CopySource
from jettison.tree.chmod import parse_chmod
from jettison.tree.copy_rules import Filter, walk
from jettison.tree.disk import Disk
from jettison.tree.manifest import Head, read_rows, write_rows
from jettison.tree.row import DELETED, DIR, FILE, SYMLINK, Row, order
from jettison.tree.view import DirectoryView, StackView, resolve
from jettison.tree.write import copy_step

NAMES = ["a", "b", "a.c"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
kinds = st.sampled_from([FILE, FILE, DIR, DIR, DELETED, SYMLINK, "opaque", "implied"])
layers = st.lists(st.dictionaries(paths, kinds, max_size=6), min_size=1, max_size=4)
EVERY_PATH = sorted(("/".join(path) for size in range(4) for path in itertools.product(NAMES, repeat=size)), key=order)


def rows_of(number, layer):
    """A layer's rows as one may be: parents are directories, implied where nothing says otherwise."""
    rows = {"": Row("", DIR, 0o755, implied=True)}
    for path in sorted(layer, key=order):
        parents = ["/".join(path.split("/")[:length]) for length in range(1, path.count("/") + 1)]
        if any(rows[parent].type != DIR for parent in parents if parent in rows):
            continue
        for parent in parents:
            rows.setdefault(parent, Row(parent, DIR, 0o700, uid=number, implied=True))
        kind = layer[path]
        if kind in (DELETED, FILE, SYMLINK):
            if path not in rows:
                rows[path] = Row(path, kind, 0o644, uid=number, target="b" if kind == SYMLINK else "")
        else:
            rows[path] = Row(path, DIR, 0o755, uid=number, opaque=kind == "opaque", implied=kind == "implied")
    return rows.values()


@settings(max_examples=examples(150))
@given(layers)
def test_a_stack_is_what_the_layers_merge_to(tmp_path_factory, stack):
    root = tmp_path_factory.mktemp("stack")
    snapshots = []
    for number, layer in enumerate(stack, 1):
        os.mkdir(root / str(number))
        write_rows(str(root / str(number)), rows_of(number, layer))
        snapshots.append(str(root / str(number)))
    view = StackView(snapshots)
    expected = {row.path: (row.type, row.uid) for row, _ in merged_rows(snapshots) if row.path}
    looked_up = {path: view.row(path) for path in EVERY_PATH if path}
    assert {path: (row.type, row.uid) for path, row in looked_up.items() if row is not None} == expected
    walked = [found.row.path for found in walk(view, "", Filter(None, ()))]
    assert walked == sorted(expected, key=order)


links = st.dictionaries(
    paths, st.lists(st.sampled_from([*NAMES, "..", ".", ""]), min_size=1, max_size=4).map("/".join), max_size=5
)


@settings(max_examples=examples(150))
@given(links, st.lists(st.sampled_from([*NAMES, ".."]), max_size=5).map("/".join))
def test_symlinks_lead_where_the_kernel_leads(tmp_path_factory, tree, path):
    """Within a directory, for links that are relative and stay in it: as realpath(3) says."""
    root = os.path.realpath(tmp_path_factory.mktemp("links"))
    for name, target in tree.items():
        parent, _, last = f"{root}/{name}".rpartition("/")
        if not target or target.startswith("/") or os.path.realpath(parent) != parent:
            continue
        try:
            os.makedirs(parent, exist_ok=True)
            os.symlink(target, f"{parent}/{last}")
        except OSError:
            continue
    try:
        expected = os.path.realpath(f"{root}/{path}", strict=True)
    except OSError:
        return
    if f"{expected}/".startswith(f"{root}/") and not _leaves(root, path):
        assert resolve(DirectoryView(root), path) == expected[len(root) + 1 :]


def _leaves(root, path):
    """Whether the kernel steps out of `root` on its way (a view would stay at the root instead)."""
    todo, here, steps = path.split("/")[::-1], root, 0
    while todo and steps < 200:
        steps += 1
        part = todo.pop()
        here = os.path.dirname(here) if part == ".." else f"{here}/{part}" if part not in ("", ".") else here
        if not f"{here}/".startswith(f"{root}/"):
            return True
        if os.path.islink(here):
            todo += os.readlink(here).split("/")[::-1]
            here = os.path.dirname(here)
    return steps == 200


who = st.sampled_from(["u", "g", "o", "a", "ug", "go", "ugo"])
perms = st.one_of(st.sampled_from(["u", "g", "o"]), st.text("rwxX", max_size=4))
clauses = st.lists(st.builds("{}{}{}".format, who, st.sampled_from("+-="), perms), min_size=1, max_size=4)


@settings(max_examples=examples(60))
@given(clauses.map(",".join), st.integers(0, 0o777), st.booleans())
def test_chmod_does_what_chmod_does(tmp_path_factory, text, mode, is_dir):
    """But for X in a later clause: chmod(1) of GNU asks the mode as changed so far, BSD's setmode(3), which BuildKit's
    library is a translation of, the mode that the file had."""
    assume("X" not in text.partition(",")[2])
    at = str(tmp_path_factory.mktemp("chmod") / "x")
    os.mkdir(at) if is_dir else os.close(os.open(at, os.O_CREAT | os.O_WRONLY))
    os.chmod(at, mode)
    subprocess.run(["chmod", text, at], check=True, umask=0)
    assert oct(parse_chmod(text)(mode, is_dir)) == oct(stat.S_IMODE(os.lstat(at).st_mode))


def test_whether_x_is_given_hangs_on_the_mode_before_all_clauses():
    assert parse_chmod("u-x,a+X")(0o100, False) == 0o111
    assert parse_chmod("u+x,a+X")(0o000, False) == 0o100


contents = st.dictionaries(paths, st.sampled_from(["file", "dir", "link"]), max_size=8)


@settings(max_examples=examples(40))
@given(contents, contents)
def test_a_directory_is_copied_as_cp_does(tmp_path_factory, source, target):
    """Onto another tree, where nothing has another type: what both agree on."""
    root = tmp_path_factory.mktemp("copy")
    for name, tree in (("source", source), ("target", target)):
        (root / name).mkdir()
        for path in sorted(tree, key=order):
            _make(root / name / path, tree[path])
    if any(_clash(root, path) for path in EVERY_PATH):
        return
    disk, head = Disk("user"), Head()
    op = CopyOp(sources=(CopySource(1, "/"),), dest="/", dest_is_dir=True)
    stack = []
    for name in ("target", "source"):
        out = str(root / f"snapshot-{name}")
        copied = copy_step(
            op, stack, [DirectoryView(str(root / name))], out, disk=disk, head=head, unarchive=lambda *_: None
        )
        stack += [out] if copied.changed else []
    subprocess.run(["cp", "-a", "--remove-destination", f"{root}/source/.", f"{root}/target"], check=True)
    view = StackView(stack)
    there = {found.row.path: _of(view, found.row) for found in walk(view, "", Filter(None, ()))}
    expected = {
        found.row.path: _of(DirectoryView(f"{root}/target"), found.row)
        for found in walk(DirectoryView(f"{root}/target"), "", Filter(None, ()))
    }
    assert there == expected
    assert all(row.implied or row.path for out in stack for row in read_rows(out))


def _make(path, kind):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("nowhere")
        else:
            path.write_text(f"{path}")
    except OSError:
        return


def _clash(root, path):
    types = [
        stat.S_IFMT(os.lstat(root / name / path).st_mode)
        for name in ("source", "target")
        if os.path.lexists(root / name / path)
    ]
    return len(set(types)) > 1 and stat.S_IFDIR in types


def _of(view, row):
    data = b""
    if row.type == FILE and row.size:
        with open(view.open(row.path), "rb") as file:
            data = file.read()
    return (row.type, row.mode, row.mtime_ns if row.type != DIR else 0, row.target, data)
