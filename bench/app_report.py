"""The report's section on the app: from the numbers of `bench/app.py` to rows of a table. Nothing is measured here."""

import statistics
from collections.abc import Callable
from typing import Any


def render_app(results: dict[str, Any]) -> list[str]:
    """Returns the section of the report on the app: a row a measurement, a column a checkout.

    Args:
        results: "now", and maybe "before": from `app.measure_checkout`.
    """
    sides = [side for side in ("before", "now") if side in results]
    titles = [f"{side} ({results[side]['commit']})" for side in sides]
    lines = [
        "## The app, as a visitor meets it",
        "",
        "Medians. The first page includes the server's start. The training is `quick` on the built-in faces, their "
        "pictures scanned before, the page open for 10 s before the click; its end is the result on the page.",
        "",
        f"| | {' | '.join(titles)} |",
        f"|---|{'---|' * len(sides)}",
    ]
    num_images = results.get("now", {}).get("evaluate_num_images")
    rows: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("`facedep predict FILE --json`, fresh process, s", lambda of: _median(of.get("predict_seconds"))),
        ("one face, warm, library call, ms", lambda of: _median(of.get("call_seconds", {}).get("1"), 1000)),
        ("100 faces in one call, ms", lambda of: _median(of.get("call_seconds", {}).get("100"), 1000)),
        (f"{num_images or 0:,} faces evaluated, fresh process, s", lambda of: _median(of.get("evaluate_seconds"))),
        ("first page of an empty app, s", lambda of: _median(of.get("empty_page_seconds"))),
        ("first page, s", lambda of: _median(of.get("first_page_seconds"))),
        ("snapshot to gauge in the browser, s", lambda of: _median(of.get("snapshot_seconds"))),
        ("server memory after these predictions, MiB", _write_memory),
        ("Start to the first point of the curve, s", lambda of: _median(of.get("first_point_seconds"))),
        ("the whole training, s", lambda of: _median(of.get("quick_seconds"))),
    ]
    for title, write in rows:
        lines.append(f"| {title} | {' | '.join(write(results[side]) for side in sides)} |")
    for side in sides:
        for name, reason in results[side]["reasons"].items():
            lines.append(f"\nMissing, {side}, {name}: {reason}")
    return lines


def _median(seconds: list[float] | None, factor: float = 1.0) -> str:
    if not seconds:
        return "–"
    value = factor * statistics.median(seconds)
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def _write_memory(results: dict[str, Any]) -> str:
    return f"{results['server_bytes'] / 1024**2:.0f}" if results.get("server_bytes") else "–"
