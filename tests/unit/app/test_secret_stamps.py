"""What stands in keys for a secret whose change rebuilds."""

import hashlib

from jettison.app.request import BuildRequest, Secret
from jettison.app.secrets import Secrets


def stamps(salt: bytes, *secrets: Secret) -> dict[str, str]:
    return Secrets(BuildRequest(secrets=secrets)).stamps(lambda: salt)


def refuse() -> bytes:
    raise AssertionError("no salt is made for secrets in no key")


def test_a_stamp_changes_with_the_value_alone_and_tells_nothing(tmp_path):
    path = str(tmp_path / "f")
    (tmp_path / "f").write_bytes(b"the value")
    counts, other = Secret(id="a", src=path, rebuild=True), Secret(id="b", src=path, rebuild=True)
    first = stamps(b"1", counts, other, Secret(id="c", src=path))
    assert first.keys() == {"a", "b"}
    assert first["a"] != first["b"]
    assert first == stamps(b"1", counts, other)
    assert first["a"] not in {stamps(b"2", counts)["a"], hashlib.sha256(b"the value").hexdigest()}
    (tmp_path / "f").write_bytes(b"another")
    assert stamps(b"1", counts)["a"] != first["a"]


def test_the_others_cost_nothing(tmp_path):
    (tmp_path / "f").write_bytes(b"the value")
    assert Secrets(BuildRequest(secrets=(Secret(id="c", src=str(tmp_path / "f")),))).stamps(refuse) == {}
