"""`jettison images`: what the local store holds, by name."""

from __future__ import annotations

from jettison.cli.arguments import Parser, human_bytes

DESCRIPTION = (
    """List the images of the local store: name, platform, id, age, size (a base that was pulled counts compressed)."""
)


def run(args: list[str]) -> int:
    """Parse, call, print."""
    parser = Parser("images", "[OPTIONS]", DESCRIPTION)
    parser.flag("-q", "--quiet", about="print ids alone")
    parser.flag("--json", about="print one JSON object a line")
    given = parser.read(args)
    from jettison.app.library import stored_images

    images = stored_images()
    if given.quiet:
        for image in images:
            print(image.config_digest)
    elif given.json:
        import msgspec

        for image in images:
            print(msgspec.json.encode(image).decode())
    else:
        _table(
            [
                (image.name, image.platform, image.config_digest[7:19], image.created, human_bytes(image.size_bytes))
                for image in images
            ]
        )
    return 0


def _table(rows: list[tuple[str, str, str, str, str]]) -> None:
    lines = [("NAME", "PLATFORM", "ID", "CREATED", "SIZE"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
