"""The keeper's contract, kept by the fake and by the real one."""

import os
from collections.abc import Iterator

import pytest

from contract.keeper import AnyKeeper, KeeperContract
from fakes.keeper import FakeKeeper
from jettison.sandbox import spec
from jettison.sandbox.client import Keeper
from sandboxes import busybox

SCRIPTS: dict[str, tuple[spec.AnyReply, ...]] = {
    "true": (spec.Ran(exit_code=0, changed=False),),
    "echo one; echo two; exit 3": (
        spec.Output(stream=1, data=b"one\n"),
        spec.Output(stream=1, data=b"two\n"),
        spec.Ran(exit_code=3, changed=False),
    ),
    "echo up; sleep 60": (spec.Output(stream=1, data=b"up\n"), spec.Ran(exit_code=0)),
}


class TestFakeKeeper(KeeperContract):
    @pytest.fixture
    def keeper(self) -> AnyKeeper:
        def answer(request: spec.AnyRequest) -> Iterator[spec.AnyReply]:
            assert isinstance(request, spec.RunRequest)
            if request.user == "nosuch":
                yield spec.Failed(kind="InputError", message="unable to find user nosuch")
            else:
                yield from SCRIPTS[request.args[2]]

        return FakeKeeper(answer)

    def request_of(self, script: str, user: str = "") -> spec.RunRequest:
        args = ("/bin/sh", "-c", script)
        return spec.RunRequest(tree=spec.Tree(()), out="", scratch="/nowhere", args=args, env=(), user=user)


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
class TestKeeper(KeeperContract):
    @pytest.fixture
    def keeper(self, tmp_path: os.PathLike[str]) -> Iterator[AnyKeeper]:
        self.folder = os.fspath(tmp_path)
        self.base = busybox(self.folder)
        with Keeper.start(self.folder, "root") as keeper:
            yield keeper

    def request_of(self, script: str, user: str = "") -> spec.RunRequest:
        scratch = os.path.join(self.folder, os.urandom(4).hex())
        os.mkdir(scratch)
        args, env = ("/bin/sh", "-c", script), (("PATH", "/bin"),)
        return spec.RunRequest(tree=spec.Tree((self.base,)), out="", scratch=scratch, args=args, env=env, user=user)
