"""Texts kept as files: `--update-golden` writes them, without it they are compared."""

import os

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens")


class Golden:
    """Compares texts with the files of tests/goldens. A missing file is a failure, unless it is being written."""

    def __init__(self, *, update: bool) -> None:
        self.update = update

    def check(self, name: str, text: str) -> None:
        """`text` is what tests/goldens/NAME holds."""
        path = os.path.join(HERE, name)
        if self.update:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        assert os.path.exists(path), f"no golden file {name}: run pytest with --update-golden, and read what it wrote"
        with open(path, encoding="utf-8", newline="") as file:
            assert text == file.read(), f"{name} differs; if that is meant, run pytest with --update-golden"


def golden_inputs(folder: str, suffix: str) -> list[str]:
    """The names (relative to tests/goldens) of the files in a folder that end with `suffix`."""
    found = os.listdir(os.path.join(HERE, folder))
    return [os.path.join(folder, name) for name in sorted(found) if name.endswith(suffix)]


def read_golden(name: str) -> str:
    """The text of an input file of tests/goldens, line ends as they are."""
    with open(os.path.join(HERE, name), encoding="utf-8", newline="") as file:
        return file.read()
