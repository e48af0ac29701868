"""One file from an HTTP(S) server, for ADD and for contexts: identity without the bytes, and the bytes. §1.7.

The server is asked on every build, with the ETag of last time: 304 means that nothing changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Self, TypeVar

import msgspec

from jettison.base.digest import digest_of
from jettison.base.errors import HostError, InputError
from jettison.planning.remotes import url_filename
from jettison.registry.config import Patience, authority
from jettison.registry.download import Wanted, download, head_of
from jettison.registry.exchange import Flow, Lookup, Response, redacted
from jettison.registry.source import Cancel, OnProgress, Sink

FILE_MODE = 0o600
WRITE_BUFFER_BYTES = 1 << 20
_ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}  # hex digits
_HEX = frozenset("0123456789abcdef")
_Result = TypeVar("_Result")


class HttpIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL stands for now. `digest` is of the bytes ("" while only the ETag is known); `last_modified_s` seconds
    since the epoch, None when the server does not say.
    """

    etag: str = ""
    digest: str = ""
    last_modified_s: int | None = None

    @property
    def key(self) -> str:
        """A text that is equal exactly while the file is the same: what a cache key holds. Never empty."""
        if not self.etag:
            return self.digest
        return digest_of(f"etag\0{self.etag}\0{self.last_modified_s}".encode("utf-8", "surrogateescape"))


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was fetched: `digest` of its bytes, `last_modified_s` as it stands on disk (0: not known)."""

    digest: str
    size_bytes: int
    filename: str
    last_modified_s: int = 0
    etag: str = ""

    @property
    def identity(self) -> HttpIdentity:
        """The identity to compare with next time."""
        return HttpIdentity(etag=self.etag, digest=self.digest, last_modified_s=self.last_modified_s or None)


def http_identity(
    url: str,
    previous: HttpIdentity | None = None,
    *,
    authorization: str = "",
    checksum: str | None = None,
    environ: Mapping[str, str] | None = None,
    patience: Patience | None = None,
    cancel: Cancel | None = None,
) -> HttpIdentity:
    """What `url` stands for. `previous` comes back whole when the server says that nothing changed.

    With a `checksum` nothing is asked. A server without ETags is asked for the whole file, which is digested and not
    kept. `authorization` goes to the URL's own host alone. Raises NetworkError, InputError and Cancelled.
    """
    check_url(url)
    if checksum is not None:
        check_checksum(checksum)
        return HttpIdentity(digest=checksum)
    wanted = Wanted(url=url, authorization=authorization, etag=previous.etag if previous else "")
    sink = _Digest("sha256")
    return _run(_identity(wanted, previous, sink), sink, environ, patience, cancel)


def _identity(wanted: Wanted, previous: HttpIdentity | None, sink: _Digest) -> Flow[HttpIdentity]:
    head = yield from head_of(wanted)
    if head.status == 304 and previous is not None:
        return previous
    if etag := head.header("etag"):
        return HttpIdentity(etag=etag, last_modified_s=last_modified(head))
    head = yield from download(wanted, sink, head)
    return HttpIdentity(digest=sink.digest, last_modified_s=last_modified(head))


def fetch_http(
    url: str,
    dest_path: str,
    *,
    authorization: str = "",
    checksum: str | None = None,
    on_progress: OnProgress | None = None,
    environ: Mapping[str, str] | None = None,
    patience: Patience | None = None,
    cancel: Cancel | None = None,
) -> Fetched:
    """Fetch `url` to the new file `dest_path`: mode 0600, mtime that of Last-Modified (else 0).

    A cut connection is resumed. `checksum` (`sha256:HEX`) is verified. Nothing is left at `dest_path` on error. Raises
    NetworkError, InputError ("digest mismatch" among them), HostError and Cancelled.
    """
    check_url(url)
    algorithm = check_checksum(checksum) if checksum else "sha256"
    wanted = Wanted(url=url, authorization=authorization)
    try:
        fd = os.open(dest_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), FILE_MODE)
    except OSError as error:
        raise HostError(f"{dest_path}: {error.strerror}") from None
    try:
        with _File(fd, algorithm, on_progress) as sink:
            head = _run(download(wanted, sink), sink, environ, patience, cancel)
            found = _finished(url, sink, head, checksum)
        os.utime(dest_path, (found.last_modified_s, found.last_modified_s))
    except OSError as error:
        os.unlink(dest_path)
        raise HostError(f"{dest_path}: {error.strerror}") from None
    except BaseException:
        os.unlink(dest_path)
        raise
    return found


def _finished(url: str, sink: _File, head: Response, checksum: str | None) -> Fetched:
    if checksum and sink.named_digest != checksum:
        hint = "the file has changed: check it, then write its new checksum"
        raise InputError(f"{redacted(url)}: digest mismatch {sink.named_digest}: {checksum}", hint=hint)
    return Fetched(
        digest=sink.digest,
        size_bytes=sink.count,
        filename=url_filename(url),
        last_modified_s=last_modified(head) or 0,
        etag=head.header("etag"),
    )


def _run(
    flow: Flow[_Result],
    sink: Sink,
    environ: Mapping[str, str] | None,
    patience: Patience | None,
    cancel: Cancel | None,
) -> _Result:
    from jettison.registry.wire import Wire

    wire = Wire(lambda _: Lookup(), environ, patience)
    try:
        return wire.run(flow, sink, cancel)
    finally:
        wire.close()


class _Digest:
    """A sink that keeps nothing but the digest: by sha256, and by the algorithm of a checksum where that is another."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self.restart()

    def restart(self) -> None:
        self.count = 0
        self._hashes = {name: hashlib.new(name) for name in {"sha256", self._algorithm}}

    def write(self, data: bytes) -> None:
        self.count += len(data)
        for one in self._hashes.values():
            one.update(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hashes['sha256'].hexdigest()}"

    @property
    def named_digest(self) -> str:
        return f"{self._algorithm}:{self._hashes[self._algorithm].hexdigest()}"


class _File(_Digest):
    """A sink that writes to a file as well, which it owns."""

    def __init__(self, fd: int, algorithm: str, on_progress: OnProgress | None) -> None:
        self._file = os.fdopen(fd, "wb", WRITE_BUFFER_BYTES)
        self._on_progress = on_progress
        super().__init__(algorithm)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def restart(self) -> None:
        super().restart()
        self._file.seek(0)
        self._file.truncate()

    def write(self, data: bytes) -> None:
        super().write(data)
        self._file.write(data)
        if self._on_progress is not None:
            self._on_progress(self.count)


def check_url(url: str) -> None:
    """Raises InputError for what is no URL of a file on an HTTP server."""
    if not url.startswith(("http://", "https://")) or not authority(url) or not url.isprintable() or " " in url:
        raise InputError(f"{redacted(url)!r} is not an http:// or https:// URL", hint="blanks are written %20 in a URL")


def check_checksum(checksum: str) -> str:
    """The algorithm of `ALGORITHM:HEX`. Raises InputError."""
    algorithm, _, digits = checksum.partition(":")
    if _ALGORITHMS.get(algorithm) != len(digits) or not _HEX.issuperset(digits):
        raise InputError(f"{checksum!r} is not a checksum", hint="write sha256: and 64 lower-case hex digits")
    return algorithm


def last_modified(head: Response) -> int | None:
    """The Last-Modified of an answer in seconds since the epoch, None where it has none that can be read."""
    from email.utils import parsedate_to_datetime

    try:
        stamp = int(parsedate_to_datetime(head.header("last-modified")).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return stamp if 0 <= stamp < 1 << 34 else None  # what every file system holds


def http_authorization(header: bytes | None, token: bytes | None) -> str:
    """The Authorization header of those two secrets' values, "" for none. Raises InputError for a value that would not
    stay in its header.
    """
    for value, scheme in ((header, ""), (token, "Bearer ")):
        if value is not None:
            text = value.decode("latin-1").strip()
            if not text.isprintable():
                raise InputError("a secret for HTTP_AUTH_TOKEN or HTTP_AUTH_HEADER holds more than one line of text")
            return scheme + text
    return ""
