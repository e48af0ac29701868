"""A project whose cache travels between machines, and where it travels to."""

from __future__ import annotations

import pytest

from caches import Built, Layout, Machines
from jettison.app.request import CacheSource, CacheTarget

DOCKERFILE = """\
FROM busybox AS build
RUN mkdir /out && echo built > /out/a && ln /out/a /out/b && cp /bin/busybox /out/tool && chown 12:34 /out/tool
COPY given /out/given
FROM busybox
WORKDIR /app
RUN echo one > one && mkdir sub && echo old > sub/old && ln -s one link && chmod 4750 one
COPY --from=build /out /app/out
RUN rm -r sub && rm out/given && mkdir sub && mkfifo sub/pipe && test -e link
CMD ["sh"]
"""
STEPS = 6  # of both stages; the base's are not counted


def project_of(folder) -> Machines:
    made = Machines(str(folder))
    made.write(Dockerfile=DOCKERFILE, given="given\n")
    return made


@pytest.fixture
def machines(tmp_path) -> Machines:
    return project_of(tmp_path)


@pytest.fixture
def cache(tmp_path) -> Layout:
    return Layout(str(tmp_path / "cache"))


def local(cache: Layout, **more) -> CacheTarget:
    return CacheTarget(type="local", dest=cache.directory, **more)


def source(cache: Layout, **more) -> CacheSource:
    return CacheSource(type="local", src=cache.directory, **more)


def cached(built: Built) -> list[str]:
    return [display for display, verdict in built.verdicts.items() if verdict == "cached"]
