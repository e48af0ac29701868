"""The second half of scripts/demo: build the example, run its server, ask it, and show what was built."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
EXAMPLE = os.path.join(ROOT, "examples", "node-typescript")
IMAGE = "hello-typescript"
BASES = ("node:14.4.0", "node:14.4.0-alpine")
JETTISON = os.path.join(os.path.dirname(sys.executable), "jettison")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
PATIENCE_SECONDS = 30
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main() -> int:
    named = contexts()
    record = build(named)
    print_stages(record)
    print_layers(record)
    print(f"\nBuilt in {record['duration_ms'] / 1000:.2f} s, {verdicts(record)}.")
    with server() as port:
        answer = ask(port)
    print(f"\nThe server in the image answered on 127.0.0.1:{port}:\n  {answer}")
    print("\nRun it yourself: jettison run " + IMAGE + f"   (with {os.path.dirname(JETTISON)} on your PATH)")
    return 0


def contexts() -> list[str]:
    """The flags that say where the bases come from: none for the public ones."""
    wanted = os.environ.get("JETTISON_BASES", "")
    if wanted != "assembled" and (wanted == "public" or is_public_registry_reachable()):
        print("Bases: the public images, from their registry.", flush=True)
        return []
    print("Bases: assembled on this machine from packages (tests/bases), no public image registry answers.", flush=True)
    assembled = subprocess.run(
        [os.path.join(ROOT, "tests", "bases", "make"), *BASES], stdout=subprocess.PIPE, text=True, check=False
    )
    if assembled.returncode:
        sys.exit(assembled.returncode)
    layouts = assembled.stdout.split()
    return [f"--build-context={name}=oci-layout://{layout}" for name, layout in zip(BASES, layouts, strict=True)]


def is_public_registry_reachable() -> bool:
    """Whether the smaller base can be pulled; it is needed anyway, so nothing is fetched in vain."""
    try:
        done = subprocess.run([JETTISON, "pull", "--quiet", BASES[1]], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def build(named: list[str]) -> dict[str, Any]:
    """Build the example into the local store; the build's record."""
    passed_on = [f"--build-arg={name}" for name in PROXIES if os.environ.get(name)]
    with tempfile.TemporaryDirectory() as folder:
        metadata = os.path.join(folder, "metadata.json")
        words = ["build", "--tag", IMAGE, f"--metadata-file={metadata}", *named, *passed_on, EXAMPLE]
        shown = " ".join(
            [
                "jettison",
                "build",
                "-t",
                IMAGE,
                *(["--build-context=…"] if named else []),
                os.path.relpath(EXAMPLE, ROOT),
            ]
        )
        print(f"\n$ {shown}", flush=True)
        done = subprocess.run([JETTISON, *words], check=False)
        if done.returncode:
            sys.exit(done.returncode)
        with open(metadata, encoding="utf-8") as file:
            record: dict[str, Any] = json.load(file)["jettison.record"]
    return record


def print_stages(record: dict[str, Any]) -> None:
    """Each step under its stage: what happened, and how long it took."""
    print("\nStages")
    stages: dict[str, list[dict[str, Any]]] = {}
    for step in record.get("steps", ()):
        name = (
            step["display"].removeprefix("[").partition(" ")[0].rstrip("]")
        )  # a base belongs to the stage that starts from it
        stages.setdefault(step.get("stage") or name, []).append(step)
    for stage, steps in stages.items():
        print(f"  {stage}")
        for step in steps:
            took = f"{step.get('duration_ms', 0) / 1000:7.2f} s" if step["verdict"] == "ran" else " " * 9
            print(f"    {step['verdict']:<8}{took}  {step['display'].split('@sha256:')[0][:100]}")


def print_layers(record: dict[str, Any]) -> None:
    """The image's layers with their sizes, and the step that made each. A base's size is compressed."""
    made_by = {step["id"]: step["display"] for step in record.get("steps", ())}
    for image in record.get("images", ()):
        layers = image.get("layers", ())
        print(f"\nImage {IMAGE}  {image['config_digest'][:19]}  {image['platform']}")
        for layer in layers:
            size = layer.get("tar_bytes") or layer.get("size_bytes", 0)
            by = made_by.get(layer.get("step", ""), "the base (compressed)")
            print(f"  {human(size):>9}  {layer['diff_id'][7:19]}  {by[:84]}")
        total = sum(layer.get("tar_bytes") or layer.get("size_bytes", 0) for layer in layers)
        print(f"  {human(total):>9}  in {len(layers)} layers")


def verdicts(record: dict[str, Any]) -> str:
    """As in: 3 of 12 steps ran, 9 came from the cache."""
    found = [step["verdict"] for step in record.get("steps", ())]
    return f"{found.count('ran')} of {len(found)} steps ran, {found.count('cached')} came from the cache"


def human(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@contextmanager
def server() -> Iterator[int]:
    """The image's server under `jettison run`, once it says that it listens; ended by SIGTERM afterwards."""
    port = free_port()
    print(f"\n$ jettison run {IMAGE}", flush=True)
    words = [JETTISON, "run", "--env", f"PORT={port}", "--env", "HOST=127.0.0.1", IMAGE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        patience = threading.Timer(PATIENCE_SECONDS, process.kill)
        patience.start()
        try:
            if process.stdout is None or not process.stdout.readline().startswith("listening"):
                sys.exit("the server in the image did not start")
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            patience.cancel()


def free_port() -> int:
    """8080, as the example says, or any other where that is taken."""
    for wanted in (8080, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    sys.exit("no free port on 127.0.0.1")


def ask(port: int) -> str:
    """What `GET /` answers."""
    with DIRECT.open(f"http://127.0.0.1:{port}/", timeout=5) as response:
        return str(response.read().decode())


if __name__ == "__main__":
    sys.exit(main())
