"""What all tests share: the switch that writes golden files."""

import pytest

from golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/goldens instead of comparing with it")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares a text with a file of tests/goldens."""
    return Golden(update=request.config.getoption("--update-golden"))
