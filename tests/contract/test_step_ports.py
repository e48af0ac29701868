"""The contracts of Inputs and Executor, kept by the fake world of the solver's tests and by app's adapters."""

import os
from collections.abc import Iterator

import pytest

from contract.step_ports import ExecutorContract, InputsContract, MissingPathContract, TellingContract
from fakes.ports import Flag, World
from jettison.app.bind import Binder
from jettison.app.execute import Executor
from jettison.app.images import Images
from jettison.app.inputs import Inputs
from jettison.app.materials import Materials
from jettison.app.request import BuildRequest
from jettison.app.secrets import Secrets
from jettison.app.session import Session
from jettison.sandbox.spec import Directory


class FakeWorld:
    def __init__(self) -> None:
        self.world = World()
        self.inputs = self.executor = self.world
        self.cancel = Flag()

    def write(self, path: str, text: str) -> None:
        self.world.files[path] = text

    def left(self) -> int:
        return len(set(self.world.contents) - set(self.world.discarded))


class RealWorld:
    def __init__(self, home: str, context: str) -> None:
        self.cancel = Flag()
        self.context = context
        self.session = Session.open(home, cancel=self.cancel)
        images = Images(self.session)
        directories = {"context": Directory(context)}
        secrets = Secrets(BuildRequest())
        binder = Binder(self.session, Materials(self.session, lambda _event: None), secrets, directories)
        self.inputs = Inputs(self.session, images, directories, {}, secrets=secrets, binder=lambda: binder)
        self.executor = Executor(self.session, images, binder, None, {}, packings={}, told=self.inputs)

    def write(self, path: str, text: str) -> None:
        with open(os.path.join(self.context, path), "w") as file:
            file.write(text)

    def left(self) -> int:
        return len(os.listdir(self.session.store.snapshots.directory))


@pytest.fixture
def real(tmp_path) -> Iterator[RealWorld]:
    (tmp_path / "context").mkdir()
    world = RealWorld(str(tmp_path / "home"), str(tmp_path / "context"))
    with world.session:
        yield world


class TestFakeInputs(InputsContract, TellingContract):
    @pytest.fixture
    def world(self):
        return FakeWorld()


class TestFakeExecutor(ExecutorContract):
    @pytest.fixture
    def world(self):
        return FakeWorld()


@pytest.mark.root
class TestRealInputs(InputsContract, TellingContract, MissingPathContract):
    @pytest.fixture
    def world(self, real):
        return real


@pytest.mark.root
class TestRealExecutor(ExecutorContract):
    @pytest.fixture
    def world(self, real):
        return real
