"""base: carets stand under the text, errors survive pickling, equal values give equal bytes."""

import hashlib
import pickle

import msgspec
import pytest

from jettison.base import digest, errors
from jettison.base.canonical import canonical, canonical_digest
from jettison.base.digest import SMALL_BYTES, digest_of, hex_of, is_digest, running
from jettison.base.readable import readable, readable_json
from jettison.base.span import Source, Span, excerpt

SOURCE = Source("Dockerfile", "FROM scratch\nCOPI a b\n")
AT = errors.Location(SOURCE, Span(2, 0, 2, 4))


def test_excerpt_puts_carets_under_the_spanned_text():
    assert excerpt(SOURCE, AT.span) == " 2 | COPI a b\n   | ^^^^"


def test_excerpt_of_many_lines_is_cut_short_and_says_so():
    source = Source("f", "\n".join("abcdefgh"))
    assert excerpt(source, Span(1, 0, 8, 1)).splitlines()[-1].endswith("…")


def test_an_error_says_place_text_and_hint():
    error = errors.InputError("no such thing", hint="make one").at(AT)
    assert str(error) == "Dockerfile:2: no such thing\n 2 | COPI a b\n   | ^^^^\nhint: make one"


def test_the_first_location_stays():
    other = errors.Location(SOURCE, Span(1, 0, 1, 4))
    assert errors.InputError("x").at(AT).at(other).location == AT


@pytest.mark.parametrize("kind", errors.BY_NAME.values())
def test_errors_survive_pickling(kind):
    back = pickle.loads(pickle.dumps(kind("m", hint="h", location=AT)))
    assert (type(back), str(back)) == (kind, str(kind("m", hint="h", location=AT)))


def test_a_step_error_keeps_its_exit_code_and_tail_through_pickling():
    back = pickle.loads(pickle.dumps(errors.StepError("m", process_exit_code=7, tail=("last",))))
    assert (back.process_exit_code, back.tail) == (7, ("last",))


def test_a_dockerfile_error_shows_every_diagnostic():
    found = (errors.Diagnostic("one", Span(1, 0, 1, 4)), errors.Diagnostic("two", Span(2, 0, 2, 4), "fix it"))
    text = str(pickle.loads(pickle.dumps(errors.DockerfileError(SOURCE, found))))
    assert "Dockerfile:1: one" in text
    assert text.endswith("hint: fix it")


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "0" * 63 + "/", "md5:" + "0" * 64])
def test_only_a_digest_is_a_digest(text):
    assert not is_digest(text)
    with pytest.raises(ValueError, match="not a sha256 digest"):
        hex_of(text)


def test_canonical_ignores_the_order_of_keys():
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == b'{"a":2,"b":1}'


def test_canonical_frames_its_fields():
    assert canonical(("ab", "c")) != canonical(("a", "bc"))


def test_names_that_are_not_utf8_are_told_apart():
    raw = b"\xff".decode("utf-8", "surrogateescape")
    assert canonical_digest([raw]) != canonical_digest(["\xff"])
    assert canonical_digest([raw]) == canonical_digest([raw])
    assert digest_of(b"") == "sha256:" + hex_of(digest_of(b""))


class _Named(msgspec.Struct, frozen=True, tag="named"):
    name: str
    more: tuple[str, ...] = ()


def test_text_that_is_not_utf8_is_readable_as_json():
    raw = b"caf\xe9\xe9".decode("utf-8", "surrogateescape")
    assert readable(raw) == "caf\ufffd\ufffd"
    assert readable("café") == "café"
    assert msgspec.json.decode(readable_json({"b": _Named(raw, (raw,)), raw: 1})) == {
        "b": {"type": "named", "name": "caf\ufffd\ufffd", "more": ["caf\ufffd\ufffd"]},
        "caf\ufffd\ufffd": 1,
    }


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1])
@pytest.mark.parametrize("built_in", [True, False])
def test_a_digest_is_hashlibs_whatever_computes_it(monkeypatch, size, built_in):
    if not built_in:
        monkeypatch.setattr(digest, "_small", None)
    data = b"x" * size
    assert digest_of(data) == f"sha256:{hashlib.sha256(data).hexdigest()}" == f"sha256:{running(data).hexdigest()}"
