"""From the measured numbers in `benchmark.json` to the report in Markdown. Nothing is measured here."""

import statistics
from typing import Any

import numpy as np

from bench.app_report import render_app
from bench.key_figures import find_best_auc, find_seconds_to_quality, find_target_auc, find_training_rate
from facedep.networks.recipes import ARTICLE, COMPACT, QUICK, Recipe

_TRAINING_COST = 6  # operations for each multiply-add: forward once, backward twice, two each
_FORWARD_COST = 2
_NAMES = {
    "article_path": "the article's code path",
    "article": "recipe `article`: the same network, trained by facedep",
    "compact": "recipe `compact`",
    "quick": "recipe `quick`",
    "quick_again": "recipe `quick` again, pictures already prepared",
}
_NOTHING = "–"
_MIB = 1024**2


def render_report(results: dict[str, Any], *, plot_name: str | None = None) -> str:
    """Returns the whole report as Markdown.

    Args:
        results: The content of `benchmark.json`; sections that were not measured are skipped.
        plot_name: The plot's file name beside the report; None where there is no plot.
    """
    sections = results["sections"]
    lines = ["# Side by side with the article's code path", ""]
    if results.get("is_smoke"):
        lines += ["**A trial of the benchmark itself on a few pictures: these numbers mean nothing.**", ""]
    lines += [
        "The article's code path (`bench/article_path.py`: two folders, `ImageDataGenerator`, the published network, "
        "`fit`, `predict`) and this project, measured one after the other on the same machine and the same pictures. "
        "Made by",
        "",
        "```sh",
        results["command"],
        "```",
        "",
        *_describe_machine(sections),
    ]
    for name, render in _SECTIONS.items():
        if name in sections:
            lines += ["", *render(sections)]
    if plot_name and "quality" in sections:
        lines += ["", f"![Validation ROC AUC over seconds]({plot_name})"]
    return "\n".join(lines) + "\n"


def _describe_machine(sections: dict[str, Any]) -> list[str]:
    """Returns one line for each machine and set of versions, with the sections measured there."""
    names: dict[str, list[str]] = {}
    for name, section in sections.items():
        about = section["about"]
        cores, load = about["num_cores"], about["load"]
        memory = f", {about['memory_bytes'] / 1024**3:.0f} GiB memory" if about["memory_bytes"] else ""
        versions = ", ".join(f"{package} {version}" for package, version in about["versions"].items())
        busy = f"; load before the start {load:.1f}" if load is not None else ""
        line = f"{about['date']}; {about['processor']}, {cores} cores{memory}; {about['platform']}; {versions}{busy}"
        names.setdefault(line, []).append(name)
    return [f"- {', '.join(listed)}: {line}" for line, listed in names.items()]


def _render_training(sections: dict[str, Any]) -> list[str]:
    results = sections["training"]["results"]
    quality = sections.get("quality", {}).get("results", {})
    speeds = results.get("machine_speed", {})
    machine_rate = max(speeds.values(), default=None)
    article_rate = _find_side_rate(quality, "article_path")
    lines = [
        "## Pictures a second in training",
        "",
        "*Pipeline alone*: all batches of an epoch without a network, the faster of two passes. *Training*: the median "
        "epoch after the first, without scoring (of the section below). *Share of the machine*: 6 operations for each "
        "multiply-add of the network for each picture, against this machine's own float32 matrix product: "
        + ", ".join(f"{_format_billions(rate)} in {library}" for library, rate in _name_libraries(speeds))
        + "; the larger counts.",
        "",
        "| | multiply-adds a picture | pipeline alone, pictures/s | training, pictures/s | against the article's path "
        "| share of the machine |",
        "|---|---|---|---|---|---|",
    ]
    for side, recipe in (("article_path", ARTICLE), ("article", ARTICLE), ("compact", COMPACT)):
        rate = _find_side_rate(quality, side)
        lines.append(
            _row(
                _NAMES[side],
                _format_millions(recipe),
                _format_count(results.get(side, {}).get("pipeline_rate")),
                _format_count(rate),
                _format_ratio(rate, article_rate),
                _format_share(rate, recipe, _TRAINING_COST, machine_rate),
            )
        )
    forward_rate = results.get("features", {}).get("forward_rate")
    share = _format_share(forward_rate, QUICK, _FORWARD_COST, machine_rate)
    rate_text = f"{_format_count(forward_rate)} forward"
    lines.append(_row("recipe `quick`: fixed stages, forward only", _format_millions(QUICK), "", rate_text, "", share))
    lines += [
        "",
        "`quick` runs each training picture through its fixed stages twice (as it is and mirrored) and then trains a "
        "last layer on the features. Forward only counts 2 operations for each multiply-add.",
    ]
    return lines


def _find_side_rate(quality: dict[str, Any], side: str) -> float | None:
    measured = quality.get(side)
    return find_training_rate(measured["rows"], _count_train(measured)) if measured else None


def _count_train(measured: dict[str, Any]) -> int:
    return measured["num_train"] if "num_train" in measured else measured["num_images"]["train"]


def _render_quality(sections: dict[str, Any]) -> list[str]:
    results = sections["quality"]["results"]
    article = results.get("article_path")
    target = find_target_auc(results)
    best_auc = find_best_auc(article["rows"]) if article else None
    best_seconds = find_seconds_to_quality(article["rows"], best_auc) if article else None
    whole_seconds = article["seconds"] if article else None
    counts = results.get("num_images", {})
    lines = [
        "## Seconds to the article's quality",
        "",
        f"{results.get('data_name', 'Data')}, leak-free split, seed 0: "
        + ", ".join(f"{number:,} {part}" for part, number in counts.items())
        + " pictures. "
        f"The quality to reach is a validation ROC AUC of {_format_score(target)}, the best epoch that the article's "
        "network has, whichever of the two sides trained it. The article's clock runs only in `fit`, without any "
        "scoring. This project's runs from the call of `train_run`, TensorFlow imported: finding copies, decoding, "
        "features and the scoring after each epoch are in it, and in its whole time also the final scores and the "
        "saved model. `quick` needs no TensorFlow. This project turns on TensorFlow's oneDNN, which by itself is used "
        "only with AVX-512; the row of the recipe `article` shows what that does to the same network.",
        "",
        "| | preparing, first / second time, s | seconds to the quality | the article's seconds to its own best epoch, "
        "as a multiple of these | the article's whole training, as a multiple of these | whole training, s (epochs) "
        "| best validation AUC | test AUC | peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for side in _NAMES:
        if side not in results:
            continue
        measured = results[side]
        seconds = find_seconds_to_quality(measured["rows"], target)
        if side == "article_path":
            seconds = best_seconds
        lines.append(
            _row(
                _NAMES[side],
                _format_preparing(measured),
                "not reached" if seconds is None else _format_seconds(seconds),
                _format_ratio(best_seconds, seconds),
                _format_ratio(whole_seconds, seconds),
                f"{_format_seconds(measured['seconds'])} ({len(measured['rows'])})",
                _format_score(find_best_auc(measured["rows"])),
                _format_score(measured["test_roc_auc"]),
                _format_mib(measured["peak_bytes"]),
            )
        )
    lines += [
        "",
        f"The article's path had its best epoch, AUC {_format_score(best_auc)}, "
        f"after {_format_seconds(best_seconds)} s; that is what its row gives. An AUC of a few hundred pictures moves "
        "by some hundredths from seed to seed. "
        "`quick` builds on the shipped model, whose own training is not counted; "
        + _describe_pretraining(results.get("quick"))
        + f". Cores used on average: {_list_cores(results)}; where a side got fewer than it can use, other work was "
        "on the machine and its seconds are too many.",
        "",
        *_render_sample(results),
    ]
    return lines


def _list_cores(results: dict[str, Any]) -> str:
    measured = {side: results[side]["cores_used"] for side in _NAMES if side in results}
    return ", ".join(f"{side.replace('_', ' ')} {cores:.2f}" for side, cores in measured.items()) or _NOTHING


def _describe_pretraining(quick: dict[str, Any] | None) -> str:
    if not quick:
        return "it was not measured"
    counts = quick["num_in_pretraining"]
    return "of these pictures that model was trained on " + (
        ", ".join(f"{number:,} of the {subset} part" for subset, number in counts.items()) or "none that is known"
    )


def _render_sample(results: dict[str, Any]) -> list[str]:
    article, quick = results.get("sample_article"), results.get("sample_quick")
    if not article or not quick:
        return []
    target = find_best_auc(article["rows"])
    lines = [
        f"The built-in sample faces, drawn by code ({article['num_images']['train']:,} train pictures), the recipe "
        "`article` trained by facedep as well:",
        "",
        "| | whole training, s (epochs) | against `article` | seconds to `article`'s best validation AUC "
        "| best validation AUC | test AUC |",
        "|---|---|---|---|---|---|",
    ]
    for name, measured in (("recipe `article`", article), ("recipe `quick`", quick)):
        seconds = find_seconds_to_quality(measured["rows"], target)
        lines.append(
            _row(
                name,
                f"{_format_seconds(measured['seconds'])} ({len(measured['rows'])})",
                _format_ratio(article["seconds"], measured["seconds"]),
                "not reached" if seconds is None else _format_seconds(seconds),
                _format_score(find_best_auc(measured["rows"])),
                _format_score(measured["test_roc_auc"]),
            )
        )
    return lines


def _render_prediction(sections: dict[str, Any]) -> list[str]:
    results = sections["prediction"]["results"]
    lines = [
        "## Prediction",
        "",
        "*First answer*: wall clock of a fresh process from its start to its end: imports, loading the model, one "
        "picture from a file; median of the starts. *Warm*: single calls in one process, both sides in turn, the faces "
        "ready as arrays: `model.predict` of the article's network, `Classifier.predict` of the shipped model "
        f"({results.get('model', 'recipe `compact`')}).",
        "",
        "| | the article's code path | facedep | ratio |",
        "|---|---|---|---|",
    ]
    first = results.get("first_seconds", {})
    article, own = (statistics.median(first[side]) if side in first else None for side in ("article_path", "own"))
    lines.append(_row("first answer, s", _format_seconds(article), _format_seconds(own), _format_ratio(article, own)))
    for num_faces, measured in results.get("warm_seconds", {}).items():
        label = "one face" if num_faces == "1" else f"{num_faces} faces in one call"
        for name, percentile in (("median", 50), ("95th percentile", 95)):
            article, own = (float(np.percentile(measured[side], percentile)) for side in ("article_path", "own"))
            lines.append(
                _row(
                    f"warm, {label}, {name}, ms",
                    f"{1000 * article:.1f}",
                    f"{1000 * own:.1f}",
                    _format_ratio(article, own),
                )
            )
    return lines


def _render_memory(sections: dict[str, Any]) -> list[str]:
    results = sections["memory"]["results"]
    sizes = results.get("sizes", {})
    lines = [
        "## Memory and preparation by the number of pictures",
        "",
        f"Drawn 48 x 48 PNG files in folders, that many for training and {results.get('num_held_out', 0)} more each to "
        f"validate and test; about {results.get('num_steps', 0)} steps of training, at most an epoch, then the "
        "scores. Peak memory (`getrusage`, `ru_maxrss`) of a process of its own; importing TensorFlow alone is "
        + _format_mib(_find_import_bytes(sizes))
        + " MiB of it. *Preparing*: until all is ready for the first step; the second time the prepared pictures are "
        "in the cache.",
        "",
        _row(
            "training pictures",
            *(f"{int(size):,}: preparing, first / second time, s" for size in sizes),
            *(f"{int(size):,}: peak, MiB" for size in sizes),
            "growth, MiB",
        ),
        "|---" * (2 * len(sizes) + 2) + "|",
    ]
    rows = (
        ("article_path", "the article's code path (decodes again in every epoch)"),
        ("article", "recipe `article`"),
        ("article_again", "recipe `article`, another process with the pictures prepared"),
        ("compact", "recipe `compact`"),
    )
    for side, name in rows:
        measured = [sizes[size].get(side) for size in sizes]
        peaks = [found["peak_bytes"] if found else None for found in measured]
        known = [peak for peak in peaks if peak is not None]
        lines.append(
            _row(
                name,
                *(_format_preparing(found) for found in measured),
                *(_format_mib(peak) for peak in peaks),
                _format_mib(known[-1] - known[0]) if len(known) > 1 else _NOTHING,
            )
        )
    return lines


def _format_preparing(measured: dict[str, Any] | None) -> str:
    """Returns the seconds of the first and, where it was measured, the second preparation."""
    measured = measured or {}
    again = measured.get("prepare_again_seconds")
    first = _format_seconds(measured.get("prepare_seconds"))
    return first if again is None else f"{first} / {_format_seconds(again)}"


def _find_import_bytes(sizes: dict[str, Any]) -> float | None:
    found = [side["import_bytes"] for size in sizes.values() for side in size.values() if side.get("import_bytes")]
    return statistics.median(found) if found else None


_SECTIONS = {
    "training": _render_training,
    "quality": _render_quality,
    "prediction": _render_prediction,
    "memory": _render_memory,
    "app": lambda sections: render_app(sections["app"]["results"]),
}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _name_libraries(speeds: dict[str, float]) -> list[tuple[str, float]]:
    return [({"numpy": "NumPy", "tensorflow": "TensorFlow"}[name], rate) for name, rate in speeds.items()]


def _format_billions(rate: float) -> str:
    return f"{rate / 1e9:,.0f} GFLOP/s"


def _format_millions(recipe: Recipe) -> str:
    return f"{recipe.multiply_adds / 1e6:.0f} M"


def _format_share(rate: float | None, recipe: Recipe, cost: int, machine_rate: float | None) -> str:
    return _NOTHING if not rate or not machine_rate else f"{rate * cost * recipe.multiply_adds / machine_rate:.0%}"


def _format_count(number: float | None) -> str:
    return _NOTHING if number is None else f"{number:,.0f}"


def _format_seconds(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    return f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"


def _format_ratio(more: float | None, less: float | None) -> str:
    if not more or not less:
        return _NOTHING
    return f"{more / less:.1f} x" if more / less < 100 else f"{more / less:,.0f} x"


def _format_score(score: float | None) -> str:
    return _NOTHING if score is None else f"{score:.3f}"


def _format_mib(num_bytes: float | None) -> str:
    return _NOTHING if num_bytes is None else f"{num_bytes / _MIB:,.0f}"
