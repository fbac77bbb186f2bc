"""The report: how good a run is, as one HTML file that opens anywhere, with no network, and prints on A4.

It says in the same words and shows in the same charts what the Evaluate page does. No picture is in it: those of a data
set may show real people. Texts from outside (names of runs and data sets, what a card says) are escaped, and a
Content-Security-Policy lets nothing be loaded and no other script run than the report's own two.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from facedep import __version__
from facedep.errors import DataError, ModelError
from facedep.evaluation.evaluation import Evaluation
from facedep.files import check_writable, write_text
from facedep.reporting import report_facts, report_results
from facedep.reporting.plots.theme import FONT
from facedep.reporting.rendering import read_asset, render_html
from facedep.reporting.report_figures import write_charts


def build_report(evaluation: Evaluation) -> str:
    """Returns the report on a run as one HTML document that needs nothing else.

    It takes kept predictions and runs no network. Scores on other subsets, and on worse pictures, are shown if their
    predictions are kept, too.

    Args:
        evaluation: The run on a subset of a data set, from `evaluation.evaluate_run`.

    Returns:
        HTML, about 5 MB: most of it is the library that draws the charts.

    Raises:
        ModelError: Not all of the predictions are numbers.
    """
    if np.isnan(evaluation.predictions.probabilities).any():
        raise ModelError(
            f"{evaluation.run.name!r} answers with no number to some of these pictures. Choose another model."
        )
    today = _describe_today()
    scores, curves = report_results.gather_scores(evaluation), report_results.gather_curves(evaluation)
    failures, comparison = report_results.gather_failures(evaluation), report_results.gather_comparison(evaluation)
    robustness = report_results.gather_robustness(evaluation)
    # In the order in which the page has their charts, as the script fills them in one after the other.
    charts = [*scores.charts, *curves.charts, *failures.charts, *comparison.charts, *robustness.charts]
    script, plotly_script = read_asset("report.js"), get_plotlyjs()
    return render_html(
        "report.html.j2",
        head=report_facts.gather_head(evaluation, today=today),
        scores=scores,
        curves=curves,
        failures=failures,
        comparison=comparison,
        robustness=robustness,
        training=report_facts.gather_training(evaluation),
        remake=report_facts.gather_remake(evaluation),
        version=__version__,
        today=today,
        policy=_build_policy(plotly_script, script),
        font=Markup(FONT),
        style=Markup(read_asset("report.css")),
        script=Markup(script),
        plotly_script=Markup(plotly_script),
        charts_json=Markup(write_charts(charts)),
    )


def _build_policy(*scripts: str) -> str:
    """Returns a Content-Security-Policy by which these scripts run and nothing is loaded."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _describe_today() -> str:
    today = datetime.now().astimezone()
    return f"{today.day} {today:%B %Y}"


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
        with _explain_unwritable(target):
            check_writable(target)
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
    for target, text in ((card_path, card_text), (path, report)):
        with _explain_unwritable(target):
            write_text(target, text)
    return card_path


@contextmanager
def _explain_unwritable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} could not be written ({error.strerror or error}). Choose a folder that exists and that you may "
            "write to, with free space."
        ) from None
