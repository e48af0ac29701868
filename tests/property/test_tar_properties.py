"""Tars: what rows say is what any reader finds, and no bytes at all make our own reader fail in another way."""

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile

import msgspec
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.base.errors import HostError, InputError
from jettison.layer.extract import Extraction
from jettison.layer.press import Press
from jettison.layer.stream import Stream
from jettison.layer.tarread import entries
from jettison.layer.tarwrite import END, layer_pieces, padding
from jettison.tree.row import BLOCK, CHAR, DELETED, DIR, FIFO, FILE, SYMLINK, Row, order

SECOND = 1_000_000_000
_bytes = st.binary(min_size=1, max_size=30).filter(lambda name: b"/" not in name and b"\0" not in name)
NAMES = st.one_of(
    st.sampled_from(["a", "b", "c", "größe", "x" * 99, "y" * 150, "ü" * 60]),
    st.text(min_size=1, max_size=12).map(lambda text: text.encode("utf-8", "ignore").decode()),
    _bytes.map(lambda name: name.decode("utf-8", "surrogateescape")),
).filter(
    lambda name: name not in ("", ".", "..") and "/" not in name and "\0" not in name and not name.startswith(".wh.")
)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)
IDS = st.one_of(st.integers(0, 3000), st.integers(0, 0xFFFFFFFE))
TIMES = st.one_of(st.integers(0, 1 << 33), st.integers(-(1 << 33), 1 << 33)).map(lambda seconds: seconds * SECOND)
TARGETS = st.text(min_size=1, max_size=200).filter(lambda text: "\0" not in text and text.isprintable())
XATTRS = st.dictionaries(
    st.sampled_from(["security.capability", "user.a", "user.größe"]), st.binary(max_size=40), max_size=2
).map(lambda found: tuple(sorted(found.items())))


@st.composite
def rows(draw):
    """Rows of a layer as a commit makes them: every ancestor is there, links are between files of one size."""
    made = {"": Row("", DIR, 0o755, implied=True)}
    for path in draw(st.lists(PATHS, max_size=12, unique=True)):
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        if path in made or any(made.get(parent, made[""]).type != DIR for parent in above):
            continue
        for parent in above:
            made.setdefault(parent, Row(parent, DIR, 0o755))
        made[path] = _row(draw, path)
    files = [row for row in made.values() if row.type == FILE]
    if len(files) > 2 and draw(st.booleans()):
        group = sorted(files[:2], key=lambda row: order(row.path))
        for row in group:
            made[row.path] = msgspec.structs.replace(group[0], path=row.path, link=group[0].path)
    return sorted(made.values(), key=lambda row: order(row.path))


def _row(draw, path):
    kind = draw(st.sampled_from([FILE, FILE, DIR, SYMLINK, CHAR, BLOCK, FIFO, DELETED]))
    if kind == DELETED:
        return Row(path, DELETED)
    return Row(
        path,
        kind,
        0o777 if kind == SYMLINK else draw(st.integers(0, 0o7777)),
        draw(IDS),
        draw(IDS),
        draw(st.integers(0, 2000)) if kind == FILE else 0,
        draw(TIMES),
        draw(TARGETS) if kind == SYMLINK else "",
        (draw(st.integers(1, 0xFFF)), draw(st.integers(0, 0xFFFFF))) if kind in (CHAR, BLOCK) else (0, 0),
        draw(XATTRS),
    )


def content(row):
    """Bytes that depend on the file, or on its link group."""
    return ((row.link or row.path).encode("utf-8", "surrogateescape") * (row.size + 1))[: row.size]


def tar_of(layer):
    by_path = {row.path: row for row in layer}
    out = io.BytesIO()
    for piece in layer_pieces(layer):
        out.write(piece.header)
        if piece.path is not None:
            out.write(content(by_path[piece.path]) + bytes(padding(piece.size)))
    return out.getvalue() + END


def read(data, chunk=997):
    """The rows that our reader makes of a tar, in memory."""
    stream = Stream(data[at : at + chunk] for at in range(0, len(data), chunk))
    extraction = Extraction("", None, lambda _: None, layer=True)
    for entry in entries(stream):
        extraction.add(entry, stream)
    return extraction.rows()


@settings(max_examples=examples(100))
@given(rows())
def test_what_is_written_is_read_back(layer):
    assert read(tar_of(layer)) == layer


@settings(max_examples=examples(100))
@given(rows())
def test_tarfile_reads_what_the_rows_say(layer):
    wanted = [row for row in layer if row.path]
    with tarfile.open(fileobj=io.BytesIO(tar_of(layer))) as archive:
        members = archive.getmembers()
        assert len(members) == len(wanted)
        for row, member in zip(wanted, members, strict=True):
            if row.type == DELETED:
                parent, slash, name = row.path.rpartition("/")
                assert member.name == f"{parent}{slash}.wh.{name}"
                continue
            assert member.name == row.path
            assert (member.mode, member.uid, member.gid) == (row.mode, row.uid, row.gid)
            assert member.mtime == row.mtime_ns // SECOND
            if row.type == FILE:
                assert archive.extractfile(member).read() == content(row)
            elif row.type == SYMLINK:
                assert member.linkname == row.target
            elif row.type in (CHAR, BLOCK):
                assert (member.devmajor, member.devminor) == row.device


@settings(max_examples=examples(25))
@given(rows())
def test_gnu_tar_lists_what_tarfile_lists(layer):
    data = tar_of(layer)
    listed = subprocess.run(
        ["tar", "-tf", "-", "--null", "--quoting-style=literal"],
        input=data,
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = [member.name + ("/" if member.isdir() else "") for member in archive]
    assert listed.stdout == b"".join(name.encode("utf-8", "surrogateescape") + b"\n" for name in names)


@settings(max_examples=examples(40))
@given(rows(), st.integers(1, 3), st.integers(1, 5000))
def test_the_blob_depends_on_nothing_but_the_bytes(layer, workers, cut):
    data = tar_of(layer) * 3

    def pressed(workers, cut):
        out = io.BytesIO()
        press = Press("gzip", out, workers)
        for at in range(0, len(data), cut):
            press.write(data[at : at + cut])
        press.finish()
        return hashlib.sha256(out.getvalue()).hexdigest()

    assert pressed(workers, cut) == pressed(1, len(data))


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data):
    _read_or_refuse(data)


@settings(max_examples=examples(150))
@given(rows(), st.data())
def test_a_changed_archive_is_read_or_refused(layer, data):
    tar = bytearray(tar_of(layer))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tar) - 1))
        tar[at] = data.draw(st.integers(0, 255))
        block = at - at % 512
        if data.draw(st.booleans()):  # so that the sum does not hide what comes after it
            tar[block + 148 : block + 156] = b" " * 8
            tar[block + 148 : block + 156] = b"%06o\0 " % sum(tar[block : block + 512])
    _read_or_refuse(bytes(tar))


def _read_or_refuse(data):
    try:
        found = read(data)
    except InputError:
        return
    for row in found:
        assert ".." not in row.path.split("/")
        assert not row.path.startswith("/")
        assert "\0" not in row.path


@settings(max_examples=examples(30))
@given(rows(), st.data())
def test_no_archive_writes_outside(layer, data):
    """The same on a disk: whatever the entries are, nothing but the directory that is ours changes."""
    from jettison.layer.unpack import unarchive
    from jettison.tree.disk import Disk

    escapes = data.draw(st.lists(st.sampled_from(["/", "/tmp", "..", "../..", "/outside", "../outside"]), max_size=3))
    links = [Row(f"l{number}", SYMLINK, 0o777, target=target) for number, target in enumerate(escapes)]
    files = [Row(f"l{number}/f", FILE, 0o644, size=1) for number in range(len(links))]
    tar = tar_of([*links, *files])[: -len(END)] + tar_of(layer)
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/outside")
        os.mkdir(f"{directory}/dest")
        with open(f"{directory}/a.tar", "wb") as file:
            file.write(tar)
        before = set(os.listdir("/")) | set(os.listdir("/tmp"))
        try:
            unarchive(f"{directory}/a.tar", f"{directory}/dest", Disk("user"))
        except (
            InputError,
            HostError,
        ):  # what this user may not do, as xattrs of a file of no mode
            pass
        assert os.listdir(f"{directory}/outside") == []
        assert sorted(os.listdir(directory)) == ["a.tar", "dest", "outside"]
        assert "f" not in (set(os.listdir("/")) | set(os.listdir("/tmp"))) - before
