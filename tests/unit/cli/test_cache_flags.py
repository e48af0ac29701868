"""--cache-from and --cache-to: docker's grammar, and what is refused."""

import pytest

from jettison.app.request import CacheSource, CacheTarget
from jettison.base.errors import InputError, UsageError
from jettison.cli.cache_flags import cache_source, cache_target

REF = "docker.io/user/app:cache"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user/app:cache", CacheSource(type="registry", ref=REF)),
        ("type=registry,ref=user/app:cache", CacheSource(type="registry", ref=REF)),
        ("ref=user/app:cache", CacheSource(type="registry", ref=REF)),
        ("type=local,src=/c", CacheSource(type="local", src="/c")),
        ("type=local,src=/c,tag=x", CacheSource(type="local", src="/c", tag="x")),
        ('"type=local","src=/a,b"', CacheSource(type="local", src="/a,b")),
        ("type=registry,ref=user/app:cache,registry.insecure=true", CacheSource(type="registry", ref=REF)),
    ],
)
def test_where_from(text, found):
    assert cache_source(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user/app:cache", CacheTarget(type="registry", ref=REF)),
        ("type=registry,ref=user/app:cache,mode=max", CacheTarget(type="registry", ref=REF, mode="max")),
        ("type=local,dest=c,mounts=true", CacheTarget(type="local", dest="c", mounts=True)),
        ("type=local,dest=c,compression=zstd,tag=x", CacheTarget(type="local", dest="c", compression="zstd", tag="x")),
        ("type=local,dest=c,ignore-error=true", CacheTarget(type="local", dest="c", ignore_error=True)),
        ("type=inline", CacheTarget(type="inline")),
        ("inline", CacheTarget(type="inline")),
        (
            "type=registry,ref=user/app:cache,image-manifest=true,oci-mediatypes=true",
            CacheTarget(type="registry", ref=REF),
        ),
    ],
)
def test_where_to(text, found):
    assert cache_target(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=gha", "gha is not one of: registry, local"),
        ("type=inline", "inline is not one of"),
        ("type=registry", "needs ref=NAME"),
        ("type=local", "needs src=DIRECTORY"),
        ("src=x", "a type is missing"),
        ("type=local,src=x,nosuch=1", "unknown key 'nosuch'"),
        ("type=local,src", "not key=value"),
    ],
)
def test_sources_that_are_refused(text, words):
    with pytest.raises(UsageError, match=words):
        cache_source(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type=s3,bucket=b", "s3 is not one of: registry, local, inline"),
        ("type=local", "needs dest=DIRECTORY"),
        ("type=local,dest=x,mode=most", "mode=most is not one of: min, max"),
        ("type=local,dest=x,compression=xz", "compression=xz is not one of"),
        ("type=local,dest=x,mounts=maybe", "true or false"),
        ("type=inline,mode=max", "nothing more"),
        ("type=inline,mounts=true", "nothing more"),
    ],
)
def test_targets_that_are_refused(text, words):
    with pytest.raises(UsageError, match=words):
        cache_target(text)


def test_a_reference_must_be_one():
    with pytest.raises(InputError, match="invalid reference format"):
        cache_source("user//app")
