"""References as Docker reads them."""

from __future__ import annotations

import pytest

from jettison.base.errors import InputError
from jettison.oci.reference import Reference, is_reference, parse_reference, with_digest

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/user/app:x", "docker.io/user/app:x"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/a/b/c:T_1.x-y", "localhost:5000/a/b/c:T_1.x-y"),
        ("ghcr.io/o/r", "ghcr.io/o/r:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("Host/app", "Host/app:latest"),
        ("my__app/a-b--c.d_e", "docker.io/my__app/a-b--c.d_e:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}"),
    ],
)
def test_what_docker_adds(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("", "the name is empty", "NAME[:TAG]"),
        ("Busybox", "must be lowercase", "try busybox"),
        ("user/App:x", "must be lowercase", "try user/app:x"),
        ("busybox:", "the tag is empty", "128"),
        ("busybox:-x", "'-x' is not a tag", "128"),
        ("busybox:" + "t" * 129, "is not a tag", "128"),
        ("busybox@sha256:abc", "is not a digest", "64 lower-case hex"),
        ("https://ghcr.io/a/b", "it is a URL", "leave the scheme out"),
        ("a//b", "a part of the name is empty", "lower-case"),
        ("/a", "a part of the name is empty", "lower-case"),
        ("-a", "'-a' is not part of a name", "lower-case"),
        ("a b", "is not part of a name", "lower-case"),
        ("foo_bar.com:x/a", "is not a registry's host", "HOST[:PORT]"),
        ("a" * 64, "64 hex digits", "sha256"),
        ("a" * 300, "longer than 255", ""),
        ("busybox\n", "is not part of a name", "lower-case"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str, hint: str) -> None:
    with pytest.raises(InputError, match="invalid reference format") as caught:
        parse_reference(text)
    assert words in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not is_reference(text)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/user/app:1", "user/app:1"),
        ("docker.io/library/a/b", "library/a/b:latest"),
        ("ghcr.io/a/b:c", "ghcr.io/a/b:c"),
        ("docker.io/foo.bar/baz", "docker.io/foo.bar/baz:latest"),
        (f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
    ],
)
def test_the_familiar_form_names_the_same(text: str, familiar: str) -> None:
    assert parse_reference(text).familiar == familiar
    assert parse_reference(familiar) == parse_reference(text)


def test_the_digest_decides() -> None:
    reference = parse_reference(f"busybox:1@{DIGEST}")
    assert reference == Reference(domain="docker.io", path="library/busybox", tag="1", digest=DIGEST)
    assert reference.selector == DIGEST
    assert parse_reference("busybox:1").selector == "1"
    assert with_digest(parse_reference("busybox:1"), DIGEST) == reference
