"""What the differential tests share: the base, one store for all cases, and buildah."""

from collections.abc import Iterator

import pytest

import peers
from bases import assemble
from differential import records
from project import Project
from users import User, ordinary_user

__all__ = ["ordinary_user"]


@pytest.fixture(scope="session")
def base() -> records.Base:
    """The base image that the cases are built on."""
    return records.read_base(assemble.base(records.BASE))


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One store for all cases, so that the base is unpacked once and steps that are alike meet in the cache."""
    return Project(str(tmp_path_factory.mktemp("differential"))).base(records.BASE)


@pytest.fixture(scope="session")
def rootless_builder(ordinary_user: User) -> Project:
    """An ordinary user's store for all cases."""
    made = ordinary_user.project("differential")
    ordinary_user.base(made, records.BASE)
    return made


@pytest.fixture(scope="session")
def buildah(tmp_path_factory: pytest.TempPathFactory, base: records.Base) -> Iterator[peers.Buildah]:
    """buildah with the base in its storage."""
    made = peers.Buildah(str(tmp_path_factory.mktemp("buildah")))
    made.load(base.layout, records.BASE)
    yield made
    made.close()
