"""The plot of the benchmark's report: validation ROC AUC over seconds of training."""

import shutil
from pathlib import Path
from typing import Any

from bench.key_figures import find_target_auc

_BLUE, _ORANGE, _GREEN, _GRAY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#8A94A6",
)  # Okabe & Ito, as in every chart
_CURVES = (
    ("article_path", "the article's code path", _ORANGE),
    ("compact", "compact", _BLUE),
    ("quick", "quick (starts from the shipped model)", _GREEN),
)


def plot_quality(results: dict[str, Any]) -> Any:
    """Returns a Plotly figure: validation ROC AUC over seconds of training, with the article's best as a line.

    Args:
        results: The content of `benchmark.json`.
    """
    import plotly.graph_objects as go

    quality = results["sections"].get("quality", {}).get("results", {})
    figure = go.Figure()
    for side, name, color in _CURVES:
        rows = quality.get(side, {}).get("rows", [])
        figure.add_scatter(
            name=name,
            x=[row["seconds"] for row in rows],
            y=[row["val_roc_auc"] for row in rows],
            mode="lines+markers",
            line={"color": color, "width": 2.5},
            marker={"size": 6},
        )
    target = find_target_auc(quality)
    if target is not None and (seconds := [x for trace in figure.data for x in trace.x]):
        figure.add_scatter(
            name=f"the article network's best epoch: {target:.3f}",
            x=[min(seconds), max(seconds)],
            y=[target, target],
            mode="lines",
            line={"color": _GRAY, "dash": "dash"},
        )
    ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    figure.update_xaxes(title="seconds since the start (logarithmic)", type="log", tickvals=ticks)
    figure.update_yaxes(title="validation ROC AUC (0.5 is guessing)")
    figure.update_layout(
        title={"text": f"How soon a network is how good: {quality.get('data_name', 'no data yet')}", "x": 0.02},
        template="plotly_white",
        width=900,
        height=480,
        margin={"l": 70, "r": 20, "t": 50, "b": 90},
        legend={"orientation": "h", "y": -0.18},
    )
    return figure


def write_png(figure: Any, path: Path) -> bool:
    """Writes a figure as a PNG with the Chromium that the browser tests use; returns False where there is none."""
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser_path is None:
        return False
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        size = {"width": figure.layout.width, "height": figure.layout.height}
        page = browser.new_page(viewport=size, device_scale_factor=2)
        page.set_content(figure.to_html(config={"staticPlot": True}))
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
        page.locator(".js-plotly-plot").screenshot(path=path)
        browser.close()
    return True
