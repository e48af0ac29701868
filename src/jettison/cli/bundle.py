"""The code of the modules that commands import, read from one file: finding and opening 150 files takes longer.

The file lies beside this module's own .pyc, and is written by those who may write that one (`bundling`). A module is
taken from it as long as its source looks as it looked then. All else is imported in the ordinary way, and so is
everything when the file is damaged, foreign, or made for another sys.path. Only the program itself uses it (`main`): in
a process that imports jettison as a library, Python's importers stay as they were.

What is imported here is still found in the ordinary way: next to nothing.
"""

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, ExtensionFileLoader, PathFinder, SourceFileLoader
from _imp import source_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

# The file: this line; a checksum of the index, where it begins, and its length; the code of modules as their .pyc have
# it; the index: what surroundings() was, and a row a module.
HEAD = b"jettison modules 1\n"
NUMBER_BYTES = 8  # a checksum, and each number
HEAD_BYTES = len(HEAD) + 3 * NUMBER_BYTES
MOST_INDEX_BYTES = 4 << 20

# Of a module: its file; the directory that it was found in; the second of the file's last change; its size in bytes;
# its .pyc, or "" if it is an extension; whether it is a package; of its code the place in the bundle, the number of
# bytes and the checksum.
Row = tuple[str, str, int, int, str, bool, int, int, bytes]
Index = tuple[object, dict[str, Row]]

_SEED = 0x6A657474
_KIND, _REGULAR, _OTHERS_MAY_WRITE = 0o170000, 0o100000, 0o022  # the module stat is not imported for three numbers
_READ = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK  # whatever lies there, nobody waits for it
_SIZE, _CHANGED_S = 6, 8  # of what stat gives: whole seconds, as a .pyc has them


class Bundle:
    """A finder for sys.meta_path that answers from the file at `path`. `missed`: the names that it had no answer to."""

    __slots__ = ("missed", "path", "rows")

    def __init__(self, path: str, rows: dict[str, Row]) -> None:
        self.path = path
        self.rows = rows
        self.missed: list[str] = []

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,
        target: object = None,  # noqa: ARG002 - importlib's protocol has it, for reloading
    ) -> ModuleSpec | None:
        """How to load module `name` of a package with that `path`; None if there is no row of it that is true."""
        row = self.rows.get(name)
        if row is None or not (path is None or (len(path) == 1 and path[0] == row[1])) or not is_true(row):
            self.missed.append(name)
            return None
        source, _, _, _, cached, is_package, _, _, _ = row
        if cached:
            spec = ModuleSpec(name, Loader(name, source, self.path, row), origin=source, is_package=is_package)
            spec.cached = cached
        else:
            spec = ModuleSpec(name, ExtensionFileLoader(name, source), origin=source)
        if is_package:
            spec.submodule_search_locations = [source.rpartition("/")[0]]
        spec.has_location = True
        return spec

    def lacks_some(self) -> bool:
        """Whether modules were imported that the file does not have, and it may be written."""
        return (
            any(getattr(sys.modules.get(name), "__file__", None) for name in self.missed)
            and not sys.dont_write_bytecode
            and posix.access(self.path.rpartition("/")[0], posix.W_OK)
        )


class Loader(SourceFileLoader):
    """Has a module's code from the bundle; whatever else is asked about the module, its source file answers."""

    def __init__(self, name: str, source: str, bundle: str, row: Row) -> None:
        super().__init__(name, source)
        self._bundle = bundle
        self._row = row

    def get_code(self, fullname: str) -> "CodeType | None":
        """The module's code; from its .pyc if the bundle is gone or is another by now, or its bytes are damaged."""
        body = read_body(self._bundle, self._row)
        if body is None:
            return super().get_code(fullname)
        code: CodeType = marshal.loads(body)  # noqa: S302 - what Python's own loader does with a .pyc
        return code


def begin() -> Bundle | None:
    """From here on modules come from the bundle, where it has them. None if there can be no bundle."""
    cached = getattr(__spec__, "cached", None)
    if not cached or not cached.endswith(".pyc") or "" in sys.path:
        return None
    return join(f"{cached[:-4]}.modules")  # so its name bears Python's version and the level of optimisation


def join(path: str) -> Bundle:
    """Python's importers, with the bundle at `path` asked before sys.path is searched."""
    bundle = Bundle(path, read_rows(path))
    at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(at, bundle)
    return bundle


def read_rows(path: str) -> dict[str, Row]:
    """The rows of the bundle at `path`. None at all if it is not there, not ours, damaged, or of other surroundings."""
    try:
        around, rows = _index(path) or (None, {})
    except (OSError, OverflowError, ValueError, EOFError, TypeError):
        return {}
    return rows if around == surroundings() else {}


def read_body(path: str, row: Row) -> bytes | None:
    """A module's code as marshal wrote it, or None if it is not what the row says."""
    try:
        file = posix.open(path, _READ)
        try:
            body = posix.pread(file, row[7], row[6])
        finally:
            posix.close(file)
    except OSError:
        return None
    return body if checksum_of(body) == row[8] else None


def is_true(row: Row) -> bool:
    """Whether the module's file looks as it looked when the row was written."""
    try:
        found = posix.stat(row[0])
    except OSError:
        return False
    return found[_CHANGED_S] == row[2] and found[_SIZE] == row[3]


def surroundings() -> tuple[object, ...]:
    """What decides to which file a name leads, and whether this Python can read its code."""
    return (MAGIC_NUMBER, sys.version, sys.prefix, sys.exec_prefix, *((path, _changed_s(path)) for path in sys.path))


def checksum_of(data: bytes) -> bytes:
    """It tells damage, not malice: whoever may write the file may write the .pyc beside it."""
    return source_hash(_SEED, data)


def _index(path: str) -> Index | None:
    file = posix.open(path, _READ)
    try:
        about = posix.fstat(file)
        if about.st_mode & _KIND != _REGULAR or about.st_mode & _OTHERS_MAY_WRITE:
            return None
        if about.st_uid not in (0, posix.geteuid()):
            return None
        head = posix.read(file, HEAD_BYTES)
        first, size_bytes = _number(head[-2 * NUMBER_BYTES : -NUMBER_BYTES]), _number(head[-NUMBER_BYTES:])
        if not head.startswith(HEAD) or len(head) < HEAD_BYTES or size_bytes > MOST_INDEX_BYTES:
            return None
        data = posix.pread(file, size_bytes, first)
    finally:
        posix.close(file)
    if checksum_of(data) != head[len(HEAD) : -2 * NUMBER_BYTES]:
        return None
    index: Index = marshal.loads(data)  # noqa: S302 - likewise
    return index


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _changed_s(path: str) -> int:
    try:
        return int(posix.stat(path)[_CHANGED_S])
    except OSError:
        return -1
