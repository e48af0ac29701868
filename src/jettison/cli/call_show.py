"""`--call=check|outline|targets`: a Dockerfile is asked, not built. The answer is on standard output. Reference §2.1.

Texts and JSON are as docker buildx's, so that what reads those reads these.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from jettison.app.request import BuildRequest
from jettison.base.errors import UsageError
from jettison.base.readable import readable, readable_json
from jettison.base.span import Source
from jettison.cli.arguments import boolean, say
from jettison.planning.targets import Outline, OutlineUse, Target

FORMATS = ("text", "json")


class Call(msgspec.Struct, frozen=True):
    """`--call METHOD[,format=json][,ignorestatus=true]`."""

    method: str
    as_json: bool = False
    ignore_status: bool = False


def chosen_call(text: str, *, check: bool) -> Call:
    """What --call and --check together ask for. Raises UsageError when they differ."""
    call = parse_call(text)
    if not check or call.method == "check":
        return call
    if text != "build":
        raise UsageError(f"--check is short for --call=check, and --call={text} was given too", hint="give one of them")
    return Call("check")


def parse_call(text: str) -> Call:
    """The value of --call. Raises UsageError."""
    method, *attributes = text.split(",")
    form, ignore_status = "text", False
    for attribute in attributes:
        key, _, value = attribute.partition("=")
        if key == "format" and value in FORMATS:
            form = value
        elif key == "ignorestatus":
            ignore_status = boolean(value or "true", "--call ignorestatus")
        else:
            raise UsageError(f"--call {text}: {attribute!r} is not format=text, format=json or ignorestatus=true")
    method = {"lint": "check"}.get(method, method)
    if method not in ("build", *_METHODS):
        raise UsageError(f"--call {method} is not one of: build, {', '.join(sorted(_METHODS))}")
    return Call(method, form == "json", ignore_status)


def answer(call: Call, request: BuildRequest) -> int:
    """Ask, and print the answer. The exit code is 1 when a check found something. Raises what is wrong."""
    return _METHODS[call.method](call, request)


def _check(call: Call, request: BuildRequest) -> int:
    from jettison.app.call import check
    from jettison.cli.check_show import check_document, check_text

    checked = check(request)
    for note in checked.notes:
        say(f"note: {note}")
    if call.as_json:
        print_json(check_document(checked))
    else:
        print_text(check_text(checked))
    if checked.error is not None:
        raise checked.error
    return 1 if checked.findings and not call.ignore_status else 0


def _outline(call: Call, request: BuildRequest) -> int:
    from jettison.app.call import outline

    source, found = outline(request)
    if call.as_json:
        print_json(outline_document(source, found))
    else:
        print_text(outline_text(found))
    return 0


def _targets(call: Call, request: BuildRequest) -> int:
    from jettison.app.call import targets

    source, found = targets(request)
    if call.as_json:
        print_json({"targets": [_target(target) for target in found], "sources": [data(source)]})
    else:
        print_text(targets_text(found))
    return 0


_METHODS: dict[str, Callable[[Call, BuildRequest], int]] = {"check": _check, "outline": _outline, "targets": _targets}


def outline_text(outline: Outline) -> str:
    """The target, then a table each of its arguments, secrets and agents."""
    heading = [["TARGET:", outline.name or "(default)"]]
    if outline.description:
        heading.append(["DESCRIPTION:", outline.description])
    tables = [heading] if outline.name or outline.description else []
    if outline.args:
        rows = [[arg.name, arg.default or "", arg.description] for arg in outline.args]
        tables.append([["BUILD ARG", "VALUE", "DESCRIPTION"], *rows])
    for title, uses in (("SECRET", outline.secrets), ("SSH", outline.ssh)):
        if uses:
            tables.append([[title, "REQUIRED"], *([use.id, "true" if use.required else ""] for use in uses)])
    return "\n\n".join(table_text(rows) for rows in tables) + ("\n" if tables else "")


def outline_document(source: Source, outline: Outline) -> dict[str, Any]:
    """The outline as docker's JSON."""
    args = [
        _filled(name=arg.name, description=arg.description, value=arg.default or "") | {"location": _line(arg.line)}
        for arg in outline.args
    ]
    return _filled(
        name=outline.name,
        description=outline.description,
        args=args,
        secrets=_uses(outline.secrets),
        ssh=_uses(outline.ssh),
        cache=[{"ID": use.id} for use in outline.caches],
    ) | {"sources": [data(source)]}


def _uses(uses: tuple[OutlineUse, ...]) -> list[dict[str, Any]]:
    return [_filled(name=use.id, required=use.required) for use in uses]


def targets_text(targets: tuple[Target, ...]) -> str:
    """One line a stage that --target can name, and the last one."""
    rows = [["TARGET", "DESCRIPTION"]]
    for target in targets:
        name = f"{target.name} (default)" if target.default and target.name else target.name
        if target.name or target.default:
            rows.append([name or "(default)", target.description])
    return table_text(rows) + "\n"


def _target(target: Target) -> dict[str, Any]:
    return _filled(
        name=target.name,
        default=target.default,
        description=target.description,
        base=target.base,
        platform=target.platform,
    ) | {"location": _line(target.line)}


def _filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something: Go leaves the others out."""
    return {name: value for name, value in fields.items() if value}


def _line(number: int) -> dict[str, Any]:
    return {"ranges": [{"start": {"line": number}, "end": {"line": number}}]}


def table_text(rows: list[list[str]]) -> str:
    """Rows as columns that are as wide as they must be, three blanks apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def data(source: Source) -> str:
    """The bytes of a file, as JSON carries them."""
    return base64.b64encode(source.text.encode("utf-8", "surrogateescape")).decode()


def print_json(document: dict[str, Any]) -> None:
    """A document on standard output."""
    print(msgspec.json.format(readable_json(document).decode(), indent=2))


def print_text(text: str) -> None:
    """A text on standard output. What a Dockerfile brings along does not steer the terminal."""
    printable = readable(text).translate(_CONTROLS)
    sys.stdout.write(printable)
    sys.stdout.flush()


_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)), "\ufffd")
