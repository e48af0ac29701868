"""What a step leaves, in the tiers root and rootless: rows and files of what changed, and no more."""

import os
import stat

import pytest

from jettison.sandbox import spec
from jettison.tree.content import snapshot_digest
from jettison.tree.manifest import read_head, read_rows
from jettison.tree.row import Row, with_digest
from sandboxes import Sandbox, bare, ordinary_user, sandbox

__all__ = ["ordinary_user", "sandbox"]
pytestmark = pytest.mark.root

OLD = """
mkdir -p old/sub tmp etc; chmod 1777 tmp
echo one > old/one; echo two > old/two; echo deep > old/sub/deep; ln old/one old/link; ln -s one old/sym
echo data > file; chmod 640 file; chown 7:8 file; echo gone > gone
mkdir -p kept/sub; echo 1 > kept/1; echo 2 > kept/sub/2; touch -d @1000000000 kept/1 kept/sub/2
"""


@pytest.fixture(scope="module")
def old(sandbox: Sandbox) -> str:
    """A snapshot that the steps of the tests change."""
    return sandbox.step(OLD)[0]


def changes(sandbox: Sandbox, old: str, script: str, **fields: object) -> dict[str, Row]:
    """The rows of a step on `old` that changes something, by path."""
    snapshot, _ = sandbox.step(script, (old,), **fields)
    return {row.path: row for row in read_rows(snapshot)}


def shape(rows: dict[str, Row]) -> list[str]:
    """Rows as short text: path, type, and (implied) for an ancestor."""
    return [f"{row.path or '.'} {row.type}{' implied' if row.implied else ''}" for row in rows.values()]


def test_the_first_step_on_a_base_without_them_adds_dev_proc_and_sys(sandbox: Sandbox) -> None:
    out, _ = sandbox.step("true")
    rows = {row.path: row for row in read_rows(out)}
    assert shape(rows) == [". d implied", "dev d", "proc d", "sys d"]
    assert {(row.mode, row.uid, row.gid) for row in rows.values() if row.path} == {(0o755, 0, 0)}


def test_a_snapshot_says_who_made_it(sandbox: Sandbox, old: str) -> None:
    head = read_head(old)
    assert head.tier == sandbox.isolation
    assert bool(head.uid_map) == (sandbox.isolation == "rootless")
    assert head.created_s > 0


@pytest.mark.parametrize(
    "script",
    [
        "true",
        "exec 3>> file; exec 3>> old/two",  # opened for writing
        "chmod 640 file; chown 7:8 file; chmod 1777 tmp",  # given what it had
        "touch old/new; rm old/new; mkdir tmp/d; rmdir tmp/d",  # made and taken away: only a directory's time moved
        "mv old/two old/x; mv old/x old/two",
        "cp -a kept copy; rm -r kept; mv copy kept",  # replaced by its equal
        "cat /etc/resolv.conf /etc/hosts > /dev/null",  # whose mountpoints were made
        "nc -l -U sock & sleep 0.1; true",  # a socket is in no layer
    ],
)
def test_a_step_that_changes_nothing_has_no_snapshot(sandbox: Sandbox, old: str, script: str) -> None:
    out = sandbox.path("snapshot")
    result = sandbox.run(f"set +e; {script}", (old,), out=out)
    rows = shape({row.path: row for row in read_rows(out)}) if os.path.exists(out) else []
    assert (result.changed, rows) == (False, [])


def test_a_step_tells_the_digest_of_what_it_left(sandbox: Sandbox, old: str) -> None:
    out, result = sandbox.step("echo x > new; ln new link; cp /bin/busybox large; chown 3 file; rm gone", (old,))
    assert result.reply == spec.Ran(exit_code=0, digest=snapshot_digest(out))
    rows = [with_digest(row, "") for row in read_rows(out)]
    assert sandbox.ask(spec.SnapshotDigestRequest(snapshot=out)).reply == spec.Digested(
        digest=snapshot_digest(out, rows)
    )


def test_only_what_changed_has_a_row_with_its_ancestors(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "echo more >> old/sub/deep; echo x > new; chmod 600 file; exec 3>>old/two")
    assert shape(rows) == [". d implied", "file f", "new f", "old d implied", "old/sub d implied", "old/sub/deep f"]
    assert (rows["file"].mode, rows["file"].uid, rows["file"].gid, rows["file"].size) == (0o600, 7, 8, 5)
    assert rows["old/sub/deep"].size == 10


def test_what_was_removed_is_deleted_in_rows_and_on_disk(sandbox: Sandbox, old: str) -> None:
    snapshot, _ = sandbox.step("rm gone; rm -r old/sub", (old,))
    assert shape({row.path: row for row in read_rows(snapshot)}) == [
        ". d implied",
        "gone -",
        "old d implied",
        "old/sub -",
    ]
    for path in ("gone", "old/sub"):
        status = os.lstat(os.path.join(snapshot, "files", path))
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0


def test_a_replaced_directory_is_written_as_whiteouts_of_its_old_children(sandbox: Sandbox, old: str) -> None:
    snapshot, _ = sandbox.step("rm -r old; mkdir -p old/sub; echo two2 > old/two; echo n > old/sub/n", (old,))
    rows = {row.path: row for row in read_rows(snapshot)}
    assert shape(rows) == [
        ". d implied",
        "old d implied",
        "old/link -",
        "old/one -",
        "old/sub d implied",
        "old/sub/deep -",
        "old/sub/n f",
        "old/sym -",
        "old/two f",
    ]
    assert not any(row.opaque for row in rows.values())
    seen = sandbox.run("ls old old/sub; cat old/two", (old, snapshot)).out
    assert seen == "old:\nsub\ntwo\n\nold/sub:\nn\ntwo2\n"


def test_a_directory_in_the_place_of_a_file_and_the_other_way_round(sandbox: Sandbox, old: str) -> None:
    snapshot, _ = sandbox.step("rm file; mkdir file; echo x > file/x; rm -r old; echo y > old", (old,))
    assert shape({row.path: row for row in read_rows(snapshot)}) == [". d implied", "file d", "file/x f", "old f"]
    assert sandbox.run("cat file/x old", (old, snapshot)).out == "x\ny\n"


def test_hard_links_made_together_are_one_group(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "echo b > b; ln b a; ln b tmp/c; echo alone > alone")
    assert [rows[path].link for path in ("a", "b", "tmp/c", "alone")] == ["a", "a", "a", ""]


def test_writing_one_of_two_links_emits_that_one_alone(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "echo more >> old/one; cat old/link")
    assert shape(rows) == [". d implied", "old d implied", "old/one f"]
    assert rows["old/one"].link == ""


def test_a_new_link_to_an_old_file_is_a_file_of_its_own(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "ln file second")
    assert shape(rows) == [". d implied", "second f"]
    assert (rows["second"].link, rows["second"].uid) == ("", 7)


def test_all_kinds_of_rows(sandbox: Sandbox, old: str) -> None:
    script = "mknod pipe p; ln -s /a/b sym; chmod 4755 file; echo x > s; chown 1000:2000 s; chmod 2755 s"
    rows = changes(sandbox, old, script)
    assert shape(rows) == [". d implied", "file f", "pipe p", "s f", "sym l"]
    assert (rows["s"].mode, rows["s"].uid, rows["s"].gid) == (0o2755, 1000, 2000)
    assert (rows["sym"].target, rows["sym"].mode, rows["sym"].size) == ("/a/b", 0o777, 0)
    assert rows["file"].mode == 0o4755


def test_a_changed_time_is_a_change_of_a_file(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "touch -d @1000000000 file")
    assert shape(rows) == [". d implied", "file f"]
    assert rows["file"].mtime_ns == 1_000_000_000 * 10**9


def test_the_mode_of_the_root_is_a_change(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "chmod 711 /")
    assert shape(rows) == [". d"]
    assert rows[""].mode == 0o711


def test_a_failed_step_leaves_nothing(sandbox: Sandbox, old: str) -> None:
    out = sandbox.path("snapshot")
    result = sandbox.run("echo x > new; exit 5", (old,), out=out)
    assert (result.code, result.changed, os.path.exists(out)) == (5, False, False)


def test_scratch_is_empty_afterwards(sandbox: Sandbox, old: str) -> None:
    request = sandbox.request("/bin/sh", "-c", "mkdir -p d/e; chmod 0 d; echo > f; chown 9 f d", below=(old,))
    sandbox.ask(request)
    assert os.listdir(request.scratch) == []


def test_files_on_disk_agree_with_the_rows(sandbox: Sandbox, old: str) -> None:
    snapshot, _ = sandbox.step("echo a > old/a; exec 3>>old/two; chmod 1777 tmp; touch old/sub/x; rm old/sub/x", (old,))
    found = []
    for parent, folders, files in os.walk(os.path.join(snapshot, "files")):
        found += [os.path.relpath(os.path.join(parent, name), f"{snapshot}/files") for name in (*folders, *files)]
    assert sorted(found) == ["old", "old/a"]
    rows = {row.path: row for row in read_rows(snapshot)}
    assert os.stat(f"{snapshot}/files/old").st_mtime_ns == rows["old"].mtime_ns
    assert os.stat(f"{snapshot}/files").st_mtime_ns == rows[""].mtime_ns


def test_names_of_any_bytes(sandbox: Sandbox, old: str) -> None:
    rows = changes(sandbox, old, "printf x > \"$(printf '\\377 \\n')\"", env=(("PATH", "/bin"),))
    assert b"\xff ".decode(errors="surrogateescape") in rows


def test_a_stack_of_130_layers(sandbox: Sandbox) -> None:
    layers = []
    for number in range(130):
        layers.append(sandbox.path("layer"))
        files = bare(layers[-1])
        for name in (f"f{number}", "last"):
            with open(os.path.join(files, name), "w", encoding="ascii") as file:
                file.write(f"{number}\n")
        if sandbox.user:
            sandbox.user.own(layers[-1])
    out, result = sandbox.step("cat f0 f77 f129 last; ls / | wc -l; rm f5; echo x > f6", tuple(layers))
    assert result.out.split() == ["0", "77", "129", "129", str(130 + 6)]  # bin dev etc last proc sys
    assert [row.path for row in read_rows(out)] == ["", "dev", "f5", "f6", "proc", "sys"]


def test_a_deep_tree_and_many_files(sandbox: Sandbox, old: str) -> None:
    deep = "d=deep; for i in $(seq 400); do d=$d/dd; done; mkdir -p $d; echo x > $d/f"
    script = f"{deep}; mkdir many; cd many; for i in $(seq 500); do echo $i > $i; done"
    rows = changes(sandbox, old, script)
    assert len(rows) == 1 + 401 + 1 + 1 + 500
