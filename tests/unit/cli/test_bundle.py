"""The bundle of modules: read by a process of its own each, as commands are, beside modules that are written here."""

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import pytest

from jettison.cli import bundle, bundling

# Imports what it is told, and says of each module whether the bundle gave its code, and its VALUE.
COMMAND = """
import importlib, sys, types
from jettison.cli.bundle import Bundle, Loader, join
exec(sys.argv[2])
bundle = join(sys.argv[1])
for name in sys.argv[3:]:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        print(name, type(error).__name__)
    else:
        row = bundle.rows.get(name)
        given = name in bundle.rows and name not in bundle.missed
        print(name, "bundle" if given else "ordinary", getattr(module, "VALUE", "-"))
if bundle.lacks_some():
    from jettison.cli.bundling import complete
    complete(bundle)
"""


class Place(NamedTuple):
    """A folder of modules that is on sys.path, and a bundle's path beside it."""

    modules: str
    path: str

    def write(self, name: str, text: str) -> str:
        """A source file; its directories are made."""
        path = os.path.join(self.modules, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def begin(self, *names: str, first: str = "", folders: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """A command that imports `names`, after the statement `first`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**kept, "PYTHONPATH": os.pathsep.join((*folders, self.modules))}
        words = [sys.executable, "-P", "-c", COMMAND, self.path, first, *names]
        return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *names: str, first: str = "", folders: tuple[str, ...] = ()) -> list[str]:
        """What it said, by lines."""
        command = self.begin(*names, first=first, folders=folders)
        said, _ = command.communicate(timeout=60)
        assert command.returncode == 0, said
        return said.splitlines()


@pytest.fixture
def place(tmp_path) -> Place:
    made = Place(str(tmp_path / "modules"), str(tmp_path / "bundle.modules"))
    made.write("alone.py", "VALUE = 1\n")
    made.write("pack/__init__.py", "VALUE = 2\n")
    made.write("pack/inner.py", "from pack import VALUE as above\nVALUE = above + 1\n")
    return made


ALL = ("alone", "pack", "pack.inner")
ORDINARY = ["alone ordinary 1", "pack ordinary 2", "pack.inner ordinary 3"]
BUNDLED = ["alone bundle 1", "pack bundle 2", "pack.inner bundle 3"]


def content(place: Place) -> bytes:
    with open(place.path, "rb") as file:
        return file.read()


def age(path: str) -> None:
    """Last changed an hour ago."""
    os.utime(path, (time.time() - 3600,) * 2)


def test_the_second_command_has_its_modules_from_the_bundle(place: Place) -> None:
    assert place.run(*ALL) == ORDINARY
    written = content(place)
    assert place.run(*ALL) == BUNDLED
    assert content(place) == written


def test_a_command_adds_what_it_needs_and_what_was_there_stays(place: Place) -> None:
    place.run("alone")
    assert place.run("pack", "pack.inner") == ORDINARY[1:]
    assert place.run(*ALL) == BUNDLED


def test_a_module_is_as_python_would_have_made_it(place: Place) -> None:
    place.write("pack/data.txt", "data")
    place.write(
        "pack/about.py",
        """import importlib.metadata, importlib.resources, inspect, traceback
def fail():
    raise ValueError("here")  # the line that is shown
try:
    fail()
except ValueError:
    told = traceback.format_exc()
import pack
VALUE = [
    __file__, __cached__, __package__, pack.__path__, pack.__file__, inspect.getsource(fail), __spec__.origin,
    importlib.resources.files("pack").joinpath("data.txt").read_text(), told,
    importlib.metadata.version("msgspec"),
]
""",
    )
    before = place.run("pack.about")
    after = place.run("pack.about")
    assert before == [line.replace(" bundle ", " ordinary ") for line in after] != after
    assert "# the line that is shown" in after[0].partition("ValueError: here")[0]
    assert "frozen importlib" not in after[0]


def test_an_error_in_a_module_shows_no_frame_of_the_importer(place: Place) -> None:
    place.write("bad.py", "import os\nif 'FAIL' in os.environ: raise ValueError('bad')\n")
    place.run("bad")
    said = place.begin("bad", first="import os; os.environ['FAIL'] = '1'").communicate()[0]
    assert "raise ValueError('bad')" in said
    assert "bundle.py" not in said


def test_a_changed_source_is_seen_at_once_and_taken_in(place: Place) -> None:
    place.run(*ALL)
    place.write("alone.py", "VALUE = 1000\n")
    assert place.run(*ALL) == ["alone ordinary 1000", *BUNDLED[1:]]
    assert place.run(*ALL) == ["alone bundle 1000", *BUNDLED[1:]]


def test_a_source_of_the_same_size_is_known_by_its_time(place: Place) -> None:
    place.run(*ALL)
    age(place.write("alone.py", "VALUE = 9\n"))
    assert place.run("alone") == ["alone ordinary 9"]


def test_a_source_that_is_gone_is_gone(place: Place) -> None:
    place.run(*ALL)
    seen = os.stat(place.modules)
    os.unlink(os.path.join(place.modules, "alone.py"))
    os.utime(place.modules, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # as in the same second
    assert place.run(*ALL) == ["alone ModuleNotFoundError", *BUNDLED[1:]]


def test_a_module_that_comes_before_is_seen(place: Place, tmp_path) -> None:
    before = str(tmp_path / "before")
    os.makedirs(before)
    age(before)
    place.run(*ALL, folders=(before,))
    assert place.run("alone", folders=(before,)) == ["alone bundle 1"]
    Place(before, "").write("alone.py", "VALUE = 7\n")
    assert place.run("alone", folders=(before,)) == ["alone ordinary 7"]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "the first byte": lambda data: b"J" + data[1:],
    "half of it": lambda data: data[: len(data) // 2],
    "half of the head": lambda data: data[: bundle.HEAD_BYTES // 2],
    "the numbers": lambda data: data[: len(bundle.HEAD)] + b"\xff" * 24 + data[bundle.HEAD_BYTES :],
    "the index": lambda data: data[:-10] + b"\x00" * 10,
    "its last byte": lambda data: data[:-1],
    "the code": lambda data: data[: bundle.HEAD_BYTES] + bytes(len(data) - bundle.HEAD_BYTES),
    "other things": lambda data: os.urandom(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_bundle_is_as_none(place: Place, damage: Callable[[bytes], bytes]) -> None:
    place.run(*ALL)
    whole = content(place)
    with open(place.path, "wb") as file:
        file.write(damage(whole))
    assert place.run(*ALL) == ORDINARY
    age(place.path)
    place.run(*ALL)
    assert place.run(*ALL) == BUNDLED


def test_damaged_code_is_read_from_the_pyc(place: Place) -> None:
    place.run(*ALL)
    row = bundle.marshal.loads(content(place)[-index_bytes(place) :])[1]["alone"]
    with open(place.path, "r+b") as file:
        file.seek(row[6])
        file.write(b"\x00" * row[7])
    said = place.run(*ALL)
    assert [line.split()[-1] for line in said] == ["1", "2", "3"]


def index_bytes(place: Place) -> int:
    return int.from_bytes(content(place)[bundle.HEAD_BYTES - bundle.NUMBER_BYTES : bundle.HEAD_BYTES], "little")


def test_another_python_reads_its_own(place: Place) -> None:
    place.run(*ALL)
    assert place.run(*ALL, first="sys.version = 'another'") == ORDINARY
    assert place.run(*ALL) == BUNDLED


def test_two_paths_do_not_replace_each_others_bundle_all_the_time(place: Place, tmp_path) -> None:
    other = (str(tmp_path / "other"),)
    place.run(*ALL)
    assert place.run(*ALL, folders=other) == ORDINARY
    assert place.run(*ALL) == BUNDLED
    age(place.path)
    place.run(*ALL, folders=other)
    assert place.run(*ALL, folders=other) == BUNDLED


@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_what_others_may_write_is_not_read(place: Place, mode: int) -> None:
    place.run(*ALL)
    os.chmod(place.path, mode)
    assert place.run(*ALL) == ORDINARY


@pytest.mark.root
def test_what_somebody_else_wrote_is_not_read(place: Place) -> None:
    place.run(*ALL)
    os.chown(place.path, 12345, -1)
    assert place.run(*ALL) == ORDINARY


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a directory", "a pipe"])
def test_what_is_no_file_is_not_read(place: Place, make: Callable[[str], None]) -> None:
    make(place.path)
    assert place.run(*ALL) == ORDINARY


def test_nothing_is_written_where_python_writes_no_bytecode(place: Place) -> None:
    assert place.run(*ALL, first="sys.dont_write_bytecode = True") == ORDINARY
    assert not os.path.exists(place.path)


def test_nothing_is_written_where_there_is_no_directory(place: Place) -> None:
    nowhere = place._replace(path=os.path.join(place.modules, "nowhere", "bundle"))
    assert nowhere.run(*ALL) == ORDINARY


def test_code_without_a_pyc_is_not_taken(place: Place) -> None:
    place.write("__pycache__", "a file: no .pyc can be written\n")
    place.run(*ALL)
    assert place.run(*ALL) == [ORDINARY[0], *BUNDLED[1:]]


def test_commands_at_the_same_time_leave_one_whole_bundle(place: Place) -> None:
    commands = [place.begin(*ALL) for _ in range(6)]
    said = [command.communicate(timeout=120)[0].splitlines() for command in commands]
    assert all([line.split()[-1] for line in lines] == ["1", "2", "3"] for lines in said)
    assert place.run(*ALL) == BUNDLED
    assert sorted(os.listdir(os.path.dirname(place.path))) == ["bundle.modules", "modules"]


def test_who_finds_another_writing_leaves_it_to_that_one(place: Place) -> None:
    aside = f"{place.path}.part"
    with open(aside, "wb"):
        pass
    place.run(*ALL)
    assert not os.path.exists(place.path)
    age(aside)  # whoever it was does not write any more
    place.run(*ALL)
    assert place.run(*ALL) == BUNDLED
    assert not os.path.exists(aside)


def test_modules_of_a_namespace(place: Place, tmp_path) -> None:
    place.write("space/leaf.py", "VALUE = 5\n")
    place.run("space.leaf")
    assert place.run("space.leaf") == ["space.leaf bundle 5"]
    second = str(tmp_path / "second")
    Place(second, "").write("space/leaf.py", "VALUE = 6\n")
    age(place.path)
    assert place.run("space.leaf", folders=(second,)) == ["space.leaf ordinary 6"]


def test_modules_of_a_zip_are_left_where_they_are(place: Place, tmp_path) -> None:
    archive = str(tmp_path / "zipped.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped.py", "VALUE = 8\n")
    place.run("alone", "zipped", folders=(archive,))
    assert place.run("alone", "zipped", folders=(archive,)) == ["alone bundle 1", "zipped ordinary 8"]


def test_extension_modules_are_found_where_they_lie(place: Place) -> None:
    import _ctypes

    if not getattr(_ctypes, "__file__", None):
        pytest.skip("this Python has it built in")
    assert place.run("_ctypes") == ["_ctypes ordinary -"]
    assert place.run("_ctypes") == ["_ctypes bundle -"]


def test_what_a_keeper_imports_is_there_once_there_was_one(place: Place) -> None:
    place.run("alone")
    assert place.run("jettison.sandbox.serve") == ["jettison.sandbox.serve ordinary -"]
    place.run("jettison.sandbox.birth")
    assert place.run("jettison.sandbox.keeper") == ["jettison.sandbox.keeper bundle -"]


def test_a_bundle_has_a_bound(place: Place) -> None:
    place.write("later.py", "VALUE = 4\n")
    place.run(*ALL)
    smaller = "import jettison.cli.bundling as b; b.MOST_BYTES = 10"
    place.run("later", first=smaller)
    assert place.run("alone", "later") == ["alone ordinary 1", "later bundle 4"]


def test_who_imports_jettison_keeps_pythons_importers() -> None:
    script = (
        "import sys; before = list(sys.meta_path)\n"
        "from jettison.cli.main import main\n"
        "main(['--version']); import jettison; jettison.parse\n"
        "assert sys.meta_path == before"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_bundling_never_fails_its_command(tmp_path) -> None:
    bundling.complete(bundle.Bundle(str(tmp_path / "no" / "bundle"), {}))
