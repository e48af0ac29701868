"""Parse 1,000 Dockerfiles of ordinary size on one core, and print what it took, as JSON.

A program of its own, run by the Python that jettison is installed for.
"""

import json
import os
import random
import sys
import time

COUNT = 1000
STAGE = """\
# What {name} needs to be made.
FROM {name}:{number}-bookworm AS build{number}
ARG VERSION={number}.0
ENV HOME=/srv/{name} \\
    PATH=/srv/{name}/bin:$PATH
WORKDIR /srv/{name}
COPY --chown=1000:1000 package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.cache \\
    apt-get update \\
    && apt-get install -y --no-install-recommends \\
        build-essential \\
        ca-certificates \\
        git \\
    && rm -rf /var/lib/apt/lists/*
COPY src ./src
RUN make -C src PREFIX=/usr/local VERSION="${{VERSION:-{number}}}" all

"""
LAST = """\
FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="{name}" org.opencontainers.image.version="{number}"
RUN <<EOF
useradd --system {name}
mkdir -p /var/lib/{name}
EOF
COPY --from=build{number} --link /usr/local /usr/local
USER {name}
EXPOSE 8080 9090/udp
VOLUME ["/var/lib/{name}"]
HEALTHCHECK --interval=30s --timeout=3s CMD curl -f http://localhost:8080/ || exit 1
ENTRYPOINT ["/usr/local/bin/{name}"]
CMD ["--port", "8080"]
"""


def texts() -> list[str]:
    """One to three stages before the last, each of 17 lines; no two texts are alike."""
    dice = random.Random(1)
    made = []
    for number in range(COUNT):
        name = f"app{number}"
        stages = [STAGE.format(name=name, number=number + part) for part in range(dice.choice((1, 1, 2, 3)))]
        made.append("".join(stages) + LAST.format(name=name, number=number))
    return made


def main() -> None:
    """Timed: just the parsing, by the processor's clock. The import of the parser and the texts are there before."""
    from jettison.base.span import Source
    from jettison.syntax.parse import parse_dockerfile

    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    made = texts()
    began = time.process_time()
    for text in made:
        parse_dockerfile(Source("Dockerfile", text))
    took = time.process_time() - began
    json.dump([took, COUNT, sum(text.count("\n") for text in made), sum(map(len, made))], sys.stdout)


if __name__ == "__main__":
    main()
