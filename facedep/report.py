"""The report: how good a run is, as one HTML file that opens anywhere, with no network, and prints on A4.

It says in the same words and shows in the same charts what the Evaluate page does. No picture is in it: those of a data
set may show real people. Texts from outside (names of runs and data sets, what a card says) are escaped, and a
Content-Security-Policy lets nothing be loaded and no other script run than the report's own two.
"""

import base64
import hashlib
import html
import math
import os
import re
import secrets
import shlex
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from facedep import __version__, evaluation_plots, evaluation_words, game, metrics
from facedep.data import KAGGLE, SAMPLE
from facedep.errors import DataError, FacedepError, ModelError
from facedep.eval_subset import ALL
from facedep.evaluation import Evaluation
from facedep.notices import NOTICE
from facedep.plots import Figure
from facedep.protocol_comparison import compare_protocols
from facedep.robustness import DISTORTIONS, MAX_IMAGES, read_robustness
from facedep.slices import MIN_IMAGES, find_worst
from facedep.splits import SPLIT_KINDS

_SOURCES = (
    "An expression is not an emotion: people smile when happy and scowl when angry more often than chance, but it "
    "varies with culture, situation and person (Barrett et al. 2019, doi.org/10.1177/1529100619832930). Nor is it "
    "depression: filmed in interviews, people smiled less while their symptoms were severe, and also pulled down the "
    "corners of the mouth less (Girard et al. 2014, doi.org/10.1016/j.imavis.2013.12.007); that was seen over time, "
    "not in one still picture. In the European Union, inferring emotions at work and in education is prohibited except "
    "for medical or safety reasons (Regulation (EU) 2024/1689, Art. 5(1)(f), eur-lex.europa.eu/eli/reg/2024/1689). "
    "This is not legal advice."
)
_NO_FACES = "No face is shown in this report: pictures in such data sets may be of real people."
_MISSING = "–"
_MAX_NAME_IN_FIGURE = 28  # letters; more do not fit into a legend on a phone
_LINE_IN_FIGURE = 48  # letters that fit into a line on a phone
_MAX_TEXT = 2000
_FONT = "'Source Sans 3', 'Source Sans Pro', 'Segoe UI', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
_TAG = re.compile(r"<[^>]*>")

# The colours are those of .streamlit/config.toml.
_STYLE = """
:root { --primary: #0B6E99; --soft: #F2F6F9; --ink: #1B2733; --quiet: #5F6B7C; --line: #D8E1E8; color-scheme: light }
* { box-sizing: border-box }
html { font: 16px/1.55 FONT; color: var(--ink); background: #FFFFFF; -webkit-text-size-adjust: 100% }
body { margin: 0; overflow-wrap: break-word }
main { max-width: 1080px; margin: 0 auto; padding: 44px 32px 56px }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0.1rem 0 1.1rem; letter-spacing: -0.01em; overflow-wrap: anywhere }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 0.6rem }
h3 { font-size: 1.1rem; margin: 1.8rem 0 0.4rem }
p { margin: 0 0 0.9rem; max-width: 76ch }
section { margin-top: 3rem; padding-top: 1.7rem; border-top: 1px solid var(--line) }
code, pre { font: 0.86rem/1.5 ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'Liberation Mono', monospace }
pre { background: var(--soft); border-radius: 0.6rem; padding: 0.7rem 1rem 0.7rem 2.6rem; text-indent: -1.6rem;
  margin: 0 0 0.9rem; white-space: pre-wrap; overflow-x: auto }
pre span { white-space: nowrap }
.kind { color: var(--primary); font-weight: 600; margin: 0 }
.facts { display: flex; flex-wrap: wrap; gap: 0.7rem 2.2rem; margin: 0; padding: 0 }
.facts div { min-width: 0 }
dt { color: var(--quiet); font-size: 0.86rem }
dd { margin: 0; overflow-wrap: anywhere }
.sentence { font-size: 1.65rem; line-height: 1.35; margin: 2.2rem 0 1rem; max-width: 36em; text-wrap: pretty }
.sentence strong { color: var(--primary) }
.warning { background: #FFF6E0; border-left: 4px solid #E69F00; border-radius: 0.4rem; padding: 0.7rem 1rem;
  max-width: none }
.notice { background: var(--soft); border-radius: 0.6rem; padding: 1.1rem 1.3rem 0.3rem; margin: 1.6rem 0 0 }
.notice h2 { font-size: 1.1rem; margin-bottom: 0.3rem }
.notice p { max-width: none }
.small { color: var(--quiet); font-size: 0.9rem }
nav { margin-top: 1.6rem; display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem }
a { color: var(--primary); text-underline-offset: 3px }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.8rem 2.4rem; margin: 1.2rem 0;
  align-items: start }
.charts.one { grid-template-columns: minmax(0, 1fr) }
.charts.tall figure:first-child { grid-row: span 2 }
figure { margin: 0; min-width: 0; break-inside: avoid }
table { border-collapse: collapse; width: 100%; margin: 0.6rem 0 1.2rem; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 0.5rem 0 0.5rem 1.2rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-size: 0.86rem; font-weight: 600; color: var(--quiet); vertical-align: bottom }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
td .small { display: block; line-height: 1.35 }
.scores td:nth-child(n+2), .falls td, td span { white-space: nowrap }
td:first-child span { white-space: normal }
.scores td:nth-child(2) { font-weight: 600 }
tr { break-inside: avoid }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line) }
@media (max-width: 720px) {
  main { padding: 26px 20px 40px }
  h1 { font-size: 1.7rem }
  .sentence { font-size: 1.3rem; margin-top: 1.6rem }
  section { margin-top: 2.2rem }
  .notice { padding: 0.9rem 1rem 0.2rem }
  .scores thead { display: none }
  .scores tr { display: grid; grid-template-columns: 1fr auto; padding: 0.5rem 0; border-bottom: 1px solid var(--line) }
  .scores td { padding: 0 0 0 1rem; border: 0 }
  .scores td:first-child { grid-row: 1 / 3; padding: 0 }
  .scores td:nth-child(3) { color: var(--quiet); font-size: 0.9rem }
  .wide thead { display: none }
  .wide, .wide tbody, .wide tr, .wide td { display: block }
  .wide tr { padding: 0.7rem 0; border-bottom: 1px solid var(--line) }
  .wide td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: 0.1rem 0 }
  .wide td:first-child { font-weight: 600 }
  .wide td[data-title]::before { content: attr(data-title); color: var(--quiet) }
}
@media screen and (max-width: 720px) {
  .charts { grid-template-columns: minmax(0, 1fr) }
  .charts.tall figure:first-child { grid-row: auto }
}
/* Charts are drawn in pixels, so before it prints the script sets the page up as wide as paper and draws them anew. */
.printing main { width: 182mm; max-width: 182mm; padding: 0; margin: 0 }
.printing .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 5mm 6mm }
.printing .charts.one, .printing .charts.apart { grid-template-columns: minmax(0, 1fr) }
.printing .charts.tall figure:first-child { grid-row: span 2 }
@page { size: A4; margin: 14mm }
@media print {
  html { font-size: 12px; -webkit-print-color-adjust: exact; print-color-adjust: exact }
  main { max-width: none; padding: 0 }
  nav { display: none }
  section { margin-top: 2rem; padding-top: 1.2rem }
  h2, h3, h2 + p, h3 + p { break-after: avoid }
  th, td { padding-top: 0.4rem; padding-bottom: 0.4rem }
  p, .notice, .warning, pre { break-inside: avoid; orphans: 3; widows: 3 }
}
"""
_SCRIPT = """
"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const places = [...document.querySelectorAll(".plot")];
places.forEach((place, number) => {
  const options = {displayModeBar: false, responsive: true};
  Plotly.newPlot(place, charts[number].data, charts[number].layout, options);
});
const isStill = (place) => !place.querySelector(".sankey");  // that one takes its time to move, and fits as it is
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  places.filter(isStill).forEach((place) => Plotly.relayout(place, {width: place.clientWidth}));
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  places.filter(isStill).forEach((place) => Plotly.relayout(place, {width: null, autosize: true}));
});
"""


def build_report(told: Evaluation) -> str:
    """Returns the report on a run as one HTML document that needs nothing else.

    It takes kept answers and runs no network. Scores on other parts, and on worse pictures, are shown where their
    answers are kept, too.

    Args:
        told: The run on a subset of a data set, from `evaluation.evaluate_run`.

    Returns:
        HTML, about 5 MB: most of it is the library that draws the charts.

    Raises:
        ModelError: Not all of the answers are numbers.
    """
    if np.isnan(told.predictions.probabilities).any():
        raise ModelError(f"{told.run.name!r} answers with no number to some of these pictures. Choose another model.")
    charts: list[Figure] = []
    sections = {
        "In numbers": _show_scores(told, charts),
        "Curves": _show_curves(told, charts),
        "Where it fails": _show_failures(told, charts),
        "Honest or flattering": _show_flattery(told, charts),
        "Robustness": _show_robustness(told, charts),
        "How it was trained": _show_training(told),
        "Make this report again": _show_commands(told),
    }
    names = {title: title.lower().replace(" ", "-") for title in sections}
    links = [f'<a href="#{names[title]}">{title}</a>' for title in sections]
    body = [
        _show_head(told, f"<nav>{' '.join(links)}</nav>"),
        *(f'<section id="{names[title]}"><h2>{title}</h2>{content}</section>' for title, content in sections.items()),
        f'<footer class="small">Written by facedep {__version__} on {_describe_today()}. {_NO_FACES} This file holds '
        "all it needs and loads nothing from anywhere.</footer>",
    ]
    return _build_page(f"{told.run.name}: how good is it?", "\n".join(body), charts)


def check_report_path(path: Path) -> Path:
    """Returns where the model card goes that stands beside a report, once both places are known to take a file.

    Args:
        path: Where the report is to go; it ends in ".html".

    Raises:
        DataError: The name ends otherwise, or no file can be written there.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise DataError(f"{path} is no name for a report. Give one that ends in .html.")
    card_path = path.with_suffix(".md")
    for target in (path, card_path):
        if target.is_dir():
            raise DataError(f"{target} could not be written (it is a folder). Choose another name.")
        _write_in_one_step(target, b"", keeps=False)
    return card_path


def write_report(path: Path, report: str, card_text: str) -> Path:
    """Writes a report and, beside it, the model card; existing files are replaced in one step each.

    Args:
        path: Where the report goes.
        report: From `build_report`.
        card_text: From `model_card.render_model_card`.

    Returns:
        Where the card went.

    Raises:
        DataError: A file cannot be written.
    """
    card_path = check_report_path(path)
    _write_in_one_step(card_path, card_text.encode())
    _write_in_one_step(path, report.encode())
    return card_path


def _write_in_one_step(path: Path, content: bytes, *, keeps: bool = True) -> None:
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        partial.write_bytes(content)
        if keeps:
            os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"{path} could not be written ({error.strerror or error}). Choose a folder that exists and that you may "
            "write to, with free space."
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink()


# What is told --------------------------------------------------------------------------------------------------------


def _name_in_figure(told: Evaluation) -> str:
    """Returns the run's name, short, and as text where Plotly would take it for markup."""
    name = told.run.name
    short = name if len(name) <= _MAX_NAME_IN_FIGURE else f"{name[: _MAX_NAME_IN_FIGURE - 1]}…"
    return html.escape(short, quote=False)


# The sections --------------------------------------------------------------------------------------------------------


def _show_head(told: Evaluation, links: str) -> str:
    scores = told.scores
    facts = {
        "Pictures": f"{scores['num_images']:,} of {_escape(told.dataset.name)}",
        "Chosen": _escape(_describe_choice(told)),
        "Called “depressed”": f"from P(“depressed”) of {told.threshold:.2f}",
        "Date": _describe_today(),
    }
    words = evaluation_words.describe_answered(scores)
    if told.dataset.source != SAMPLE:  # drawn faces have the emotion that they were drawn with
        words = f"{words} {game.PEOPLE_SENTENCE}".strip()
    warning = evaluation_words.describe_seen(
        scores, is_own_data=told.card.get("data", {}).get("content_hash") == told.dataset.content_hash
    )
    parts = [
        '<header><p class="kind">facedep · how good is it?</p>',
        f"<h1>{_escape(told.run.name)}</h1>",
        _build_facts(facts),
        f'<p class="sentence">{_render(evaluation_words.describe_accuracy(scores))}</p>',
        f'<p class="warning">{_render(warning)}</p>' if warning else "",
        f"<p>{_render(words)}</p>" if words else "",
        f'<div class="notice"><h2>What it is not</h2><p><strong>{_escape(NOTICE)}</strong> '
        f"{_escape(_describe_labels(told))}</p>"
        f'<p class="small">{_escape(_SOURCES)} {_escape(_NO_FACES)}</p></div>',
        links,
        "</header>",
    ]
    return "\n".join(filter(None, parts))


def _describe_choice(told: Evaluation) -> str:
    scores = told.scores
    words = [
        "all, each once"
        if told.subset.subset == ALL
        else f"{told.subset.subset} part. {SPLIT_KINDS[told.subset.protocol]}"
    ]
    if told.subset.excludes_training_images:
        words.append(f"without the {scores['num_left_out_seen']:,} that it was trained on")
    if scores["num_unreadable"]:
        words.append(f"{scores['num_unreadable']:,} damaged files left out")
    return "; ".join(words)


def _describe_labels(told: Evaluation) -> str:
    """Returns what *depressed* means here: for the data set, and for the model."""
    words = []
    if (told.samples["emotion"] != "").any():
        renamed = " and ".join(name for name in told.dataset.depressed_emotions)
        words.append(f"The group “depressed” of these pictures is a new name for {renamed} faces.")
    if told.predictions.emotions is not None:
        renamed = " and ".join(told.card["positive_classes"])
        words.append(f"The model's answer “depressed” means: looks like the {renamed} faces that it learned from.")
    else:
        words.append("The model's answer “depressed” means: looks like the pictures of that group it learned from.")
    return " ".join(words)


def _show_scores(told: Evaluation, charts: list[Figure]) -> str:
    scores, intervals, truth = told.scores, told.scores["intervals"], told.is_depressed
    probabilities = told.predictions.probabilities
    rows = [
        (
            "In the right group",
            "Accuracy: the share put into the group of their label.",
            _write_share(scores["accuracy"]),
            _write_interval(intervals["accuracy"], "share"),
        ),
        (
            "Always “non-depressed”",
            "What this one answer for every picture would get.",
            _write_share(scores["always_non_depressed_accuracy"]),
            "",
        ),
        (
            "Mean of both groups",
            "Balanced accuracy: the mean of the groups' own shares; 50% is guessing.",
            _write_share(scores["balanced_accuracy"]),
            _write_interval(intervals["balanced_accuracy"], "share"),
        ),
        (
            "ROC AUC",
            "The chance that of two pictures, one of each group, the right one gets more; 0.5 is guessing.",
            _write_number(scores["roc_auc"]),
            _write_interval(intervals["roc_auc"], "number"),
        ),
        (
            "Average precision",
            f"Mean precision as the “depressed” are found; guessing gets {_write_number(float(np.mean(truth)))}.",
            _write_number(told.average_precision),
            "",
        ),
        (
            "Calibration error (ECE)",
            "How far P(“depressed”) is off on average; 0 is best.",
            _write_number(scores["ece"]),
            "",
        ),
        (
            "Brier score",
            "The mean squared error of P(“depressed”); 0 is best, 0.25 is always saying 50%.",
            _write_number(metrics.compute_brier_score(truth, probabilities)),
            "",
        ),
    ]
    if not math.isnan(scores["emotion_accuracy"]):
        rows.append(
            (
                "Right emotion",
                f"The share whose most probable emotion of {len(told.card['class_names'])} is the label's.",
                _write_share(scores["emotion_accuracy"]),
                _write_interval(scores["emotion_accuracy_interval"], "share"),
            )
        )
    answered = scores.get("answered")
    if answered and answered["num_images"]:
        rows.append(
            (
                "Right where it is sure",
                f"Among the {_write_share(answered['share'])} outside its uncertain band.",
                _write_share(answered["accuracy"]),
                _write_interval(answered["accuracy_interval"], "share"),
            )
        )
    cells = [
        [f'{_escape(title)}<span class="small">{_escape(words)}</span>', value, interval]
        for title, words, value, interval in rows
    ]
    errors = evaluation_plots.plot_emotion_errors(
        scores["per_emotion"], depressed_emotions=told.dataset.depressed_emotions
    )
    figures = [evaluation_plots.plot_confusion(told.confusion), errors]
    return (
        _build_table(["Score", "Value", "95% interval"], cells, kind="scores")
        + '<p class="small">Ranges: in 95 of 100 draws of such pictures the score lies between these (bootstrap). '
        "Another training, or other people, can move it further.</p>"
        + f"<p>{_render(evaluation_words.describe_confusion(told.confusion))}</p>"
        + _place(charts, figures)
    )


def _show_curves(told: Evaluation, charts: list[Figure]) -> str:
    name, has_both = _name_in_figure(told), told.has_both_groups
    figures = [
        evaluation_plots.plot_roc(
            {name: told.roc_curve} if has_both else {}, {name: told.scores["roc_auc"]}, point=told.roc_point
        ),
        evaluation_plots.plot_precision_recall(
            {name: told.precision_recall_curve} if has_both else {},
            {name: told.average_precision},
            share_depressed=float(told.is_depressed.mean()),
            point=told.precision_recall_point,
        ),
        evaluation_plots.plot_reliability(told.reliability, told.scores["ece"]),
        evaluation_plots.plot_scores(
            told.is_depressed, told.predictions.probabilities, told.threshold, told.band
        ),
    ]  # fmt: skip
    content = "" if has_both else "<p>All of these pictures have the same label: there is nothing to tell apart.</p>"
    return content + _place(charts, figures)


def _show_failures(told: Evaluation, charts: list[Figure]) -> str:
    found = find_worst(told.slices)
    accuracy = told.scores["accuracy"]
    figure = evaluation_plots.plot_slices(found, accuracy=None if math.isnan(accuracy) else accuracy)
    small = ""
    if any(one.is_small for one in found):
        small = f" Hollow ones have fewer than {MIN_IMAGES} pictures: too few to say anything."
    figures = [figure, *_draw_emotion_confusion(told)]
    note = f'<p class="small">{_escape(evaluation_words.UNKNOWN_PEOPLE_TEXT)}</p>'
    return (
        "<p>The pictures by their emotion, and by quarters of light, contrast, sharpness and size, the worst on top."
        f"{small}</p>" + _place(charts, figures, kind="tall" if len(figures) > 1 else "one", last=note)
    )


def _draw_emotion_confusion(told: Evaluation) -> list[Figure]:
    """Returns the chart, or none where the model or the labels name no emotions."""
    if told.emotion_confusion is None:
        return []
    matrix, names = told.emotion_confusion
    depressed_emotions = told.dataset.depressed_emotions
    return [evaluation_plots.plot_emotion_confusion(matrix, names, depressed_emotions=depressed_emotions)]


def _show_flattery(told: Evaluation, charts: list[Figure]) -> str:
    try:
        found = compare_protocols(told.run.path, told.dataset)
    except FacedepError as error:
        return f"<p>{_escape(str(error))}</p>"
    scored = [score for score in found if not math.isnan(score.accuracy)]
    words = evaluation_words.LOOKUP_TEXT
    if len(scored) < len(found):
        words += " Ways of choosing pictures that it has not been asked about yet are left out."
    cells = [
        [
            _escape(score.what),
            f"{score.num_images:,}",
            f'<span>{_write_share(score.accuracy)}<span class="small">{_write_interval(score.interval, "share")}</span>'
            "</span>",
            _write_share(score.lookup_accuracy),
            _write_share(score.always_non_depressed),
            f"{score.num_in_train:,}",
            f"{score.num_seen:,}",
        ]
        for score in scored
    ]
    header = [
        "Scored on", "Pictures", "Right (95% interval)", "Lookup table", "Always “non-depressed”", "Copies in train",
        "Learned from",
    ]  # fmt: skip
    rows = [{**vars(score), "what": "<br>".join(textwrap.wrap(score.what, _LINE_IN_FIGURE))} for score in scored]
    figures = [evaluation_plots.plot_flattery(rows), evaluation_plots.plot_inversion(told.confusion)]
    layout = figures[0].layout  # room for the first row's second line
    figures[0].update_layout(height=layout.height + 16, margin_t=layout.margin.t + 16)
    figures[0].update_annotations(font_size=12)  # a phone has room for 60 letters then
    return (
        f"<p>{words}</p>"
        + (_build_table(header, cells, kind="wide") if cells else "")
        + f"<p><strong>And what is published is turned round.</strong> {_escape(evaluation_words.INVERSION_TEXT)}</p>"
        + _place(charts, figures, kind="apart")
    )


def _show_robustness(told: Evaluation, charts: list[Figure]) -> str:
    if not told.run.has_model:
        return "<p>Only the answers of this run are here, not its network: it cannot be asked about worse pictures.</p>"
    table = read_robustness(told.run.path, told.dataset, told.mask, threshold=told.threshold)
    if table is None:
        command = _build_command(told, "robustness")
        return (
            f"<p>It was not measured on worse pictures. This does it, for the next report:</p>{_show_code([command])}"
        )
    num_images = int(table["num_images"].iloc[0])
    always = told.scores["always_non_depressed_accuracy"]
    figures, cells = [], []
    for name, kind in DISTORTIONS.items():
        curve = table[table["distortion"] == name]
        figures.append(
            evaluation_plots.plot_robustness(
                {_name_in_figure(told): curve}, title=kind.title, unit=kind.unit, always=always
            )
        )
        is_better = (curve["low"] > always).cumprod().astype(bool)
        strengths = curve["strength"]
        cells.append(
            [
                kind.title,
                f"{strengths[is_better].iloc[-1]:g}" if is_better.any() else _MISSING,
                f"{_write_share(curve['accuracy'].iloc[-1])} at {strengths.iloc[-1]:g}",
            ]
        )
    header = ["Worse pictures", "Surely better than always “non-depressed” up to", "Right at the worst"]
    summary = _build_table(header, cells, kind="falls")
    return (
        "<p>The same faces again, each time a little worse: what people's own snapshots are like. Measured on "
        f"{num_images:,} of these pictures{', drawn by chance' if num_images == MAX_IMAGES else ''}; the bands are 95% "
        "intervals.</p>"
        + _place(
            charts, figures, last=f'<div>{summary}<p class="small">Strengths in the units of the charts.</p></div>'
        )
    )


def _show_training(told: Evaluation) -> str:
    card = told.card
    data, training = card.get("data") or {}, card.get("training") or {}
    split, seed = _clean(data.get("split")), data.get("seed")
    counts = data.get("num_images") if isinstance(data.get("num_images"), dict) else {}
    counts = [f"{counts[part]:,} {part}" for part in ("train", "val", "test") if isinstance(counts.get(part), int)]
    versions = card.get("versions") if isinstance(card.get("versions"), dict) else {}
    seconds, num_epochs = training.get("seconds"), training.get("num_epochs")
    facts = {
        "Recipe": _clean(card["recipe"]),
        "Learned from": _clean(data.get("name")),
        "Pictures": ", ".join(counts),
        "Epochs": f"{num_epochs:,}" if isinstance(num_epochs, int) else "",
        "Time": f"{seconds:,.0f} s" if isinstance(seconds, int | float) else "",
        "Teacher": _clean(training.get("teacher")),
        "Final fit of": _clean(training.get("final_fit_of")),
        "Seed": str(seed) if isinstance(seed, int) else "",
        "Split": SPLIT_KINDS.get(split, split),
        "Versions": ", ".join(f"{_clean(name)} {_clean(version)}" for name, version in versions.items()),
    }
    earlier = card.get("earlier_commands")
    commands = [*(earlier if isinstance(earlier, list) else []), card.get("command")]
    commands = [text for text in map(_clean, commands) if text]
    content = _build_facts({title: _escape(words) for title, words in facts.items() if words})
    if commands:
        title = "The command" if len(commands) == 1 else "The commands, in order; the last one made this model"
        content += f"<h3>{title}</h3>{_show_code(commands)}"
    return f"{content}<p>What it is for and what not is in its model card, the file beside this one.</p>"


def _show_commands(told: Evaluation) -> str:
    commands = [_build_command(told, "robustness")] if told.run.has_model else []
    commands.append(f"{_build_command(told, 'evaluate')} --report report.html")
    words = "In the project's folder, with the model in its models folder"
    if told.dataset.source not in (SAMPLE, KAGGLE):
        words += " and the pictures where you have them: their name alone stands here"
    content = told.dataset.content_hash
    return f"<p>{words}. The fingerprint of all of them is {_escape(content)}.</p>{_show_code(commands)}"


def _build_command(told: Evaluation, command: str) -> str:
    source = told.dataset.source if told.dataset.source in (SAMPLE, KAGGLE) else told.dataset.name  # never a path
    spec = replace(told.dataset.spec, source=source)
    return shlex.join(
        ["python", "-m", "facedep", command, "--model", told.run.name, *spec.to_argv(), *told.subset.to_argv()]
    )


# HTML ----------------------------------------------------------------------------------------------------------------


def _build_page(title: str, body: str, charts: Sequence[Figure]) -> str:
    scripts = [get_plotlyjs(), _SCRIPT]
    allowed = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    figures = f"[{','.join(_write_figure(figure) for figure in charts)}]"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_escape(title)}</title>
<style>{_STYLE.replace("FONT", _FONT)}</style>
</head>
<body>
<main>
<noscript><p class="warning">The charts need JavaScript. Words and tables do not.</p></noscript>
{body}
</main>
<script>{scripts[0]}</script>
<script type="application/json" id="charts">{figures}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


def _write_figure(figure: Figure) -> str:
    """Returns a figure as JSON in which no letter means anything to HTML, so that no name can end the script block."""
    figure.update_layout(template="plotly_white", font={"family": _FONT, "color": evaluation_plots.INK})
    text = figure.to_json()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _place(charts: list[Figure], figures: Sequence[Figure], *, kind: str = "two", last: str = "") -> str:
    """Returns places for figures, which the script fills in order, and adds the figures to those to be drawn.

    Args:
        charts: All that are to be drawn.
        figures: Those to be added.
        kind: "two" side by side where there is room; "one" across; "tall", the first beside the others; "apart", side
            by side on screens only.
        last: HTML that takes the place after the last one.
    """
    charts.extend(figures)
    places = [
        f'<figure><div class="plot" role="img" aria-label="{_escape(_describe_figure(figure))}" '
        f'style="min-height: {figure.layout.height:.0f}px"></div></figure>'
        for figure in figures
    ]
    return f'<div class="charts {kind}">{"".join(places)}{last}</div>'


def _describe_figure(figure: Figure) -> str:
    return html.unescape(_TAG.sub("", figure.layout.title.text.replace("<br>", ". ")))


def _build_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str) -> str:
    """Returns a table; the cells of the rows are HTML."""
    head = "".join(f'<th scope="col">{_escape(title)}</th>' for title in header)
    lines = [
        "<tr>"
        + "".join(
            f'<td data-title="{_escape(title)}">{cell}</td>' if place else f"<td>{cell}</td>"
            for place, (title, cell) in enumerate(zip(header, row, strict=True))
        )
        + "</tr>"
        for row in rows
    ]
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _build_facts(facts: dict[str, str]) -> str:
    """Returns names with what they are, which is HTML."""
    items = [f"<div><dt>{_escape(title)}</dt><dd>{words}</dd></div>" for title, words in facts.items()]
    return f'<dl class="facts">{"".join(items)}</dl>'


def _show_code(lines: Sequence[str]) -> str:
    """Returns commands, broken between words only, not at the hyphens of their options."""
    words = [" ".join(f"<span>{_escape(word)}</span>" for word in line.split(" ")) for line in lines]
    return "".join(f"<pre><code>{line}</code></pre>" for line in words)


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _render(text: str) -> str:
    """Returns a sentence of `evaluation_words`, in Markdown, as HTML."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", _escape(text))
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)


def _clean(value: Any) -> str:
    """Returns a text out of a card as one line, not endless; "" for anything else."""
    return " ".join(value.split())[:_MAX_TEXT] if isinstance(value, str) else ""


def _describe_today() -> str:
    today = datetime.now().astimezone()
    return f"{today.day} {today:%B %Y}"


def _write_share(share: float) -> str:
    return _MISSING if math.isnan(share) else f"{share:.1%}"


def _write_number(number: float) -> str:
    return _MISSING if math.isnan(number) else f"{number:.3f}"


def _write_interval(interval: Sequence[float], kind: str) -> str:
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return _MISSING
    return f"{100 * low:.1f} to {100 * high:.1f}%" if kind == "share" else f"{low:.3f} to {high:.3f}"
