"""Two parsers that this project did not write, over the same Dockerfiles: do they take what we take?

`dockerfile` is the reference builder's own parser in an older version: lines, continuations, heredocs. `tally` holds a
newer one with the checks of instruction names, flags and arguments. tally is spoken to as a language server, since on
the command line it stops at the first file that is broken.
"""

import json
import re
import subprocess
import tempfile
from typing import IO, Any

import dockerfile as go_parser
import pytest
from dockerfiles import dockerfile

from jettison.base.errors import DockerfileError
from jettison.base.span import Source
from jettison.syntax.parse import parse_dockerfile

COUNT = 600

# What we refuse and they let pass: the reference builder finds a broken trigger only in the build that uses the image,
# and tally leaves it to its own rules. Of a file that begins with no FROM tally looks at nothing.
TRIGGER = "ONBUILD: "
BEGINS_WITH_FROM = re.compile(r"(\s*(#.*|ARG .*)?\n)*FROM ")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [dockerfile(seed) for seed in range(COUNT)]


def faults(text: str) -> list[str]:
    """Our messages; those about what stands in an ONBUILD are marked."""
    try:
        parse_dockerfile(Source("Dockerfile", text))
    except DockerfileError as error:
        lines = text.split("\n")
        return [
            (TRIGGER if lines[d.span.start_line - 1].upper().startswith("ONBUILD") else "") + d.message
            for d in error.diagnostics
        ]
    return []


def test_the_texts_are_of_both_kinds(texts: list[str]) -> None:
    broken = sum(1 for text in texts if faults(text))
    assert COUNT * 0.15 < broken < COUNT * 0.6
    assert len(set(texts)) > COUNT * 0.95


def test_lines_and_heredocs_agree_with_the_go_parser(texts: list[str]) -> None:
    """It checks no names, flags or arguments: what it refuses we refuse, and we split what it takes as it does."""
    for number, text in enumerate(texts):
        commands = go_commands(text)
        if commands is None:
            assert faults(text), f"seed {number}"
            continue
        assert "unterminated heredoc" not in faults(text), f"seed {number}"
        if not faults(text):
            ours = parse_dockerfile(Source("Dockerfile", text)).instructions
            assert [i.keyword.upper() for i in ours] == [c.cmd.upper() for c in commands], f"seed {number}"
            for instruction, command in zip(ours, commands, strict=True):
                assert command.start_line <= instruction.span.start_line, f"seed {number}"
                assert instruction.span.end_line <= command.end_line, f"seed {number}"


def go_commands(text: str) -> Any:
    """What the Go parser makes of a text, or None when it refuses it."""
    try:
        return go_parser.parse_string(text)
    except go_parser.GoParseError:
        return None


def test_names_flags_and_arguments_agree_with_tally(texts: list[str]) -> None:
    refused = tally_refuses(texts)
    for number, text in enumerate(texts):
        found = faults(text)
        if number in refused:
            assert found, f"seed {number}: tally says {refused[number]}"
        elif BEGINS_WITH_FROM.match(text):
            assert [message for message in found if not message.startswith(TRIGGER)] == [], f"seed {number}"


def tally_refuses(texts: list[str]) -> dict[int, str]:
    """What tally's parser says of each text that it does not take."""
    with (
        tempfile.TemporaryFile() as log,  # a pipe that nobody reads would fill up and stop it
        subprocess.Popen(
            ["tally", "lsp", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as server,
    ):
        assert server.stdin
        assert server.stdout
        send(server.stdin, "initialize", {"processId": None, "rootUri": None, "capabilities": {}}, number=1)
        receive(server.stdout)
        send(server.stdin, "initialized", {})
        for number, text in enumerate(texts):
            item = {"uri": f"file:///none/Dockerfile.{number}", "languageId": "dockerfile", "version": 1, "text": text}
            send(server.stdin, "textDocument/didOpen", {"textDocument": item})
            answer = receive(server.stdout)
            while answer.get("method") != "textDocument/publishDiagnostics":
                answer = receive(server.stdout)
            assert answer["params"]["uri"] == item["uri"]
        server.stdin.close()
        server.wait()
        log.seek(0)
        found = re.findall(r"lint error for \S*Dockerfile\.(\d+): (.*)", log.read().decode())
    return {int(number): message for number, message in found}


def send(stream: IO[bytes], method: str, params: dict[str, Any], *, number: int | None = None) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
    body = json.dumps(message).encode()
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    length = 0
    while (line := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    assert length, "tally ended"
    body: dict[str, Any] = json.loads(stream.read(length))
    return body
