"""An ended run: how it ended, its scores in words, its curves and settings."""

import math
from pathlib import Path

import pandas as pd
import streamlit as st

from facedep.app import page, visit
from facedep.app.train.curves import show_curves
from facedep.networks.card import Card
from facedep.networks.card_scores import Scores
from facedep.networks.recipes import RECIPES
from facedep.runs import lifecycle, progress, run_config, run_folder
from facedep.training.estimate import describe_seconds

_STATE_ICONS = {
    run_folder.FINISHED: ":material/check_circle:",
    run_folder.STOPPED: ":material/stop_circle:",
    run_folder.FAILED: ":material/error:",
    run_folder.LOST: ":material/help:",
}
_MIN_IMAGES = 100  # fewer than these judge nothing


def show_results(run: run_folder.Run) -> None:
    """Shows an ended run: how it ended, its scores in words, its curves and settings.

    Args:
        run: The run.
    """
    icon = _STATE_ICONS.get(run.state, "")
    st.markdown(f"#### {icon} {run.name} · {run.state}")
    if run.message:
        (st.error if run.state in (run_folder.FAILED, run_folder.LOST) else st.info)(run.message)
    if run.can_resume and run.config:
        _show_resume(run.name, run.path, run.config)
    training = run.card.training if run.card else None
    if run.state == run_folder.STOPPED and training and not training.num_epochs:
        seen = f", after {training.num_images_seen:,} pictures" if training.num_images_seen else ""
        st.info(f"Stopped within its first epoch{seen}: it had hardly begun to learn.")
    if run.card:
        show_scores(run.card)
    measured = progress.read_progress(run.path)
    if measured.steps or measured.epochs:
        show_curves(measured, key=f"run_{run.name}", is_active=False)
    if run.state == run_folder.FAILED and (log := run_folder.read_log_tail(run)):
        with st.expander("The log's last lines"):
            st.code(log, language=None)
    if run.config:
        with st.expander("Settings"):
            st.table(
                pd.DataFrame(_list_settings(run.config, run.card), columns=["setting", "value"]).set_index("setting")
            )


def _show_resume(name: str, run_dir: Path, config: run_config.RunConfig) -> None:
    """Offers to go on with a run that ended before its time, on the data chosen now."""
    measured = progress.read_progress(run_dir)
    st.write(
        f"{len(measured.epochs)} of {config.num_epochs} epochs are done and kept. It can go on from there, on the "
        f"data it began with ({config.data_name})."
    )
    if st.button("Go on training", key="resume", icon=":material/resume:"):
        with page.show_errors(ends_page=False):
            lifecycle.start_worker(lifecycle.reopen_run(name), visit.current_source())
            st.rerun()


def _list_settings(config: run_config.RunConfig, card: Card | None) -> list[tuple[str, str]]:
    training = card.training if card else None
    content = card.data.content_hash if card and card.data.content_hash else "not hashed"
    num_done, selected = (training.num_epochs, training.selected_epoch) if training else (0, "none")
    rows = [
        ("recipe", RECIPES[config.recipe].title),
        ("data", f"{config.data_name} (content {content})"),
        ("split", f"{config.protocol}, seed {config.seed}"),
        ("epochs", f"{num_done} of {config.num_epochs} done, kept: {selected}"),
        ("batch size", str(config.batch_size)),
        ("learning rate", f"{config.learning_rate:g}"),
        ("counted as depressed", ", ".join(config.depressed_emotions)),
    ]
    if config.teacher:
        rows.append(("labels mixed with the predictions of", config.teacher))
    if config.refit_of:
        rows.append(("refit, on train and val, of", config.refit_of))
    if training:
        rows.append(("took", describe_seconds(training.seconds)))
    return rows


def show_scores(card: Card) -> None:
    """Shows in words how right a run is on its test and val pictures, and what makes that number too good.

    Args:
        card: The run's card.
    """
    for subset in ("test", "val"):
        scores = card.scores.get(subset)
        if scores is None or not scores.majority_baseline.is_known or math.isnan(scores.accuracy):
            continue
        st.markdown(_describe_accuracy(card, subset, scores))
        if scores.num_images >= _MIN_IMAGES:
            _warn_of_memory(card, subset, scores)
            if subset == "test" and (sentence := _describe_coverage(card, scores)):
                st.markdown(sentence)


def _describe_accuracy(card: Card, subset: str, scores: Scores) -> str:
    """Returns how many of the pictures are put into the right group, beside the majority baseline."""
    right, baseline = scores.accuracy, scores.majority_baseline
    leak = card.data.leaks.get(subset)
    is_new = subset == "test" and not (leak and leak.num_similar)
    pictures = "pictures it has never seen" if is_new else f"pictures of its {subset} part"
    constant = f"always answering *{baseline.label}* would get"
    if scores.num_images < _MIN_IMAGES:
        return (
            f"Of the {scores.num_images} {pictures}, it puts {round(scores.num_images * right)} into the right group; "
            f"{constant} {baseline.share * scores.num_images:.0f}. So few pictures judge nothing."
        )
    auc = "" if math.isnan(scores.roc_auc) else f" ROC AUC {scores.roc_auc:.3f} (0.5 is guessing)."
    return (
        f"**Of 100 {pictures}, it puts {100 * right:.0f} into the right group**; {constant} "
        f"{100 * baseline.share:.0f}.{auc} ({scores.num_images:,} pictures, {subset} part)"
    )


def _warn_of_memory(card: Card, subset: str, scores: Scores) -> None:
    """Says which of the scored pictures the run, or the model that it started from, had learned from."""
    leak = card.data.leaks.get(subset)
    if leak and leak.num_similar:
        st.warning(
            f"{leak.num_identical:,} of these {leak.num_images:,} pictures are also in train, and "
            f"{leak.num_similar - leak.num_identical:,} more look nearly the same: this score measures memory.",
            icon=":material/content_copy:",
        )
    if num_known := card.data.num_in_training_set.get(subset):
        st.warning(
            f"The model that this run started from was trained on {num_known:,} of these {scores.num_images:,} "
            "pictures: part of this score is memory.",
            icon=":material/history:",
        )


def _describe_coverage(card: Card, scores: Scores) -> str:
    """Returns a sentence on the abstention band: where it is, the coverage and the selective accuracy."""
    band, accuracy = card.abstention_band, scores.selective_accuracy
    if not band or accuracy is None or math.isnan(accuracy) or scores.coverage is None:
        return ""
    return (
        f"Between {band.low:.0%} and {band.high:.0%} it says *uncertain*. It answers for "
        f"{scores.coverage:.0%} of these pictures and is right for {accuracy:.0%} of those; the band was "
        f"chosen on other pictures for {1 - band.target_error:.0%}."
    )
