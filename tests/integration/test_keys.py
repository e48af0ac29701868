"""What is in a key and what is not, seen from outside: by which key a step hits, and whether it runs. docs/cache.md."""

from __future__ import annotations

import json
import os

import pytest

import platforms
from bases.layout import Layer
from caches import Built, Machines
from fakes.servers import Answer, Said, Server
from jettison.app.library import pull
from jettison.base.errors import JettisonError
from jettison.oci.platform import format_platform, host_platform

pytestmark = pytest.mark.root

HERE = format_platform(host_platform())
STAGES = """\
FROM busybox AS build
COPY source /source
RUN mkdir /out && cp /source/used /out/used && cp /source/other /other
FROM busybox AS deps
RUN echo dependencies > /deps
FROM scratch
COPY --from=deps /deps /
COPY --from=build /out/used /
"""


@pytest.fixture
def site(tmp_path) -> Machines:
    made = Machines(str(tmp_path))
    made.write(Dockerfile=STAGES)
    os.makedirs(os.path.join(made.context, "source"))
    for name in ("used", "other"):
        put(made, name, "one")
    return made


def put(site: Machines, name: str, text: str) -> str:
    path = os.path.join(site.context, "source", name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def hits(built: Built) -> dict[str, str]:
    """By what each step of a stage was found, "ran" where it was not."""
    return {
        step.display.partition(" ")[2]: step.hit or step.verdict for step in built.result.record.steps if step.stage
    }


def test_a_step_hits_where_just_the_paths_that_it_reads_are_the_same(site: Machines) -> None:
    first = site.build("here")
    put(site, "other", "two")
    again = site.build("here")
    found = hits(again)
    assert {what: how for what, how in found.items() if how != "definition"} == {
        "2/3] COPY source /source": "ran",
        "3/3] RUN mkdir /out && cp /source/used /out/used && cp /source/other /other": "ran",
        "2/2] COPY --from=build /out/used /": "content",
    }
    assert again.id == first.id


def test_times_are_in_no_key(site: Machines) -> None:
    site.build("here")
    for name in ("used", "other"):
        os.utime(os.path.join(site.context, "source", name), (1, 1))
    assert set(hits(site.build("here")).values()) == {"definition"}


def test_a_mode_is(site: Machines) -> None:
    site.build("here")
    os.chmod(os.path.join(site.context, "source", "used"), 0o755)
    assert len(site.build("here").ran) == 3


def test_a_rebuild_that_yields_the_same_ends_there(site: Machines) -> None:
    first = site.build("here")
    site.write(Dockerfile=STAGES.replace("RUN mkdir /out &&", "RUN mkdir /out;"))
    again = site.build("here")
    assert again.ran == ["[build 3/3] RUN mkdir /out; cp /source/used /out/used && cp /source/other /other"]
    assert again.id == first.id


def test_an_earlier_outcome_is_taken_as_it_was(site: Machines) -> None:
    site.write(Dockerfile="FROM busybox\nRUN --mount=type=bind,target=/m test -f /m/source/used && echo made > /made\n")
    first = site.build("here", epoch=None)
    layers = site.snapshots("here")
    put(site, "used", "two")
    again = site.build("here", epoch=None)
    assert [step.hit for step in again.result.record.steps if step.reason] == ["equal-bytes"]
    assert site.snapshots("here") == layers
    assert again.result.record.images[0].layers == first.result.record.images[0].layers


def test_proxies_are_in_no_key(site: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    site.build("here")
    monkeypatch.setenv("HTTPS_PROXY", "http://nowhere.test:1")
    monkeypatch.setenv("no_proxy", "x")
    assert site.build("here", build_args={"HTTP_PROXY": "http://nowhere.test:2"}).ran == []


def test_names_of_stages_comments_and_blanks_are_in_no_key(site: Machines) -> None:
    site.build("here")
    text = STAGES.replace("AS build", "AS other").replace("--from=build", "--from=other")
    site.write(Dockerfile="# a comment\n\n" + text.replace("RUN echo", "RUN  echo"))
    assert site.build("here").ran == []


def test_steps_of_chosen_stages_run(site: Machines) -> None:
    site.build("here")
    found = site.build("here", no_cache_filter=("deps", "nosuch"))
    assert found.ran == ["[deps 2/2] RUN echo dependencies > /deps"]


class Hub:
    """A registry with one image, which may be given another content or be gone."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._layout = ""
        self.gone = False

    def publish(self, text: str) -> None:
        layer = Layer(text)
        layer.file("given", text)
        self._layout = platforms.of_layers(os.path.join(self._folder, f"hub-{text}"), {HERE: layer})

    def answer(self, said: Said) -> Answer:
        name = said.path.rpartition("/")[2]
        if self.gone:
            return Answer(403)
        if name == "1":
            with open(os.path.join(self._layout, "index.json"), "rb") as file:
                name = json.load(file)["manifests"][0]["digest"]
        path = os.path.join(self._layout, "blobs", "sha256", name.removeprefix("sha256:"))
        if not os.path.isfile(path):
            return Answer(404 if said.path != "/v2/" else 200)
        with open(path, "rb") as file:
            data = file.read()
        kind = json.loads(data).get("mediaType", "") if data.startswith(b"{") else "application/octet-stream"
        return Answer(headers={"Content-Type": kind}, body=b"" if said.method == "HEAD" else data, length=len(data))


def test_a_base_is_resolved_once_and_asked_for_again_by_pull(tmp_path) -> None:
    site, hub = Machines(str(tmp_path)), Hub(str(tmp_path))
    hub.publish("one")
    with Server(hub.answer) as server:
        site.write(Dockerfile=f"FROM 127.0.0.1:{server.port}/app:1\nCOPY x /\n", x="x")
        first = site.build("here")
        asked = len(server.said)
        assert asked > 0
        hub.publish("two")
        assert site.build("here").id == first.id
        assert len(server.said) == asked
        fresh = site.build("here", pull=True)
        assert len(server.said) > asked
        assert fresh.id != first.id
        assert site.build("here").id == fresh.id
        hub.gone = True
        assert site.build("here").ran == []
        with pytest.raises(JettisonError, match=r"127\.0\.0\.1"):
            site.build("here", pull=True)
    assert site.build("here").ran == []  # there is no server at all


def test_a_pull_changes_no_key(tmp_path) -> None:
    site, hub = Machines(str(tmp_path)), Hub(str(tmp_path))
    hub.publish("one")
    with Server(hub.answer) as server:
        name = f"127.0.0.1:{server.port}/app:1"
        site.write(Dockerfile=f"FROM {name}\nCOPY x /\n", x="x")
        first = site.build("here")
        digest = pull(name, home=site.store("here"))
        again = site.build("here")
    assert (again.id, again.ran) == (first.id, [])
    assert all(step.hit == "definition" for step in again.result.record.steps if step.verdict == "cached")
    assert any(step.display.endswith(f"FROM {name}@{digest}") for step in again.result.record.steps)
