"""What this machine brings to the bases: its certificates, its package clients' settings, its programs."""

from __future__ import annotations

import functools
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Missing(Exception):
    """Something that a base needs is not on this machine; the text says what to do."""


def architecture() -> str:
    """This machine's processor in the words of an OCI image."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = platform.machine()
    if machine not in names:
        raise Missing(f"the bases are made for {', '.join(names)}, not for {machine}")
    return names[machine]


def certificates() -> bytes:
    """The bundle of certificate authorities that this machine's own clients trust."""
    for path in (os.environ.get("SSL_CERT_FILE"), BUNDLE):
        if path and os.path.isfile(path):
            with open(path, "rb") as file:
                return file.read()
    raise Missing("no certificate bundle: apt-get install -y ca-certificates")


def run(command: list[str], *, cwd: str | None = None, variables: dict[str, str] | None = None) -> str:
    """What a program prints; `Missing` with its last lines when it fails."""
    environment = {**os.environ, **(variables or {})}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Missing(f"there is no {command[0]} on this machine") from None
    if done.returncode:
        tail = "\n  ".join(done.stderr.strip().splitlines()[-8:])
        raise Missing(f"{' '.join(command[:3])} … ended with {done.returncode}:\n  {tail}")
    return done.stdout


def program(name: str, package: str) -> str:
    """The path of a program that a Debian package brings."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise Missing(f"{name} is missing: apt-get install -y {package}")
    return found


def npm_settings() -> dict[str, str]:
    """Registry and proxies as the npm client of this machine has them, from files and environment. No secrets."""
    keys = ("registry", "proxy", "https-proxy", "noproxy")
    text = run([program("npm", "npm"), "config", "get", *keys], cwd="/")
    pairs = [line.partition("=")[::2] for line in text.splitlines()]
    return {key: value for key, value in pairs if key in keys and value not in ("", "null", "undefined")}


def pip_settings() -> dict[str, str]:
    """Index and proxy as pip on this machine has them; an index in a local folder means nothing in an image."""
    wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout")
    try:
        text = run([sys.executable, "-m", "pip", "config", "list"], cwd="/")
    except Missing:  # this Python has no pip: its defaults hold
        return {}
    settings = {}
    for key, value in re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", text, re.MULTILINE):
        words = [word for word in value.split() if not word.startswith(("file:", "/"))]
        if key in wanted and words:
            settings[key.removeprefix("default-")] = " ".join(words)
    return settings


def proxies() -> dict[str, str]:
    """The proxy variables that are set here, for whoever passes them on as build arguments."""
    return {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}


def apt_options() -> list[str]:
    """The settings of this machine's apt that decide whether a download works at all."""
    wanted = re.compile(r'Acquire::(https?::Proxy|https?::Proxy::\S+|Check-Valid-Until|Check-Date|Retries) "[^"]')
    lines = run([program("apt-config", "apt"), "dump"]).splitlines()
    return [line.rstrip(";") for line in lines if wanted.match(line)]


def apt_sources(suite: str) -> list[str]:
    """This machine's own entries for Debian's `suite`, its updates and its security fixes, as one-line entries."""
    folder = "/etc/apt/sources.list.d"
    files = ["/etc/apt/sources.list", *(os.path.join(folder, name) for name in sorted(os.listdir(folder)))]
    found: list[str] = []
    for path in files:
        if not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith(".sources"):
            found += _deb822(text)
        elif path.endswith(".list"):
            found += [" ".join(line.split()) for line in text.splitlines() if line.startswith("deb ")]
    wanted = re.compile(rf"^deb (\[[^]]*\] )?\S+ {suite}(-updates|-security|/updates)? (.* )?main( |$)")
    entries = [entry for entry in found if wanted.match(entry)]
    if not entries:
        raise Missing(
            f"apt on this machine has no source for Debian {suite}: the Debian bases cannot be assembled here"
        )
    return entries


def _deb822(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries: list[str] = []
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        pairs = re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        fields = {key.lower(): value.split() for key, value in pairs}
        if fields.get("enabled") == ["no"] or "deb" not in fields.get("types", []):
            continue
        signed = fields.get("signed-by", [])
        option = f"[signed-by={signed[0]}] " if len(signed) == 1 and signed[0].startswith("/") else ""
        components = " ".join(fields.get("components", []))
        for uri in fields.get("uris", []):
            entries += [f"deb {option}{uri} {suite} {components}" for suite in fields.get("suites", [])]
    return entries


def has_subordinate_ids() -> bool:
    """Whether this user may map other users' ids, as mmdebstrap wants of whoever is not root."""
    names = {pwd.getpwuid(os.getuid()).pw_name, str(os.getuid())}
    for path in ("/etc/subuid", "/etc/subgid"):
        try:
            with open(path, encoding="utf-8") as file:
                owners = {line.partition(":")[0] for line in file}
        except OSError:
            return False
        if not names & owners:
            return False
    return True


@functools.cache
def fingerprint() -> str:
    """What of this machine ends up in the bases, as one text: part of every recipe's key."""
    parts: dict[str, object] = {"architecture": architecture(), "certificates": certificates().decode("latin-1")}
    for name, read in (("npm", npm_settings), ("pip", pip_settings)):
        try:
            parts[name] = read()
        except Missing:
            parts[name] = {}
    return json.dumps(parts, sort_keys=True)
