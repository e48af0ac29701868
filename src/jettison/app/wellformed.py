"""What is wrong with a request as it stands: said before anything is opened, fetched or run."""

from __future__ import annotations

import os

from jettison.app.options import platforms
from jettison.app.request import BuildRequest, OutputSpec
from jettison.base.errors import InputError, UsageError
from jettison.oci.reference import parse_reference

_ENTITLEMENTS = ("network.host", "security.insecure", "device")


def check_request(request: BuildRequest) -> None:
    """Raise UsageError for the first thing that no build could honour."""
    try:
        platforms(request)
        for name in (*request.tags, *(name for output in request.outputs for name in output.names)):
            parse_reference(name)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from None
    for name in request.allow:
        if name.partition("=")[0] not in _ENTITLEMENTS:
            raise UsageError(f"invalid entitlement: {name!r}", hint=f"it is one of: {', '.join(_ENTITLEMENTS)}")
    _check_hosts(request.add_hosts)
    if request.jobs < 0:
        raise UsageError(f"{request.jobs} steps cannot run at once", hint="0 stands for one a processor")
    if request.isolation is not None:
        from jettison.sandbox.client import check_isolation

        check_isolation(request.isolation)
    for output in request.outputs:
        _check_destination(output)


def _check_hosts(entries: tuple[str, ...]) -> None:
    """What no step's /etc/hosts can say is refused here: a step that is cached would hide it."""
    if entries:
        from jettison.sandbox.world import host_line

        for entry in entries:
            try:
                host_line(entry)
            except InputError as error:
                raise UsageError(f"--add-host: {error.message}", hint=error.hint) from None


def _check_destination(output: OutputSpec) -> None:
    """A directory where a file is to be written, or the other way round. What is missing is made."""
    dest = output.dest
    if dest in ("", "-") or output.type in ("image", "cacheonly"):
        return
    into_directory = output.type == "local" or not output.as_tar
    if not into_directory and os.path.isdir(dest):
        hint = f"name a file: dest={os.path.join(dest, 'image.tar')}"
        if output.type != "tar":
            hint += "; tar=false writes a directory"
        raise UsageError(f"cannot write {dest}: it is a directory", hint=hint)
    if into_directory and os.path.lexists(dest) and not os.path.isdir(dest):
        raise UsageError(f"cannot write {dest}: it is not a directory", hint="dest names a directory, which is made")


def check_bound() -> None:
    """Refuse a bound of the store that cannot be read, before anything is built. Raises UsageError."""
    if os.environ.get("JETTISON_STORE_BOUND"):
        from jettison.app.bound import store_bound

        store_bound("/")
