"""The Train page above its button: the settings of a training, how long it takes, what its pictures mean for it."""

import contextlib

import streamlit as st

from facedep.app import background_jobs, models, scanning, visit
from facedep.data import sources, splits
from facedep.data.scan import Scan, find_cache_path
from facedep.errors import DataError, FacedepError
from facedep.inference.prediction_cache import find_in_training_set
from facedep.inference.stage_features import find_stage_features_path
from facedep.networks.recipes import RECIPES, Recipe
from facedep.runs import jobs, run_config, run_folder
from facedep.training import estimate

MAX_SEED = 2**32 - 1
_MAX_PREPARED = 5_000  # pictures: half a minute at most, of one core
_TRAIN_SHARE, _VAL_SHARE = 0.70, 0.15  # of the pictures, in a split free of leaks


def choose_settings(dataset: sources.Dataset) -> run_config.RunConfig:
    """Shows the settings with sane defaults, the rare ones under "More settings"; returns what is chosen.

    Args:
        dataset: The pictures to train on.
    """
    _show_cleaning()
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
        st.caption(_describe_time(recipe, epochs, dataset))
    with st.expander("More settings"):
        first, second = st.columns(2, gap="large")
        with first:
            protocol = _choose_protocol()
            st.text_input("Name of the run", placeholder="recipe and time", key="run_name", persist_state="session")
        with second:
            batch_size, learning_rate, seed = _choose_numbers(recipe, name)
    return run_config.RunConfig(
        recipe=name,
        data_name=dataset.name,
        num_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        protocol=protocol,
        seed=seed,
        depressed_emotions=dataset.spec.depressed_emotions,
        folder_choices=dict(dataset.spec.folder_choices),
        num_progressive_resizing_epochs=recipe.count_progressive_resizing_epochs(epochs),
        ema_momentum=recipe.ema_momentum,
        drop_issues=visit.current_cleaning(),
        issue_limits=visit.changed_limits(),
    )


def check_pictures(dataset: sources.Dataset, config: run_config.RunConfig) -> bool:
    """Says what the pictures mean for a training, once they are scanned; returns whether it can be started.

    If something depends on the scan it is made in the background; a training makes its own, so it need not wait.

    Args:
        dataset: The pictures to train on.
        config: The training's settings.
    """
    is_pretrained = RECIPES[config.recipe].pretrained
    needs_scan = is_pretrained or config.protocol != splits.LEAK_FREE
    scan = scanning.follow_scan(dataset) if needs_scan else scanning.find_scan(dataset)
    if scan is None:
        return True
    if is_pretrained:
        _show_overlap(scan)
        _prepare_quietly(dataset)
    return _check_protocol(dataset, scan, config.protocol)


def _show_cleaning() -> None:
    """Says which pictures are dropped from the training, and lets the visitor take that back."""
    names = visit.current_cleaning()
    if names:
        left, right = st.columns([4, 1], vertical_alignment="center")
        text = ", ".join(name.replace("_", " ") for name in names)
        left.info(f"Pictures with these issues are left out: {text}.", icon=":material/mop:")
        right.button("Use all pictures", key="use_all", on_click=lambda: st.session_state.pop("cleaning", None))


def _choose_protocol() -> str:
    protocol = st.selectbox(
        "Split",
        list(splits.PROTOCOLS),
        format_func=lambda protocol: splits.PROTOCOLS[protocol].partition(":")[0],
        key="protocol",
        persist_state="session",
        help="Which pictures it learns from, and which judge it.",
    )
    st.caption(splits.PROTOCOLS[protocol].partition(": ")[2].capitalize() + ".")
    return protocol


def _choose_numbers(recipe: Recipe, name: str) -> tuple[int, float, int]:
    """Returns the batch size, the learning rate and the seed."""
    batch_size = st.select_slider(
        "Batch size",
        (8, 16, 32, 64, 128, 256),
        recipe.batch_size,
        key=f"batch_{name}",
        persist_state="session",
        help="Pictures per step.",
    )
    learning_rate = st.number_input(
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
    return batch_size, learning_rate, int(seed)


def _describe_time(recipe: Recipe, epochs: int, dataset: sources.Dataset) -> str:
    """Returns the estimate of the time in a sentence."""
    num_images = len(dataset.samples)
    last_speed = estimate.find_last_speed(recipe)
    seconds = estimate.estimate_training_seconds(
        recipe,
        epochs,
        num_train=round(_TRAIN_SHARE * num_images),
        num_val=round(_VAL_SHARE * num_images),
        images_per_second=last_speed,
        operations_per_second=_measure_speed(),
    )
    source = "by the speed of the last run" if last_speed else "by its measured speed"
    return f"**{estimate.describe_seconds(seconds).capitalize()}** on this computer, {source}."


@st.cache_data(ttl="1m", show_spinner=False)
def _measure_speed() -> float:
    """Returns this machine's speed; measured each minute, for TensorFlow may be loading beside the first time."""
    return estimate.measure_speed()


def _show_overlap(scan: Scan) -> None:
    """Says how many of the pictures the model that `quick` starts from was trained on; 0 if that model is gone."""
    in_training_set = find_in_training_set(run_folder.locate_run(run_folder.SHIPPED_RUN), scan.fingerprints)
    num_images = len(scan.fingerprints)
    if in_training_set.any():
        st.warning(
            f"The model that this starts from was trained on {in_training_set.sum():,} of these {num_images:,} "
            "pictures, so part of every score will be memory.",
            icon=":material/history:",
        )
    else:
        st.caption(
            f"The model that this starts from was trained on none of these {num_images:,} pictures: its scores will be "
            "of new faces."
        )


def _prepare_quietly(dataset: sources.Dataset) -> None:
    """Has the pictures looked at in the background while the visitor still chooses, so that the first point comes soon.

    A training that starts before that is done, or that finds nothing kept, looks at them itself.
    """
    if len(dataset.samples) > _MAX_PREPARED:
        return
    with contextlib.suppress(FacedepError):  # the model is gone, or no process can be started
        graph = models.load_classifier(run_folder.SHIPPED_RUN).graph
        name = background_jobs.name_job("prepare", dataset, graph.weights_hash)
        is_kept = find_stage_features_path(graph, dataset.content_hash).exists()
        if not is_kept and jobs.read_job(name).state == jobs.NONE:
            jobs.start_job(name, ["prepare", *dataset.spec.to_argv()])


def _check_protocol(dataset: sources.Dataset, scan: Scan, protocol: str) -> bool:
    """Says what a split means if it is not free of leaks; returns whether the pictures suffice for it."""
    path = str(find_cache_path(dataset))
    try:
        leaks = _count_leaks(path, visit.folder_choices(), dataset.depressed_emotions, protocol, dataset, scan)
    except DataError as error:
        st.error(str(error), icon=":material/error:")
        return False
    for subset, leak in leaks.items():
        if leak.num_similar and protocol != splits.LEAK_FREE:
            st.warning(
                f"{leak.num_identical:,} of the {leak.num_images:,} {subset} pictures of this split are also in train "
                f"({leak.num_similar:,} with near-copies). Every score from it will carry this warning.",
                icon=":material/content_copy:",
            )
    return True


@st.cache_data(max_entries=8, show_spinner=False)
def _count_leaks(
    path: str,
    folder_choices: dict[str, str],
    depressed_emotions: tuple[str, ...],
    protocol: str,
    _dataset: sources.Dataset,
    _scan: Scan,
) -> dict[str, splits.Leak]:
    """Returns the leaks of a split; the scan's path, the folder choices and the grouping name pictures and labels."""
    return splits.count_leaks(splits.split_dataset(_dataset.samples, _scan, protocol), _scan)
