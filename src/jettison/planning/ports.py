"""EXPOSE's ports: `port[-range][/proto]`, or the form of `docker run -p`, whose host part is checked and dropped."""

from __future__ import annotations

from jettison.planning.faults import FaultError
from jettison.syntax.nodes import Word
from jettison.syntax.regex import lazy

PROTOCOLS = ("tcp", "udp", "sctp")
MAX_PORT = 65535

_RANGE = lazy(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def exposed(text: str, word: Word) -> list[str]:
    """`80/tcp` for each port that `text` names. Raises FaultError at `word`."""
    host, _, container = text.rpartition(":")
    port, _, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if not port:
        raise FaultError(f"no port specified: {text}<empty>", word.span)
    if protocol not in PROTOCOLS:
        raise FaultError(f"invalid proto: {protocol}", word.span, f"it is one of {', '.join(PROTOCOLS)}")
    found = _range(port)
    if found is None:
        raise FaultError(f"invalid containerPort: {port}", word.span, "a port is a number from 0 to 65535, or A-B")
    if host:
        _check_host(host, found, port, word)
    return [f"{number}/{protocol}" for number in range(found[0], found[1] + 1)]


def _range(text: str) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    start, end = int(found[1]), int(found[2] or found[1])
    return (start, end) if start <= end <= MAX_PORT else None


def _check_host(host: str, container: tuple[int, int], port: str, word: Word) -> None:
    address, _, host_port = host.rpartition(":")
    if address and not _is_address(address.removeprefix("[").removesuffix("]")):
        raise FaultError(f"invalid IP address: {address}", word.span)
    if not host_port:
        return
    found = _range(host_port)
    if found is None:
        raise FaultError(f"invalid hostPort: {host_port}", word.span)
    if found[1] - found[0] != container[1] - container[0] != 0:
        message = f"invalid ranges specified for container and host Ports: {port} and {host_port}"
        raise FaultError(message, word.span)


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True
