"""What all tests share: the switch that writes golden files, and what is left out for an ordinary user."""

import os

import pytest

from golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/goldens instead of comparing with it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root where the suite is run by an ordinary user."""
    if os.getuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares a text with a file of tests/goldens."""
    return Golden(update=request.config.getoption("--update-golden"))
