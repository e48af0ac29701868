"""A world of a few images for planning tests, and one call that plans a text in it."""

from jettison.base.digest import digest_of
from jettison.base.errors import InputError
from jettison.base.span import Source
from jettison.oci.documents import Healthcheck, HistoryEntry, ImageConfig, RootFS, RuntimeConfig
from jettison.planning.graph import Plan
from jettison.planning.lower import drive, lower
from jettison.planning.needs import LowerOptions, NeedImage, ResolvedImage
from jettison.syntax.parse import parse_dockerfile

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image(*, architecture: str = "amd64", variant: str = "", layers: int = 1, **runtime: object) -> ImageConfig:
    """The config of an image with so many layers."""
    made = tuple(HistoryEntry(created="2020-01-01T00:00:00Z", created_by=f"layer {n}") for n in range(layers))
    return ImageConfig(
        created="2020-01-01T00:00:00Z",
        os="linux",
        architecture=architecture,
        variant=variant,
        rootfs=RootFS(diff_ids=tuple(digest_of(f"{n}".encode()) for n in range(layers))),
        history=made,
        config=RuntimeConfig(**runtime),  # type: ignore[arg-type]
    )


IMAGES = {
    "docker.io/library/busybox:latest": image(env=(PATH,), cmd=("sh",)),
    "docker.io/library/alpine:3.20": image(env=(PATH,), cmd=("/bin/sh",)),
    "docker.io/library/nopath:latest": image(working_dir="srv/../data"),
    "docker.io/library/node:20": image(
        env=("PATH=/node/bin", "NODE_VERSION=20"),
        entrypoint=("docker-entrypoint.sh",),
        cmd=("node",),
        user="node",
        working_dir="/home/node",
        labels={"maintainer": "someone", "kept": "yes"},
        exposed_ports={"3000/tcp": {}},
        volumes={"/data": {}},
        shell=("/bin/bash", "-c"),
        stop_signal="SIGINT",
        healthcheck=Healthcheck(test=("CMD", "true"), interval=5_000_000_000),
        layers=3,
    ),
    "docker.io/onbuild/python:3": image(
        env=(PATH,), on_build=("COPY requirements.txt /app/", "WORKDIR /app", "RUN pip install -r requirements.txt")
    ),
    "docker.io/onbuild/tools:latest": image(
        on_build=(
            "COPY --from=tools /t /t",
            "COPY --from=busybox /bin/busybox /bb",
            "RUN --mount=from=TOOLS,target=/m x",
        )
    ),
    "docker.io/onbuild/heredoc:latest": image(on_build=("RUN <<EOF\necho one\necho two\nEOF",)),
    "docker.io/onbuild/broken:latest": image(on_build=("RUNN x",)),
    "docker.io/onbuild/badchmod:latest": image(on_build=("COPY --chmod=9 a b",)),
    "docker.io/library/armonly:latest": image(architecture="arm64", variant="v8", env=(PATH,)),
    "docker.io/library/empty:latest": image(layers=0, env=("A=from empty",)),
    "docker.io/library/cross:latest": image(architecture="arm", variant="v7", env=(PATH,)),
    "docker.io/library/other:1.0": image(env=(PATH, "OTHER=1")),
    "oci-layout://base-layout:app": image(env=(PATH, "LAYOUT=yes")),
}


class World:
    """Answers needs and remembers them."""

    def __init__(self) -> None:
        self.asked: list[NeedImage] = []

    def resolve(self, need: NeedImage) -> ResolvedImage:
        self.asked.append(need)
        config = IMAGES.get(need.ref)
        if config is None:
            raise InputError(f"{need.written}: not found").at(need.location)
        return ResolvedImage(digest=digest_of(f"{need.ref} {need.platform}".encode()), config=config)


def plan(text: str, **options: object) -> Plan:
    """The plan of a text in this world."""
    return drive(lower(parse_dockerfile(Source("Dockerfile", text)), LowerOptions(**options)), World().resolve)  # type: ignore[arg-type]
