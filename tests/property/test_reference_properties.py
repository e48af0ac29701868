"""References and challenges, for any text."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jettison.base.errors import InputError
from jettison.oci.reference import is_reference, parse_reference
from jettison.registry.challenge import parse_challenges

WORD = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-)[a-z0-9]{1,4}){0,2}", fullmatch=True)
DOMAIN = st.sampled_from(["", "docker.io/", "localhost/", "localhost:5000/", "ghcr.io/", "[::1]:80/", "Reg/"])
TAG = st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True))
DIGEST = st.sampled_from(["", "@sha256:" + "0123456789abcdef" * 4])


@given(DOMAIN, st.lists(WORD, min_size=1, max_size=4), TAG, DIGEST)
@settings(max_examples=examples(200))
def test_all_forms_of_a_reference_name_the_same(domain: str, words: list[str], tag: str, digest: str) -> None:
    assume(domain or len(words) == 1 or "." not in words[0])  # a first word with a dot is a host, with a host's letters
    reference = parse_reference(domain + "/".join(words) + tag + digest)
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference
    assert reference.tag or reference.digest
    assert len(reference.familiar) <= len(str(reference))


@given(st.text(max_size=60))
@settings(max_examples=examples(300))
def test_any_text_is_a_reference_or_an_input_error(text: str) -> None:
    if not is_reference(text):
        with pytest.raises(InputError, match="invalid reference format"):
            parse_reference(text)
        return
    reference = parse_reference(text)
    assert parse_reference(str(reference)) == reference
    assert str(reference).isprintable()


@given(st.text(alphabet=st.sampled_from('Bearer bsic,="\\ realm\t'), max_size=80))
@settings(max_examples=examples(300))
def test_any_header_is_read_without_complaint(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme
