"""`jettison pull`: an image into the local store, every layer verified while it streams."""

from __future__ import annotations

import sys

from jettison.cli.arguments import Parser

DESCRIPTION = """Pull an image from a registry into the local store, by tag or by digest.

Credentials are those of `docker login` (~/.docker/config.json, or $DOCKER_CONFIG). A build pulls what it needs by
itself: this command is for fetching ahead, and for trying a registry.
"""


def run(args: list[str]) -> int:
    """Parse, call, print the digest alone on standard output."""
    parser = Parser("pull", "[OPTIONS] IMAGE", DESCRIPTION)
    parser.word("image", "IMAGE", "a reference: NAME[:TAG][@DIGEST]", required=True)
    parser.option("--platform", metavar="OS/ARCH", about="(default: this machine's)")
    parser.flag("-q", "--quiet", about="print the digest alone")
    given = parser.read(args)
    _check(given.image, given.platform)
    from jettison.app.library import pull
    from jettison.cli.show import listener

    show = listener("quiet" if given.quiet else "auto", sys.stderr)
    with show:
        print(pull(given.image, platform=given.platform, on_event=show))
    return 0


def _check(image: str, platform: str | None) -> None:
    """Raise UsageError for words that no image and no platform can be named by."""
    from jettison.base.errors import InputError, UsageError
    from jettison.oci.platform import parse_platform
    from jettison.oci.reference import parse_reference

    try:
        parse_reference(image)
        if platform:
            parse_platform(platform)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from None
