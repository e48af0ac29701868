"""A case, run: its folder made, the command line called in this process, the image read by the suite's own reader."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import msgspec

import images
from bases import assemble
from conformance import layout
from conformance.case import Build, Case
from conformance.serve import Server, Site
from jettison.cli.main import main

BASE = "busybox"


class Outcome(NamedTuple):
    """What came of one build. `over` is the deepest of the known bases that the image lies on, None for none."""

    code: int
    printed: str
    image: images.Image | None
    over: images.Image | None
    record: dict[str, Any]
    requests: list[str]


class World(NamedTuple):
    """What all cases share: the server, and the base read once."""

    server: Server
    base: images.Image
    base_layout: str

    @classmethod
    def of(cls, server: Server) -> World:
        """With the assembled base, made now if need be."""
        found = assemble.base(BASE)
        return cls(server, images.read(found), found)


class Running:
    """One case in a folder of its own."""

    def __init__(self, case: Case, world: World, folder: str) -> None:
        self.case = case
        self.world = world
        self.folder = folder
        self.context = os.path.join(folder, "context")
        self.out = os.path.join(folder, "image.tar")
        self.site = Site({}, {}, os.path.join(folder, "git"))
        self.places = {
            "context": self.context,
            "case": folder,
            "busybox": world.base_layout,
            "busybox-digest": _json(os.path.join(world.base_layout, "index.json"))["manifests"][0]["digest"],
            "server": world.server.address,
            "host": world.server.address.removeprefix("http://"),
            "http": f"{world.server.address}/{self._site_name()}",
            "long": "x" * 70_000,
        }
        self.bases = [world.base]
        self.agent = socket.socket(socket.AF_UNIX)

    def _site_name(self) -> str:
        return self.case.name.replace("/", "-")

    def __enter__(self) -> Self:
        os.makedirs(os.path.join(self.folder, "git"))
        self.world.server.sites[self._site_name()] = self.site
        for name, files in self.case.dirs.items():
            self.places[name] = os.path.join(self.folder, "dirs", name)
            layout.write_files(self.places[name], {path: self.text(text) for path, text in files.items()})
        for name, image in self.case.images.items():
            self.places[name] = os.path.join(self.folder, "images", name)
            layout.write_image(self.places[name], image)
            if not image.also:
                self.bases.append(images.read(self.places[name]))
        for name, commits in self.case.git.items():
            ids = layout.write_repository(os.path.join(self.site.repositories, f"{name}.git"), commits, self.text)
            self.places |= {f"{name}:{number}": commit for number, commit in enumerate(ids)}
        if self.case.agent:
            self.agent.bind(os.path.join(self.folder, self.case.agent))
            self.agent.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.close()
        del self.world.server.sites[self._site_name()]

    def text(self, text: str) -> str:
        """With the places that `@NAME@` stands for."""
        for name, value in self.places.items():
            text = text.replace(f"@{name}@", value)
        return text

    def build(self, build: Build) -> Outcome:
        """Lay out what the build adds to the context, and build it."""
        self.lay_out(build)
        self.site.requests.clear()
        out, metadata = self.out, os.path.join(self.folder, "metadata.json")
        for path in (out, metadata):
            if os.path.exists(path):
                os.unlink(path)
        code, printed = call(
            [
                *("build", "--progress=plain", f"--output=type=oci,dest={out}", f"--metadata-file={metadata}"),
                *self._named_contexts(),
                *(["--no-cache"] if build.output or build.no_output else []),
                *map(self.text, build.flags),
                self.text(build.path),
            ],
            self._stdin(build),
            {name: self.text(value) for name, value in build.variables.items()},
        )
        made = images.read(out) if os.path.exists(out) else None
        record = _json(metadata).get("jettison.record", {})
        return Outcome(code, printed, made, self._below(made), record, list(self.site.requests))

    def lay_out(self, build: Build) -> None:
        """Write what the build adds to the context, and let the server have its pages."""
        layout.write_files(self.context, {path: self.text(text) for path, text in build.context.items()})
        if build.dockerfile:
            layout.write_files(self.context, {build.dockerfile_at: self.text(build.dockerfile)})
        for name, members in build.archives.items():
            layout.write_archive(self.context, name, members)
        layout.set_up(self.context, build.setup)
        for path, page in build.http.items():
            self.site.bodies[path] = self._body(page.archive) if page.archive else page.text.encode()
            headers = {name: self.text(value) for name, value in page.headers.items()}
            self.site.pages[path] = msgspec.structs.replace(page, headers=headers)

    def _body(self, archive: str) -> bytes:
        with open(os.path.join(self.context, archive), "rb") as file:
            return file.read()

    def _named_contexts(self) -> list[str]:
        layouts = {BASE: self.world.base_layout}
        layouts |= {name: self.places[name] for name, image in self.case.images.items() if image.context}
        return [f"--build-context={name}=oci-layout://{path}" for name, path in layouts.items()]

    def _stdin(self, build: Build) -> bytes:
        if build.stdin_file is not None:
            return self._body(build.stdin_file)
        return self.text(build.stdin or "").encode()

    def _below(self, made: images.Image | None) -> images.Image | None:
        if made is None:
            return None
        found = [base for base in self.bases if _is_below(base, made)]
        return max(found, key=lambda base: len(base.layers), default=None)


def _is_below(base: images.Image, made: images.Image) -> bool:
    below = base.config["rootfs"]["diff_ids"]
    return bool(below) and made.config["rootfs"]["diff_ids"][: len(below)] == below


def _json(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
        return found


def call(words: list[str], stdin: bytes, variables: dict[str, str]) -> tuple[int, str]:
    """The command line in this process: the exit code, and all that it printed."""
    printed = io.StringIO()
    with _environment(variables), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        kept, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
        try:
            code = main(words)
        finally:
            sys.stdin = kept
    return code, printed.getvalue()


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
