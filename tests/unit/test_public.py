"""The public surface is a list: sorted, whole, typed, and loaded only when asked for."""

import ast
import inspect
import subprocess
import sys

import pytest

import jettison


def test_all_is_sorted_and_every_name_is_there():
    assert sorted(jettison.__all__) == jettison.__all__ == dir(jettison)
    for name in jettison.__all__:
        assert getattr(jettison, name) is not None


def test_static_tools_see_the_same_names():
    tree = ast.parse(inspect.getsource(jettison))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in guarded.body for alias in node.names}
    assert seen == set(jettison.__all__) - {"__version__"}


def test_plan_stays_the_function_whatever_is_imported():
    import jettison.planning.graph

    assert callable(jettison.plan)
    assert jettison.planning.graph.Plan is jettison.Plan


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        jettison.nosuch  # noqa: B018


def test_public_names_say_what_they_are():
    for name in set(jettison.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(jettison, name)), name


PURE = """
import sys
for name in ("fcntl", "grp", "pwd", "_ctypes"):
    sys.modules[name] = None
import jettison
jettison.parse("FROM scratch")
jettison.plan("FROM scratch AS a\\nCOPY x /y\\n")
jettison.BuildRequest(), jettison.StepError
"""


def test_the_language_needs_nothing_of_linux():
    subprocess.run([sys.executable, "-c", PURE], check=True)


def test_importing_the_package_imports_next_to_nothing():
    code = "import sys; before = set(sys.modules); import jettison; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["jettison"]
