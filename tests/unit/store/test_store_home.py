"""Where a store goes, and whose it is."""

import os

import pytest

from jettison.base.errors import HostError
from jettison.store import home
from jettison.store.store import Store


def find(given: str | None, environ: dict[str, str], tmp_path) -> home.Home:
    return home.find_home(given, environ, fallback_root=str(tmp_path))


def test_the_callers_choice_comes_first_then_the_environments(tmp_path):
    environ = {"JETTISON_HOME": f"{tmp_path}/env", "XDG_DATA_HOME": f"{tmp_path}/xdg", "HOME": str(tmp_path)}
    assert find(f"{tmp_path}/given", environ, tmp_path).root == f"{tmp_path}/given/store"
    assert find(None, environ, tmp_path).root == f"{tmp_path}/env/store"
    del environ["JETTISON_HOME"]
    assert find(None, environ, tmp_path).root == f"{tmp_path}/xdg/jettison/store"
    del environ["XDG_DATA_HOME"]
    assert find(None, environ, tmp_path).root == f"{tmp_path}/.local/share/jettison/store"


def test_a_relative_xdg_directory_is_ignored(tmp_path):
    found = find(None, {"XDG_DATA_HOME": "data", "HOME": str(tmp_path)}, tmp_path)
    assert found.root == f"{tmp_path}/.local/share/jettison/store"


@pytest.mark.parametrize("where", ["", "/nowhere/at/all"])
def test_without_a_home_it_is_a_directory_of_our_own(where: str, tmp_path):
    found = find(None, {"HOME": where}, tmp_path)
    assert found.root == f"{tmp_path}/jettison-{os.getuid()}/store"
    assert "no usable HOME" in found.notes[0]
    assert os.stat(f"{tmp_path}/jettison-{os.getuid()}").st_mode & 0o7777 == 0o700


def test_a_directory_that_others_can_write_is_not_trusted(tmp_path):
    os.mkdir(f"{tmp_path}/jettison-{os.getuid()}")
    os.chmod(f"{tmp_path}/jettison-{os.getuid()}", 0o777)
    with pytest.raises(HostError, match="only we can use"):
        find(None, {}, tmp_path)


def test_nor_is_a_link(tmp_path):
    os.mkdir(f"{tmp_path}/elsewhere", 0o700)
    os.symlink(f"{tmp_path}/elsewhere", f"{tmp_path}/jettison-{os.getuid()}")
    with pytest.raises(HostError, match="only we can use"):
        find(None, {}, tmp_path)


def test_somebody_elses_store_is_refused_and_named(tmp_path, monkeypatch: pytest.MonkeyPatch):
    Store.open(str(tmp_path)).close()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 7)
    with pytest.raises(HostError, match=f"belongs to uid {owner}, not to uid {owner + 7}") as caught:
        Store.open(str(tmp_path))
    assert "sudo -H" in (caught.value.hint or "")


def test_root_leaves_nothing_in_a_users_home(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Sudo with HOME kept, and no store there yet."""
    monkeypatch.setattr(os, "stat", _owned_by(1234, str(tmp_path / "user")))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    os.mkdir(tmp_path / "user")
    assert not home._usable(str(tmp_path / "user"))


def _owned_by(uid: int, path: str):
    stat = os.stat

    def owned(name, *args, **options):
        status = stat(name, *args, **options)
        if name != path:
            return status
        return os.stat_result((*status[:4], uid, *status[5:10]))

    return owned


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "cifs", "fuse.sshfs"])
def test_a_network_disk_is_avoided_and_named(kind: str, tmp_path):
    device = os.stat(tmp_path).st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 0:1 / /proc rw - proc proc rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / / rw,relatime shared:1 - {kind} server:/home rw\n"
    )
    found = home.find_home(f"{tmp_path}/wanted", {}, str(mounts), str(tmp_path))
    assert found.root == f"{tmp_path}/jettison-{os.getuid()}/store"
    assert f"network filesystem ({kind})" in found.notes[0]


def test_a_local_disk_is_used(tmp_path):
    assert home.filesystem_of(f"{tmp_path}/not/there/yet") not in home.NETWORK_FILESYSTEMS
    assert home.filesystem_of(str(tmp_path), f"{tmp_path}/no-such-file") == ""


def test_another_version_is_refused(tmp_path):
    with Store.open(str(tmp_path)) as store:
        root = store.root
    with open(f"{root}/version", "w") as file:
        file.write("99\n")
    with pytest.raises(HostError, match="has version 99"):
        Store.open(str(tmp_path))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot be made"):
        Store.open(f"{tmp_path}/file")


def test_a_store_is_ours_alone(tmp_path):
    with Store.open(str(tmp_path / "new")) as store:
        assert os.stat(store.root).st_mode & 0o077 == 0
        assert sorted(os.listdir(store.root))[:2] == ["blobs", "caches"]
