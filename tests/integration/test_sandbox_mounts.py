"""RUN's mounts in the tiers root and rootless: what a step sees, what is kept, and that nothing gets into the layer."""

import os

import pytest

from jettison.base.errors import InputError
from jettison.planning.ops import RunFile
from jettison.sandbox import spec
from jettison.tree.manifest import read_rows
from sandboxes import Sandbox, bare, ordinary_user, sandbox

__all__ = ["ordinary_user", "sandbox"]
pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def tree(sandbox: Sandbox) -> str:
    """A snapshot to be mounted, and to run on."""
    script = "mkdir -p src/sub proc dev sys etc; echo one > src/one; echo two > src/sub/two; chown 5:6 src/one"
    return sandbox.step(
        script + "; ln -s sub src/link; ln -s /etc/passwd src/out; ln -s ../../../src/sub up; echo inner > etc/passwd"
    )[0]


def bind(sandbox: Sandbox, tree: str, target: str, source: str = "/", **fields: object) -> spec.BoundTree:
    return spec.BoundTree(target=target, of=spec.Tree((sandbox.base, tree)), source=source, **fields)  # type: ignore[arg-type]


def changed_paths(sandbox: Sandbox, tree: str, script: str, *mounts: spec.AnyBound, **fields: object) -> list[str]:
    """What the layer of a step on `tree` holds, ancestors left out."""
    out = sandbox.path("snapshot")
    result = sandbox.run(script, (tree,), out=out, mounts=mounts, **fields)
    assert result.code == 0, result.err
    return [row.path for row in read_rows(out) if not row.implied] if os.path.exists(out) else []


def test_bind_shows_a_tree_read_only(sandbox: Sandbox, tree: str) -> None:
    mount = bind(sandbox, tree, "/m", "/src")
    result = sandbox.run(
        "cd m; ls; cat sub/two; stat -c %u:%g one; (echo x > new) || (echo x > one) || echo ro",
        (tree,),
        mounts=(mount,),
    )
    assert result.out == "link\none\nout\nsub\ntwo\n5:6\nro\n"
    assert result.err.count("Read-only file system") == 2


def test_bind_of_one_file(sandbox: Sandbox, tree: str) -> None:
    assert sandbox.run("cat /x/y", (tree,), mounts=(bind(sandbox, tree, "/x/y", "/src/one"),)).out == "one\n"


def test_bind_discards_what_is_written(sandbox: Sandbox, tree: str) -> None:
    mount = bind(sandbox, tree, "/m", "/src", readonly=False)
    assert changed_paths(sandbox, tree, "cd m; echo x > new; echo y >> one; rm -r sub; cat one; ls", mount) == []
    assert sandbox.run("cat src/one; ls src", (tree,)).out == "one\nlink\none\nout\nsub\n"


@pytest.mark.parametrize(("source", "seen"), [("/src/link", "two"), ("/up", "two"), ("/src/out", "inner")])
def test_a_symlink_in_a_source_stays_within_the_tree(sandbox: Sandbox, tree: str, source: str, seen: str) -> None:
    script = "if [ -d m ]; then cat m/two; else cat m; fi"
    assert sandbox.run(script, (tree,), mounts=(bind(sandbox, tree, "/m", source),)).out == f"{seen}\n"


def test_a_missing_source_is_an_error(sandbox: Sandbox, tree: str) -> None:
    with pytest.raises(InputError, match='"/nosuch": not found'):
        sandbox.run("true", mounts=(bind(sandbox, tree, "/m", "/nosuch"),))


@pytest.fixture
def context(sandbox: Sandbox) -> str:
    """A directory of the user."""
    path = sandbox.path("context")
    os.makedirs(os.path.join(path, "dir"))
    for name in ("a", "secret", "dir/b"):
        with open(os.path.join(path, name), "w", encoding="ascii") as file:
            file.write(f"{name}\n")
    if sandbox.user:
        sandbox.user.own(path)
    else:
        os.chown(os.path.join(path, "a"), 77, 77)
    return path


def test_bind_of_a_context_shows_copies_owned_by_root_without_the_ignored(sandbox: Sandbox, context: str) -> None:
    mount = spec.BoundTree(target="/c", of=spec.Directory(context, ("secret",)), readonly=False)
    result = sandbox.run("cd c; ls; cat a dir/b; stat -c %u:%g a .; echo changed > a", mounts=(mount,))
    assert result.out == "a\ndir\na\ndir/b\n0:0\n0:0\n"
    with open(os.path.join(context, "a"), encoding="ascii") as file:
        assert file.read() == "a\n"


def test_bind_of_a_part_of_a_context(sandbox: Sandbox, context: str) -> None:
    mounts = (
        spec.BoundTree(target="/c", of=spec.Directory(context), source="/dir"),
        spec.BoundTree(target="/f", of=spec.Directory(context), source="/dir/b"),
    )
    assert sandbox.run("ls c; cat f", mounts=mounts).out == "b\ndir/b\n"


def test_a_cache_is_made_kept_and_in_no_layer(sandbox: Sandbox, tree: str) -> None:
    cache = spec.BoundCache(target="/c", directory=sandbox.path("cache"), mode=0o750, uid=3, gid=4)
    assert changed_paths(sandbox, tree, "stat -c '%a %u %g' c; echo kept > c/f", cache) == []
    assert sandbox.run("stat -c '%a %u %g' c; cat c/f", mounts=(cache,)).out == "750 3 4\nkept\n"


def test_a_read_only_cache(sandbox: Sandbox) -> None:
    cache = spec.BoundCache(target="/c", directory=sandbox.path("cache"), readonly=True)
    assert sandbox.run("echo x > c/f || echo ro", mounts=(cache,)).out == "ro\n"


def test_a_new_cache_starts_with_its_seed(sandbox: Sandbox, tree: str) -> None:
    seed = spec.Tree((tree,))
    cache = spec.BoundCache(target="/c", directory=sandbox.path("cache"), seed=seed, seed_source="/src")
    assert sandbox.run("ls c; stat -c %u:%g c/one; rm c/one", mounts=(cache,)).out == "link\none\nout\nsub\n5:6\n"
    assert sandbox.run("ls c; cat src/one", (tree,), mounts=(cache,)).out == "link\nout\nsub\none\n"


def test_tmpfs(sandbox: Sandbox, tree: str) -> None:
    mounts = (spec.BoundTmpfs(target="/t/deep", size_bytes=1 << 20), spec.BoundTmpfs(target="/src"))
    script = "grep /t/deep /proc/mounts; ls src; echo x > src/x; echo x > t/deep/x; stat -c %a src"
    out = sandbox.run(script, (tree,), mounts=mounts).out
    assert "size=1024k" in out
    assert out.endswith("\n1777\n")
    assert changed_paths(sandbox, tree, script, *mounts) == []


def test_a_secret_is_a_file_on_a_tmpfs_and_in_no_layer(sandbox: Sandbox, tree: str) -> None:
    secret = spec.BoundSecret(target="/run/secrets/token", data=b"s3cret", mode=0o440, uid=9, gid=8)
    script = "cat run/secrets/token; stat -c ' %a %u %g' run/secrets/token; grep run/secrets /proc/mounts"
    result = sandbox.run(script, (tree,), mounts=(secret,))
    assert result.out.startswith("s3cret 440 9 8\ntmpfs /run/secrets/token tmpfs ro")
    assert changed_paths(sandbox, tree, "cat run/secrets/token", secret) == []
    assert changed_paths(sandbox, tree, "echo > run/x", secret) == ["run", "run/x"]


def test_scripts_of_heredocs(sandbox: Sandbox) -> None:
    script = RunFile("/dev/pipes/EOF", "#!/bin/sh\necho from $0\n")
    request = sandbox.request("/dev/pipes/EOF", files=(script,), user="1000")
    assert sandbox.ask(request).out == "from /dev/pipes/EOF\n"


@pytest.mark.parametrize("user", [0, 1000])
def test_an_agents_socket_belongs_to_whom_it_is_given(sandbox: Sandbox, tree: str, user: int) -> None:
    mount = spec.BoundSocket(target="/run/agent.0", path=sandbox.path("agent"), mode=0o600, uid=user)
    script = "test -S run/agent.0; stat -c '%a %u' run/agent.0"
    assert sandbox.run(script, (tree,), mounts=(mount,), user=str(user)).out == f"600 {user}\n"
    assert changed_paths(sandbox, tree, script, mount) == []


def test_of_two_mounts_at_one_place_the_last_wins_and_parents_come_first(sandbox: Sandbox, tree: str) -> None:
    mounts = (
        spec.BoundSecret(target="/m/one/s", data=b"secret"),
        spec.BoundTmpfs(target="/m"),
        bind(sandbox, tree, "/m", "/src/sub"),
        bind(sandbox, tree, "/m/", "/src", readonly=False),
        spec.BoundSecret(target="/m/sub/s", data=b"in"),
    )
    with pytest.raises(InputError, match="mount target"):
        sandbox.run("true", mounts=mounts)
    assert sandbox.run("ls m; cat m/sub/s", mounts=mounts[1:]).out == "link\none\nout\nsub\nin"


def test_the_root_cannot_be_covered(sandbox: Sandbox) -> None:
    with pytest.raises(InputError, match="root"):
        sandbox.run("true", mounts=(spec.BoundTmpfs(target="/"),))


def test_a_target_is_resolved_in_the_steps_root_alone(sandbox: Sandbox) -> None:
    links = sandbox.step(
        "ln -s /etc/../../../../escape abs; ln -s ../../../.. up; ln -s loop loop; echo > file; mkdir -p /dev/x"
    )[0]
    secret = spec.BoundSecret(target="/abs/s", data=b"1")
    assert sandbox.run("cat /escape/s", (links,), mounts=(secret,)).out == "1"
    assert not os.path.exists("/escape")
    secret = spec.BoundSecret(target="/up/t", data=b"2")
    assert sandbox.run("cat /t", (links,), mounts=(secret,)).out == "2"
    for target in ("/loop/x", "/file/x"):
        with pytest.raises(InputError, match="mount target"):
            sandbox.run("true", (links,), mounts=(spec.BoundSecret(target=target, data=b""),))


def test_resolv_conf_of_the_image_is_covered_and_kept(sandbox: Sandbox) -> None:
    own = sandbox.snapshot(etc__resolv__conf="x")  # makes /etc/resolv/conf
    with_file, _ = sandbox.step("rm -r etc/resolv; mkdir -p run; ln -s ../run/resolv.conf etc/resolv.conf2", (own,))
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        assert sandbox.run("cat etc/resolv.conf", (own, with_file)).out == file.read()
    rows = [row.path for row in read_rows(with_file)]
    assert "etc/resolv.conf" not in rows
    assert "etc/hosts" not in rows


def test_the_images_own_proc_may_be_no_symlink(sandbox: Sandbox) -> None:
    layer = sandbox.path("layer")
    os.symlink("/etc", os.path.join(bare(layer), "proc"))
    if sandbox.user:
        sandbox.user.own(layer)
    with pytest.raises(InputError, match="/proc of the image is not a directory"):
        sandbox.run("true", (layer,))
