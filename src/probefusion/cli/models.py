"""`probefusion models`: what is known, what is here, getting, checking, converting, inspecting, quantising."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from probefusion.cli import models_convert, models_inspect, models_quantize
from probefusion.cli.models_convert import show_licence

if TYPE_CHECKING:
    from probefusion.zoo import Pulled

__all__ = ["COLUMNS", "add_parser", "table_rows"]

COLUMNS = ("NAME", "KIND", "D", "HERE", "USE", "NOTE")
"""Of `models list`."""


def add_parser(commands: Any) -> None:
    """Declares the command and its own commands."""
    parser = commands.add_parser(
        "models",
        help="list, fetch, check, convert, inspect and quantize models",
        description="Face-recognition networks, detectors and fusers by name. They are kept in "
        "~/.cache/probefusion/models, or in `models` of the folder PROBEFUSION_HOME names; copies in "
        "the caches of InsightFace and Hugging Face are used where they are, and so are fusers in the "
        "folders that PROBEFUSION_FUSERS names.",
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _declare(actions, "list", _list, "what is known, and what of it is here", [])
    pull = _declare(actions, "pull", _pull, "fetch models and check their hashes", ["+"])
    pull.add_argument("--force", action="store_true", help="fetch again, even if it is here")
    pull.add_argument("--offline", action="store_true", help="use only what is here")
    pull.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="address of a folder that holds the files, tried first; may be given again",
    )
    _declare(actions, "verify", _verify, "compare the files that are here with their hashes", ["*"])
    _declare(actions, "path", _path, "print where a model's file is", [None])
    _declare(actions, "forget", _forget, "remove an entry of your own", [None])
    models_convert.add_parser(actions)
    models_inspect.add_parser(actions)
    models_quantize.add_parser(actions)


def _declare(actions: Any, name: str, run: Any, help_text: str, names: list[str | None]) -> Any:
    action = actions.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + "."
    )
    for count in names:
        action.add_argument("name", nargs=count, metavar="NAME", help="see `models list`")
    action.add_argument("--json", action="store_true", help="print the result as JSON")
    action.set_defaults(run=run)
    return action


def _list(options: argparse.Namespace) -> int:
    from probefusion.zoo import known_models, search_file

    rows = []
    for entry in known_models().values():
        found = search_file(entry)
        rows.append(
            {
                "name": entry.name,
                "kind": entry.kind,
                "format": entry.format,
                "dim": entry.dim,
                "licence": entry.licence,
                "non_commercial": entry.non_commercial,
                "sha256": entry.sha256,
                "size": entry.size,
                "origin": entry.origin,
                "urls": list(entry.urls),
                "page": entry.page,
                "packs": [member.pack for member in entry.packs],
                "accuracy": [vars(figure) for figure in entry.accuracy],
                "settings": dict(entry.settings),
                "path": None if found is None else str(found.path),
                "place": None if found is None else found.place,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    _print_models(rows)
    return 0


def _print_models(rows: list[dict[str, Any]]) -> None:
    from probefusion.cli.terminal_tables import print_table

    print_table(COLUMNS, table_rows(rows))


def table_rows(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What `models list` prints under `COLUMNS`.

    Args:
        rows: What `models list --json` prints.
    """
    return [
        (
            row["name"],
            row["kind"] + (" (checkpoint)" if row["format"] == "checkpoint" else ""),
            str(row["dim"] or ""),
            row["place"] or "",
            _use(row),
            _note(row),
        )
        for row in rows
    ]


def _note(row: dict[str, Any]) -> str:
    """What an embedder reached when it was published, or which embedder a fuser is made for."""
    if row["kind"] == "fuser":
        from probefusion.types.revisions import name_to_load

        made_for = row["settings"].get("embedder")
        return "" if made_for is None else f"for {name_to_load(made_for)}"
    best = row["accuracy"][-1] if row["accuracy"] else None
    return "" if best is None else f"{best['benchmark']} {best['value']:.4f}"


def _use(row: dict[str, Any]) -> str:
    if row["non_commercial"]:
        return "research"
    return "unknown" if row["licence"] == "unknown" else "free"


def _pull(options: argparse.Namespace) -> int:
    from probefusion.cli.progress import progress_bar
    from probefusion.zoo import pull_model

    results: list[Pulled] = []
    for name in options.name:
        with progress_bar(f"fetching {name}", unit="bytes") as progress:
            results += pull_model(
                name,
                mirrors=options.mirror,
                offline=True if options.offline else None,
                force=options.force,
                progress=progress,
                notice=show_licence,
            )
    for result in results:
        if not result.is_verified:
            print(
                f"{result.entry.name}: nobody published a hash of this file. {result.sha256} is "
                f"recorded and compared from now on.",
                file=sys.stderr,
            )
    if options.json:
        print(json.dumps([_facts(result) for result in results], indent=2))
    else:
        for result in results:
            state = f"fetched from {result.source}" if result.is_new else "was here"
            print(f"{result.entry.name}: {result.path} ({state})")
            if result.entry.format == "checkpoint":
                print(f"convert it with: probefusion models convert {result.entry.name}")
    return 0


def _facts(result: Pulled) -> dict[str, Any]:
    return {
        "name": result.entry.name,
        "path": str(result.path),
        "sha256": result.sha256,
        "source": result.source,
        "is_new": result.is_new,
        "is_verified": result.is_verified,
        "licence": result.entry.licence,
    }


def _verify(options: argparse.Namespace) -> int:
    from probefusion.errors import IntegrityError
    from probefusion.zoo import verify_models

    results = verify_models(options.name or None)
    if options.json:
        facts = [{**vars(r), "path": None if r.path is None else str(r.path)} for r in results]
        print(json.dumps(facts, indent=2))
    else:
        for result in results:
            print(f"{result.name}: {result.state}{f' ({result.path})' if result.path else ''}")
        if not results:
            print("no model is here; get one with: probefusion models pull NAME", file=sys.stderr)
    wrong = [r.name for r in results if r.state in ("wrong hash", "missing")]
    if wrong:
        raise IntegrityError(
            f"{len(wrong)} of {len(results)} models are not as they should be: {', '.join(wrong)}. "
            f"Fetch them: probefusion models pull --force {' '.join(wrong)}"
        )
    return 0


def _path(options: argparse.Namespace) -> int:
    from probefusion.files import sha256_of
    from probefusion.zoo import find_entry, locate, models_folder, search_file
    from probefusion.zoo.cache import CONVERTED_NAME

    entry = find_entry(options.name)
    raw = search_file(entry) if entry.format == "checkpoint" else None
    if raw is not None and not (models_folder() / entry.name / CONVERTED_NAME).is_file():
        path, sha256 = raw.path, sha256_of(raw.path)
    else:
        path, sha256 = locate(options.name, kind="embedder" if entry.kind == "pack" else entry.kind)
    if options.json:
        print(json.dumps({"name": options.name, "path": str(path), "sha256": sha256}, indent=2))
    else:
        print(path)
    return 0


def _forget(options: argparse.Namespace) -> int:
    from probefusion.zoo import forget_model

    path = forget_model(options.name)
    if options.json:
        print(json.dumps({"name": options.name, "manifest": str(path)}, indent=2))
    else:
        print(f"{options.name}: taken out of {path}")
    return 0
