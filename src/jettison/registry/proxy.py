"""Which proxy a URL is fetched through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, as Go's programs read them."""

from __future__ import annotations

from collections.abc import Mapping

from jettison.registry.config import authority, is_local


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, None for a direct connection. This machine's own servers are always asked directly."""
    scheme = url.partition("://")[0].lower()
    host, port = split_port(authority(url).lower(), "443" if scheme == "https" else "80")
    if is_local(host) or host == "::1" or _bypassed(host, port, _variable(environ, "no_proxy")):
        return None
    proxy = _variable(environ, f"{scheme}_proxy") or _variable(environ, "all_proxy")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def split_port(text: str, default: str) -> tuple[str, str]:
    """Host and port of `host[:port]`; an IPv6 address loses its brackets."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":") or default
    host, _, port = text.partition(":")
    return host, port or default


def _bypassed(host: str, port: str, no_proxy: str) -> bool:
    return any(_covers(entry.lower(), host, port) for entry in no_proxy.replace(",", " ").split())


def _covers(entry: str, host: str, port: str) -> bool:
    """An entry is `*`, a domain (it and all below), `.domain` (below), an address, or a network; a port may follow."""
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, host)
    if entry.count(":") > 1 and not entry.startswith("["):
        return entry == host
    name, wanted = split_port(entry, port)
    name = name.removeprefix("*")
    below = name if name.startswith(".") else f".{name}"
    return wanted == port and bool(name) and (host == name or host.endswith(below))


def _in_network(network: str, host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
