"""Whose certificates are trusted: SSL_CERT_FILE and SSL_CERT_DIR, the system's authorities, Docker's certs.d."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from jettison.base.errors import InputError

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_context(host: str, environ: Mapping[str, str], *, verify: bool = True) -> ssl.SSLContext:
    """The TLS settings for a server (with its port, if it is named). Raises InputError for certificates that cannot
    be read.
    """
    context = ssl.create_default_context()
    if verify:
        _load_authorities(context, environ)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for folder in certificate_folders(host, environ):
        _load_folder(context, folder)
    return context


def certificate_folders(host: str, environ: Mapping[str, str]) -> list[str]:
    """The certs.d folders of a server that exist: the system's, then the user's."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    bases = ("/etc/docker/certs.d", os.path.join(home, "docker", "certs.d"))
    names = [host, host.removesuffix(":443")] if host.endswith(":443") else [host]
    return [path for base in bases for name in names if os.path.isdir(path := os.path.join(base, name))]


def _load_authorities(context: ssl.SSLContext, environ: Mapping[str, str]) -> None:
    """`ssl` itself has read the process's SSL_CERT_FILE, and says nothing when it names no file."""
    named = environ.get("SSL_CERT_FILE", "")
    if named:
        _load(context, named, "SSL_CERT_FILE")
    elif not context.cert_store_stats()["x509_ca"] and not environ.get("SSL_CERT_DIR"):
        bundle = next((path for path in SYSTEM_BUNDLES if os.path.isfile(path)), None)
        if bundle:
            _load(context, bundle, "the system's bundle")


def _load(context: ssl.SSLContext, path: str, name: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        hint = "it must name a file of PEM certificates"
        raise InputError(f"{name}: {path}: {error.strerror or error}", hint=hint) from None


def _load_folder(context: ssl.SSLContext, folder: str) -> None:
    """Docker's rules: `*.crt` are authorities; `NAME.cert` with `NAME.key` is the client's own certificate."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".crt"):
            _load(context, path, "certs.d")
        elif name.endswith(".cert"):
            key = path.removesuffix(".cert") + ".key"
            try:
                context.load_cert_chain(path, key)
            except (OSError, ssl.SSLError) as error:
                hint = f"a client's certificate needs its key beside it: {key}"
                raise InputError(f"certs.d: {path}: {error.strerror or error}", hint=hint) from None
