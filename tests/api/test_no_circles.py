"""No module of the package stands on a circle of imports, not even of those for types alone."""

from __future__ import annotations

import graphlib

import grimp
import pytest


def test_no_import_circle() -> None:
    graph = grimp.build_graph("probefusion", exclude_type_checking_imports=False)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
