"""Train: the visitor chooses data and a recipe, starts a real training, and watches it learn (or learn by heart)."""

import streamlit as st

from facedep.app import run_panels, scanning, ui
from facedep.data import sources, splits
from facedep.data.scan import Scan, find_cache_path
from facedep.errors import DataError
from facedep.networks.recipes import RECIPES, Recipe
from facedep.runs import run_folder
from facedep.training import estimate

MAX_SEED = 2**32 - 1


@st.cache_data(ttl="1m", show_spinner=False)
def measure_speed() -> float:
    """Returns this machine's speed; measured each minute, for TensorFlow may be loading beside the first time."""
    return estimate.measure_speed()


def choose_settings(dataset: sources.Dataset) -> run_folder.RunConfig:
    """Shows the settings with sane defaults; the rare ones under "More settings"."""
    ui.show_cleaning()
    left, right = st.columns([3, 2], gap="large")
    with left:
        name = st.radio(
            "Network",
            list(RECIPES),
            format_func=lambda name: RECIPES[name].title,
            captions=[recipe.summary for recipe in RECIPES.values()],
            key="recipe",
            persist_state="session",
        )
    recipe = RECIPES[name]
    with right:
        epochs = st.slider(
            "Epochs",
            1,
            60,
            recipe.num_epochs,
            key=f"epochs_{name}",
            persist_state="session",
            help="How often the network sees every training picture.",
        )
        st.caption(describe_time(recipe, epochs, dataset))
    with st.expander("More settings"):
        first, second = st.columns(2, gap="large")
        with first:
            split = st.selectbox(
                "Split",
                list(splits.PROTOCOLS),
                format_func=lambda kind: splits.PROTOCOLS[kind].partition(":")[0],
                key="protocol",
                persist_state="session",
                help="Which pictures it learns from, and which judge it.",
            )
            st.caption(splits.PROTOCOLS[split].partition(": ")[2].capitalize() + ".")
            st.text_input("Name of the run", placeholder="recipe and time", key="run_name", persist_state="session")
        with second:
            batch_size = st.select_slider(
                "Batch size",
                (8, 16, 32, 64, 128, 256),
                recipe.batch_size,
                key=f"batch_{name}",
                persist_state="session",
                help="Pictures per step.",
            )
            rate = st.number_input(
                "Learning rate",
                0.00001,
                1.0,
                recipe.learning_rate,
                step=0.0005,
                format="%.5f",
                key=f"rate_{name}",
                persist_state="session",
                help="How large a step is. Too large, and the loss jumps about.",
            )
            seed = st.number_input("Seed", 0, MAX_SEED, 0, key="seed", persist_state="session")
    return run_folder.RunConfig(
        recipe=name,
        data_name=dataset.name,
        num_epochs=epochs,
        batch_size=batch_size,
        learning_rate=rate,
        protocol=split,
        seed=int(seed),
        depressed_emotions=dataset.spec.depressed_emotions,
        folder_choices=dict(dataset.spec.folder_choices),
        num_progressive_resizing_epochs=recipe.count_progressive_resizing_epochs(epochs),
        ema_momentum=recipe.ema_momentum,
        drop_issues=ui.current_cleaning(),
        issue_limits=ui.changed_limits(),
    )


def describe_time(recipe: Recipe, epochs: int, dataset: sources.Dataset) -> str:
    """Returns the estimate of the time in a sentence."""
    num_images = len(dataset.samples)
    last_speed = estimate.find_last_speed(recipe)
    seconds = estimate.estimate_training_seconds(
        recipe,
        epochs,
        num_train=round(0.7 * num_images),
        num_val=round(0.15 * num_images),
        images_per_second=last_speed,
        operations_per_second=measure_speed(),
    )
    source = "by the speed of the last run" if last_speed else "by its measured speed"
    return f"**{estimate.describe_seconds(seconds).capitalize()}** on this computer, {source}."


def tell_what_is_known(scan: Scan) -> None:
    """Says how many of the pictures the model that `quick` starts from was trained on."""
    num_seen, num_images = ui.count_in_shipped_training_set(scan), len(scan.fingerprints)
    if num_seen:
        st.warning(
            f"The model that this starts from was trained on {num_seen:,} of these {num_images:,} pictures, so part of "
            "every score will be memory.",
            icon=":material/history:",
        )
    else:
        st.caption(
            f"The model that this starts from was trained on none of these {num_images:,} pictures: its scores will be "
            "of new faces."
        )


@st.cache_data(max_entries=8, show_spinner=False)
def count_leaks(
    path: str, choices: dict[str, str], depressed: tuple[str, ...], kind: str, _dataset: sources.Dataset, _scan: Scan
) -> dict[str, splits.Leak]:
    """Returns the leaks of a split; the scan's path, the folder choices and the grouping name pictures and labels."""
    return splits.count_leaks(splits.split_dataset(_dataset.samples, _scan, kind), _scan)


def warn_of_split(dataset: sources.Dataset, scan: Scan, kind: str) -> bool:
    """Says what a split means where it is not free of leaks; returns whether the pictures suffice for it."""
    path, choices = str(find_cache_path(dataset)), ui.folder_choices()
    try:
        leaks = count_leaks(path, choices, dataset.depressed_emotions, kind, dataset, scan)
    except DataError as error:
        st.error(str(error), icon=":material/error:")
        return False
    for part, leak in leaks.items():
        if leak.num_similar and kind != splits.LEAK_FREE:
            st.warning(
                f"{leak.num_identical:,} of the {leak.num_images:,} {part} pictures of this split are also in train "
                f"({leak.num_similar:,} with near-copies). Every score from it will carry this warning.",
                icon=":material/content_copy:",
            )
    return True


def tell_of_pictures(dataset: sources.Dataset, config: run_folder.RunConfig) -> bool:
    """Says what the pictures mean for this training, once they are scanned; returns whether it can be started.

    Where something depends on the scan it is made in the background; a training makes its own, so it need not wait.
    """
    is_quick = RECIPES[config.recipe].pretrained
    needs_scan = is_quick or config.protocol != splits.LEAK_FREE
    scan = scanning.follow_scan(dataset) if needs_scan else scanning.find_scan(dataset)
    if scan is None:
        return True
    if is_quick:
        tell_what_is_known(scan)
    return warn_of_split(dataset, scan, config.protocol)


ui.start_page("Train a network")
active = run_folder.find_active_run()
if active:
    st.session_state.watched_run = active.name
    run_panels.show_live(active)
    st.caption("It goes on when this page is closed, and when the app is stopped. One training at a time.")
else:
    watched = st.session_state.pop("watched_run", None)
    if watched and (run_folder.models_dir() / watched).is_dir():
        st.session_state[run_panels.PENDING_RUN] = watched
        st.toast("The training has ended. Its results are in the list below.")
    with st.expander(f"Data: {ui.describe_source()}", icon=":material/dataset:"):
        ui.show_source_chooser()
    dataset = ui.load_current_dataset()
    ui.show_unknown_folders(dataset)
    with ui.show_errors():
        sources.check_trainable(dataset)
    config = choose_settings(dataset)
    can_start = tell_of_pictures(dataset, config)
    if st.button("Start training", type="primary", key="start", icon=":material/play_arrow:", disabled=not can_start):
        with ui.show_errors(ends_page=False):
            run_dir = run_folder.create_run(config, st.session_state.run_name.strip() or None)
            run_folder.start_worker(run_dir, dataset.source)
            st.rerun()
st.divider()
st.header("Models")
run_panels.show_models()
