"""What was last known of files on HTTP servers, by URL: so that a server can say that nothing changed."""

from __future__ import annotations

import msgspec

from jettison.store.index import Index


class RemoteFact(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL stood for. `last_modified_s` is seconds since the epoch, None when the server did not say."""

    etag: str = ""
    digest: str = ""
    last_modified_s: int | None = None


class Remotes:
    """The facts by URL. Every method is one atomic read or write."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, url: str) -> RemoteFact | None:
        """What is known of `url`."""
        row = self._index.row("SELECT etag, digest, last_modified_s FROM remotes WHERE url=?", url)
        return None if row is None else RemoteFact(etag=row[0], digest=row[1], last_modified_s=row[2])

    def put(self, url: str, fact: RemoteFact) -> None:
        """Remember what `url` stands for now."""
        with self._index.write() as db:
            values = (url, fact.etag, fact.digest, fact.last_modified_s)
            db.execute("INSERT OR REPLACE INTO remotes VALUES (?,?,?,?)", values)
