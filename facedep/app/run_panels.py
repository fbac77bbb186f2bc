"""What pages show of runs: the live panel of a training, a run's results, the list of models with its actions."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from facedep.app import ui
from facedep.data.splits import LEAK_FREE
from facedep.networks.card import Card
from facedep.networks.card_scores import Scores
from facedep.networks.recipes import RECIPES
from facedep.reporting.model_card import render_model_card
from facedep.reporting.plots import training as plots_training
from facedep.runs import progress, run_folder
from facedep.runs.bundles import pack_run, unpack_run
from facedep.training.estimate import describe_seconds

_STATE_ICONS = {
    run_folder.FINISHED: ":material/check_circle:",
    run_folder.STOPPED: ":material/stop_circle:",
    run_folder.FAILED: ":material/error:",
    run_folder.LOST: ":material/help:",
}
_VERDICT_ICONS = {
    progress.LEARNING: ":material/trending_up:",
    progress.MEMORISING: ":material/history_edu:",
    progress.NOT_LEARNING: ":material/trending_flat:",
    progress.TOO_EARLY: ":material/hourglass_top:",
    progress.UNJUDGED: ":material/done_all:",
}
_REFRESH_SECONDS = 1.0
_FEW_PICTURES = 100  # fewer than these judge nothing
PENDING_RUN = "pending_run"  # session key: the run that the list of models shows next


def show_live(run: run_folder.Run) -> None:
    """Shows a training while it goes on, once a second, from its files; the page reruns once when it ends."""

    @st.fragment(run_every=_REFRESH_SECONDS)
    def show() -> None:
        now = run_folder.read_run(run.path)
        if not now.is_active:
            st.rerun()
        measured = progress.read_progress(run.path)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(now.name, width="stretch")
            if now.state == run_folder.STOPPING:
                st.write("Stopping …")
            else:
                st.button(
                    "Stop and keep", on_click=run_folder.stop_run, args=(now,), key="stop", icon=":material/stop:"
                )
        st.progress(measured.share_done, _describe_progress(now, measured))
        show_curves(measured, key="live", is_active=True)

    show()


def _describe_progress(run: run_folder.Run, measured: progress.Progress) -> str:
    if run.state == run_folder.STARTING:
        return "Starting: loading TensorFlow …"
    if run.stage == "loading":
        return run.message or "Reading the pictures …"
    if run.stage == "scoring":
        return "Scoring on pictures it has not learned from …"
    words = [f"Epoch {min(len(measured.epochs) + 1, measured.num_epochs)} of {measured.num_epochs}"]
    if measured.images_per_second:
        words.append(f"{measured.images_per_second:,.0f} pictures a second")
    if measured.seconds_left is not None:
        words.append(f"{describe_seconds(measured.seconds_left)} left")
    return " · ".join(words)


def show_curves(measured: progress.Progress, *, key: str, is_active: bool) -> None:
    """Shows loss and accuracy so far, the best epoch, and the verdict with its reason."""
    left, right = st.columns(2)
    with left:
        ui.show_chart(plots_training.plot_curve(measured, "loss"), key=f"{key}_loss")
    with right:
        ui.show_chart(plots_training.plot_curve(measured, "accuracy"), key=f"{key}_accuracy")
    verdict, reason = progress.judge_learning(measured)
    if is_active or verdict != progress.TOO_EARLY:
        st.info(f"**{verdict.capitalize()}.** {reason}", icon=_VERDICT_ICONS[verdict])
    if best := measured.best_epoch:
        kept = (
            "its weights are kept"
            if measured.checkpoint_policy == "best"
            else "this recipe keeps the last epoch, as published"
        )
        so_far = " so far" if is_active else ""
        st.caption(f"Best epoch{so_far} by validation loss: {best['epoch']} ({kept}).")


def show_results(run: run_folder.Run) -> None:
    """Shows an ended run: how it ended, its scores in words, its curves and settings."""
    icon = _STATE_ICONS.get(run.state, "")
    st.markdown(f"#### {icon} {run.name} · {run.state}")
    if run.message:
        (st.error if run.state in (run_folder.FAILED, run_folder.LOST) else st.info)(run.message)
    if run.can_resume:
        _show_resume(run)
    training = run.card.training if run.card else None
    if run.state == run_folder.STOPPED and training and not training.num_epochs:
        seen = f", after {training.num_images_seen:,} pictures" if training.num_images_seen else ""
        st.info(f"Stopped within its first epoch{seen}: it had hardly begun to learn.")
    if run.card:
        _show_scores(run)
    measured = progress.read_progress(run.path)
    if measured.steps:
        show_curves(measured, key=f"run_{run.name}", is_active=False)
    if run.state == run_folder.FAILED and (log := run_folder.read_log_tail(run)):
        with st.expander("The log's last lines"):
            st.code(log, language=None)
    if run.config:
        with st.expander("Settings"):
            st.table(pd.DataFrame(_list_settings(run), columns=["setting", "value"]).set_index("setting"))


def _show_resume(run: run_folder.Run) -> None:
    """Offers to go on with a run that ended before its time, on the data chosen now."""
    measured = progress.read_progress(run.path)
    st.write(
        f"{len(measured.epochs)} of {run.config.num_epochs} epochs are done and kept. It can go on from there, on the "
        f"data it began with ({run.config.data_name})."
    )
    if st.button("Go on training", key="resume", icon=":material/resume:"):
        with ui.show_errors(ends_page=False):
            run_folder.start_worker(run_folder.reopen_run(run.name), ui.current_source())
            st.rerun()


def _list_settings(run: run_folder.Run) -> list[tuple[str, str]]:
    config, card = run.config, run.card
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
        rows.append(("labels mixed with the answers of", config.teacher))
    if config.refit_of:
        rows.append(("final fit, on train and val, of", config.refit_of))
    if training:
        rows.append(("took", describe_seconds(training.seconds)))
    return rows


def _show_scores(run: run_folder.Run) -> None:
    for part in ("test", "val"):
        scores = run.card.scores.get(part)
        baseline = scores.majority_baseline if scores else None
        if not baseline or math.isnan(scores.accuracy):
            continue
        right, constant = scores.accuracy, f"always answering *{baseline.label}* would get"
        leak = run.card.data.leaks.get(part)
        is_new = part == "test" and not (leak and leak.num_similar)
        what = "pictures it has never seen" if is_new else f"pictures of its {part} part"
        auc = "" if math.isnan(scores.roc_auc) else f" ROC AUC {scores.roc_auc:.3f} (0.5 is guessing)."
        if scores.num_images < _FEW_PICTURES:
            st.markdown(
                f"Of the {scores.num_images} {what}, it puts {round(scores.num_images * right)} into the right "
                f"group; {constant} {baseline.share * scores.num_images:.0f}. So few pictures judge nothing."
            )
            continue
        st.markdown(
            f"**Of 100 {what}, it puts {100 * right:.0f} into the right group**; {constant} "
            f"{100 * baseline.share:.0f}.{auc} ({scores.num_images:,} pictures, {part} part)"
        )
        if leak and leak.num_similar:
            st.warning(
                f"{leak.num_identical:,} of these {leak.num_images:,} pictures are also in train, and "
                f"{leak.num_similar - leak.num_identical:,} more look nearly the same: "
                "this score measures memory.",
                icon=":material/content_copy:",
            )
        if num_seen := run.card.data.num_in_training_set.get(part):
            st.warning(
                f"The model that this run started from was trained on {num_seen:,} of these {scores.num_images:,} "
                "pictures: part of this score is memory.",
                icon=":material/history:",
            )
        if part == "test" and (sentence := _describe_answered(run.card, scores)):
            st.markdown(sentence)


def _describe_answered(card: Card, scores: Scores) -> str:
    """Returns a sentence on the uncertain band: where it is, how often the model answers and how right it then is."""
    band, accuracy = card.abstention_band, scores.selective_accuracy
    if not band or accuracy is None or math.isnan(accuracy) or scores.coverage is None:
        return ""
    return (
        f"Between {band.low:.0%} and {band.high:.0%} it says *uncertain*. It answers for "
        f"{scores.coverage:.0%} of these pictures and is right for {accuracy:.0%} of those; the band was "
        f"chosen on other pictures for {1 - band.target_error:.0%}."
    )


def show_models() -> None:
    """Shows all runs as a table; the chosen one below it with everything that can be done with it."""
    ended = [run for run in run_folder.list_runs() if not run.is_active]
    if not ended:
        st.info("No run yet. Train a network above, or load a bundle.")
    else:
        st.dataframe(pd.DataFrame([_describe_row(run) for run in ended]), hide_index=True, key="runs_table")
        names = [run.name for run in ended]
        if st.session_state.get(PENDING_RUN) in names:
            st.session_state.shown_run = st.session_state.pop(PENDING_RUN)
        name = ui.choose_run("Look at", names, key="shown_run", default=names[0])
        run = ended[names.index(name)]
        with st.container(border=True):
            show_results(run)
            _show_actions(run)
    _show_loader()


def _describe_row(run: run_folder.Run) -> dict[str, Any]:
    card, config = run.card, run.config
    scores = card.scores if card else {}
    part = "test" if "test" in scores else "val"
    tested = scores.get(part)
    split = (card.data.protocol if card else "") or (config.protocol if config else "")
    return {
        "model": run.name,
        "state": run.state,
        "recipe": card.recipe if card else (config.recipe if config else ""),
        "data": config.data_name if config else (card.data.name if card else ""),
        "split": split if split == LEAK_FREE or part == "test" else f"{split} (no test: val)",
        "right, %": _to_percent(tested.accuracy if tested else math.nan),
        "always one answer, %": _to_percent(tested.majority_baseline.share if tested else math.nan),
        "AUC, %": _to_percent(tested.roc_auc if tested else math.nan),
    }


def _to_percent(share: float) -> float:
    return round(100 * share, 1)


def _show_actions(run: run_folder.Run) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if run.has_model and st.button("Predict with it", type="primary", key="use_run", icon=":material/face:"):
            st.session_state.model = run.name
            st.switch_page("pages/predict.py")
        if run.card is not None and st.button("Evaluate it", key="evaluate_run", icon=":material/fact_check:"):
            st.session_state.evaluated = run.name
            st.switch_page("pages/evaluate.py")
        if run.has_model:
            if st.button("Prepare download", key="pack_run", icon=":material/folder_zip:"):
                st.session_state.packed = (run.name, pack_run(run))
            packed_name, content = st.session_state.get("packed", (None, b""))
            if packed_name == run.name:
                st.download_button("Download bundle", content, f"{run.name}.zip", "application/zip", key="download_run")
        if run.card is not None:
            st.download_button(
                "Model card",
                render_model_card(run.name, run.card.to_json()),
                f"{run.name} card.md",
                "text/markdown",
                key="card",
            )
        if not run.is_shipped:
            with st.popover("Rename", icon=":material/edit:"), st.form("rename", border=False):
                new_name = st.text_input("New name", run.name, key=f"new_name_{run.name}")
                if st.form_submit_button("Rename"):
                    with ui.show_errors(ends_page=False):
                        if new_name.strip() != run.name:
                            run_folder.rename_run(run, new_name)
                            st.session_state[PENDING_RUN] = new_name.strip()
                        st.rerun()
            with st.popover("Delete", icon=":material/delete:"):
                st.write(f"Delete **{run.name}** with its model and curves? This cannot be undone.")
                if st.checkbox("Yes, I am sure", key=f"sure_{run.name}") and st.button("Delete it", key="delete_run"):
                    with ui.show_errors(ends_page=False):
                        run_folder.delete_run(run)
                        st.rerun()


def _show_loader() -> None:
    with st.expander("Load a model from a bundle", icon=":material/upload_file:"):
        file = st.file_uploader("A .zip downloaded from this app's list of models", type="zip", key="bundle")
        if file is not None and st.session_state.get("loaded_bundle") != file.file_id:
            with ui.show_errors(ends_page=False), st.spinner("Checking the model …"):
                name = unpack_run(file.getvalue())
                st.session_state.loaded_bundle = file.file_id
                st.session_state[PENDING_RUN] = name
                st.toast(f"Loaded as {name}")
                st.rerun()
