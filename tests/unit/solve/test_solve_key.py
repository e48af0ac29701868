"""Keys: what enters them, what never does, and thirty of them held fast."""

import msgspec
import pytest

from jettison.planning import ops
from jettison.record.model import KeyPart
from jettison.solve.key import (
    EMPTY_TREE,
    KEY_VERSION,
    content_key,
    definition_key,
    op_digest,
    op_parts,
    read_by_content,
    result_id,
)

IMAGE = ops.ImageOp(ref="alpine:3", platform="linux/amd64", digest="sha256:" + "a" * 64)
HTTP = ops.HttpOp(url="https://x.test/a.tgz", filename="a.tgz")
GIT = ops.GitOp(remote="https://x.test/r.git")
COPY = ops.CopyOp(sources=(ops.CopySource(1, "/src"),), dest="/app/", dest_is_dir=True)
HEREDOC = ops.CopySource(None, "", inline=ops.InlineFile("conf", "listen 80\n"))
MKDIR = ops.MkdirOp(path="/app")
RUN = ops.RunOp(args=("/bin/sh", "-c", "make"), env=(("PATH", "/bin"),), cwd="/")
change = msgspec.structs.replace

OPS: dict[str, ops.AnyOp] = {
    "scratch": ops.ScratchOp(),
    "image": IMAGE,
    "image, another platform": change(IMAGE, platform="linux/arm64"),
    "http": HTTP,
    "git": GIT,
    "git, a folder": change(GIT, subdir="docs"),
    "git, with its history": change(GIT, keep_git_dir=True),
    "copy": COPY,
    "copy, a wildcard": change(COPY, sources=(ops.CopySource(1, "/*.c", wildcard=True),)),
    "copy, two sources": change(COPY, sources=(ops.CopySource(1, "/a"), ops.CopySource(2, "/b"))),
    "copy, chown": change(COPY, chown="node:node"),
    "copy, chmod": change(COPY, chmod="u=rwX"),
    "copy, link": change(COPY, link=True),
    "copy, parents": change(COPY, parents=True, sources=(ops.CopySource(1, "/a/b", pivot="/a"),)),
    "copy, excludes": change(COPY, excludes=("*.md",)),
    "copy, a heredoc": change(COPY, sources=(HEREDOC,)),
    "add": change(COPY, add=True, sources=(ops.CopySource(1, "/a.tar", unpack=None),)),
    "mkdir": MKDIR,
    "mkdir, a user": change(MKDIR, user="node"),
    "run": RUN,
    "run, a long command": change(RUN, args=("/bin/sh", "-c", "x" * 1000)),
    "run, no environment": change(RUN, env=()),
    "run, a user": change(RUN, user="1000:1000"),
    "run, a folder": change(RUN, cwd="/app"),
    "run, no network": change(RUN, network="none"),
    "run, a bind mount": change(RUN, mounts=(ops.BindMount(target="/in", input=1, source="/out"),)),
    "run, a cache": change(RUN, mounts=(ops.CacheMount(target="/c", id="/c", sharing="locked"),)),
    "run, a secret": change(RUN, mounts=(ops.SecretMount(target="/run/secrets/x", id="x", env="X"),)),
    "run, a script": change(RUN, files=(ops.RunFile("/dev/pipes/EOF", "#!/bin/sh\ntrue\n"),)),
}


def test_thirty_keys_are_held(golden):
    """A difference here is a new KEY_VERSION, or a mistake."""
    lines = [f"version {KEY_VERSION}"]
    for name, op in OPS.items():
        lines.append(f"{definition_key(op_parts(op, 'id'), ['in0', 'in1']).digest} {name}")
    lines.append(f"{content_key(op_parts(COPY), ['in0', 'in1']).digest} copy, by content")
    golden.check("solve/keys.txt", "\n".join(lines) + "\n")


def test_all_of_them_differ():
    digests = [op_digest(op_parts(op)) for op in OPS.values()]
    assert len(set(digests)) == len(digests)


RUN_ONLY = ops.RunOnly(proxy_env=(("HTTP_PROXY", "http://p"),), display_args=("A=1",), ignore_cache=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (RUN, change(RUN, run_only=RUN_ONLY)),
        (IMAGE, change(IMAGE, ref="docker.io/library/alpine:latest")),
        (HTTP, change(HTTP, checksum="sha256:" + "b" * 64)),
        (HTTP, change(HTTP, url="https://mirror.test/a.tgz")),
        (GIT, change(GIT, ref="v1")),
        (GIT, change(GIT, remote="ssh://git@x.test/r.git")),
        (COPY, change(COPY, sources=(ops.CopySource(1, "/src", span_line=9),))),
    ],
)
def test_what_never_enters_a_key(one: ops.AnyOp, other: ops.AnyOp):
    assert op_digest(op_parts(one, "id")) == op_digest(op_parts(other, "id"))


def test_with_its_history_a_checkout_knows_where_it_came_from():
    kept = change(GIT, keep_git_dir=True)
    assert op_digest(op_parts(kept)) != op_digest(op_parts(change(kept, remote="https://y.test/r.git")))


LEFT_OUT = {("ImageOp", "ref"), ("HttpOp", "url"), ("HttpOp", "checksum"), ("GitOp", "ref"), ("GitOp", "checksum")} | {
    ("GitOp", "remote"),
    ("RunOp", "run_only"),
}


def _fields() -> list[tuple[ops.AnyOp, str]]:
    whole = (IMAGE, HTTP, GIT, COPY, MKDIR, RUN)
    return [(op, field) for op in whole for field in op.__struct_fields__ if (type(op).__name__, field) not in LEFT_OUT]


@pytest.mark.parametrize(("op", "field"), _fields(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_other_field_enters_the_key(op: ops.AnyOp, field: str):
    value = getattr(op, field)
    others = {
        "args": ("other",),
        "env": (("OTHER", "1"),),
        "mounts": (ops.TmpfsMount(target="/t"),),
        "files": (ops.RunFile("/f", "x"),),
        "sources": (HEREDOC,),
        "excludes": ("x",),
        "extra_hosts": ("a:1.2.3.4",),
    }
    other = others.get(field, (not value) if isinstance(value, bool) else value + 1 if isinstance(value, int) else "x")
    assert op_digest(op_parts(op)) != op_digest(op_parts(change(op, **{field: other})))


def test_a_secret_that_counts_is_a_part_of_its_own():
    secret = ops.SecretMount(target="/run/secrets/token", id="token")
    one, other = change(RUN, mounts=(secret,)), change(RUN, mounts=(change(secret, stamp="ab"),))
    assert set(op_parts(other)) - set(op_parts(one)) == {KeyPart("secret token", "ab")}
    assert definition_key(op_parts(other), ()).digest != definition_key(op_parts(one), ()).digest
    assert op_digest(op_parts(other)) == op_digest(op_parts(one))  # its outcome is compared with earlier ones


def test_framing_keeps_fields_apart():
    one = change(RUN, args=("a", "b"))
    other = change(RUN, args=("a b",))
    assert op_digest(op_parts(one)) != op_digest(op_parts(other))
    assert op_digest(op_parts(change(RUN, env=(("A", "1"), ("B", ""))))) != op_digest(
        op_parts(change(RUN, env=(("A", "1\0B="),)))
    )


def test_unset_and_text_that_says_so_differ():
    assert op_digest(op_parts(COPY)) != op_digest(op_parts(change(COPY, chown="null")))


def test_a_long_value_stands_as_its_digest_and_cannot_be_written_as_one():
    long = op_parts(change(RUN, cwd="x" * 500))
    digest = next(part.value for part in long if part.name == "cwd")
    assert digest.startswith("sha256:")
    assert op_digest(long) != op_digest(op_parts(change(RUN, cwd=digest)))


def test_bytes_that_are_not_utf8_have_keys_too():
    one, other = change(RUN, cwd="/a\udcff"), change(RUN, cwd="/a\udcfe")
    assert op_digest(op_parts(one)) != op_digest(op_parts(other))
    assert msgspec.json.encode(op_parts(one))


def test_files_tell_a_miss_more_and_change_no_key():
    bare = content_key(op_parts(COPY), ["t", "f"])
    told = content_key(op_parts(COPY), ["t", "f"], (KeyPart("a", "1"),))
    assert bare.digest == told.digest
    assert told.parts[-1] == KeyPart("file a", "1")


def test_the_kinds_of_key_never_meet():
    parts = op_parts(RUN)
    assert definition_key(parts, ["x"]).digest != content_key(parts, ["x"]).digest


def test_inputs_have_their_places():
    parts = op_parts(COPY)
    assert definition_key(parts, ["a", "b"]).digest != definition_key(parts, ["b", "a"]).digest


def test_what_is_read_by_content():
    assert read_by_content(COPY) == {1}
    assert read_by_content(change(COPY, sources=(ops.CopySource(0, "/a"), HEREDOC))) == frozenset()
    mounts = (ops.BindMount(target="/a", input=2), ops.CacheMount(target="/c", id="c", input=1))
    assert read_by_content(change(RUN, mounts=mounts)) == {2}
    assert read_by_content(MKDIR) == frozenset()


def test_equal_bytes_have_equal_identities():
    one = result_id(EMPTY_TREE, ("sha256:1",))
    assert one == result_id(EMPTY_TREE, ("sha256:1",))
    assert one != result_id(one, ("sha256:1",))
    assert result_id(one, ()) == one
    assert result_id(EMPTY_TREE, ("a", "b")) == result_id(result_id(EMPTY_TREE, ("a",)), ("b",))
