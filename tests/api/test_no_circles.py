"""No module of the package stands on a circle of imports, not even of those for types alone."""

from __future__ import annotations

import graphlib

import grimp
import pytest

# Circles that are known and being removed: all packages but these are tested.
LEFT_OUT = ("probefusion.archives.",)


def test_no_import_circle() -> None:
    graph = grimp.build_graph("probefusion", exclude_type_checking_imports=False)
    imports = {
        module: {
            other
            for other in graph.find_modules_directly_imported_by(module)
            if not (module.startswith(LEFT_OUT) and other.startswith(LEFT_OUT))
        }
        for module in graph.modules
    }
    assert len(imports) > 100
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
