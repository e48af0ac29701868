"""The values that cross floors: they survive the wire, and a default stays a default."""

import msgspec
import pytest

from jettison.planning import ops
from jettison.record import model
from jettison.sandbox import spec

RUN = ops.RunOp(
    args=("/bin/sh", "-c", "true"),
    env=(("A", "b"),),
    cwd="/",
    mounts=(
        ops.CacheMount(target="/c", id="c"),
        ops.TmpfsMount(target="/t"),
        ops.SecretMount(target="", id="s", env="S"),
    ),
)
REQUESTS = [
    spec.RunRequest(
        tree=spec.Tree(("/s/1",)),
        out="/o",
        scratch="/x",
        args=("true",),
        env=(),
        mounts=(
            spec.BoundTree(target="/b", of=spec.Directory("/ctx", ("a", "!b"))),
            spec.BoundSecret(target="/k", data=b"\xff\0"),
        ),
    ),
    spec.CopyRequest(op=ops.MkdirOp(path="/w", user="node"), tree=spec.Tree(()), inputs=(), out="/o"),
    spec.DigestRequest(op=RUN, input=0, of=spec.Tree(())),
    spec.RemoveRequest(paths=("/p",)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: type(r).__name__)
def test_a_request_survives_the_wire(request_):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request_), type=spec.AnyRequest) == request_


@pytest.mark.parametrize(
    "reply", [spec.Output(stream=2, data=b"\xff"), spec.Ran(exit_code=3), spec.Failed(kind="HostError", message="m")]
)
def test_a_reply_survives_the_wire(reply):
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=spec.AnyReply) == reply


def test_an_op_survives_json():
    assert msgspec.json.decode(msgspec.json.encode(RUN), type=ops.AnyOp) == RUN


def test_a_record_ignores_fields_that_it_does_not_know():
    data = b'{"schema":99,"id":"i","started":"s","duration_ms":1,"outcome":"done","later":[1]}'
    assert msgspec.json.decode(data, type=model.BuildRecord).id == "i"


def test_an_event_survives_json():
    event = model.StepCached(step="build.1", hit="content", at_ms=1.5)
    assert msgspec.json.decode(msgspec.json.encode(event), type=model.AnyEvent) == event
