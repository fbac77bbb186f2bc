"""Score a run on a part of a data set, from its answers. Scores are kept in the run's folder, and read again from there
for as long as nothing that they depend on has changed.

No network runs here: where answers are missing, `answering.py` is asked for them.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facedep import emotions
from facedep.answers import find_answers_key, find_seen, has_answers, read_answers
from facedep.cards import FINGERPRINTS_FILE, read_card
from facedep.data import Dataset
from facedep.errors import DataError, ModelError
from facedep.face_check import check_faces
from facedep.logs import describe_error
from facedep.lookalikes import build_appearance, score_lookup_table
from facedep.metrics import compute_accuracy, compute_intervals, compute_share_interval, score_predictions
from facedep.paths import additions_dir, make_additions_dir
from facedep.predictions import Predictions
from facedep.quality import FAULT_NAMES, Thresholds, choose_clean, find_faults, measure_quality
from facedep.runs import replace_nan, write_json
from facedep.scan import Scan, scan_dataset
from facedep.splits import LEAK_FREE, PARTS, PUBLISHED, SUPPLIED, split_dataset
from facedep.thresholds import find_band, read_threshold

_logger = logging.getLogger(__name__)

ALL = "all"
SCORES_DIR = "scores"
_VERSION = 1  # to be raised when what is scored or how changes
_MAX_KEPT = 50  # files of 4 kB in each run's folder
_NAN = float("nan")
_FLATTERING_SPLITS = {
    (PUBLISHED, "val"): "As published: the validation part of the published split",
    (SUPPLIED, "test"): "The test part that the data set brings along",
    (LEAK_FREE, "test"): "A test part without any copy of a train picture",
}


@dataclass(frozen=True)
class SplitScore:
    """One score of a run, and what there is to be known before it is believed.

    Attributes:
        what: In words, how the pictures were chosen.
        data_name: The data set's name.
        split: One of `splits.SPLIT_KINDS`.
        part: "val", "test" or "all".
        num_images: Pictures in the part.
        accuracy: Share of right answers, 0..1, high is good; NaN where not all of them are answered yet.
        interval: Low and high end of its 95 % interval.
        always_non_depressed: What always answering *non-depressed* gets, 0..1.
        lookup_accuracy: What a table gets that only remembers the train pictures, 0..1; see `lookalikes.py`.
        num_in_train: Pictures that are, pixel for pixel, also among those which that table remembers.
        num_seen: Pictures that this very run was trained on.
        leaves_out_seen: Whether such pictures were left out.
    """

    what: str
    data_name: str
    split: str
    part: str
    num_images: int
    accuracy: float
    interval: tuple[float, float]
    always_non_depressed: float
    lookup_accuracy: float
    num_in_train: int
    num_seen: int
    leaves_out_seen: bool


def evaluate_run(
    run_dir: Path,
    dataset: Dataset,
    *,
    split: str = LEAK_FREE,
    part: str = "test",
    threshold: float | None = None,
    leaves_out_seen: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Returns a run's scores on one part of a data set, each picture taken as one face. Undefined scores are NaN.

    Scores kept from another time are read; otherwise they are computed and kept. Where the run's folder cannot be
    written, they are computed each time.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        split: One of `splits.SPLIT_KINDS`; the leak-free one with the seed of the run.
        part: "train", "val", "test", or "all": every picture, pixel-identical ones once.
        threshold: P(depressed) at and above which the answer is *depressed*; by default the one in force.
        leaves_out_seen: Whether the pictures that the run was trained on are left out.
        on_progress: Called now and then with what it is at and the number of pictures done and of all.

    Returns:
        All of `score_answers`, and what was scored: `model`, `data`, `content_hash`, `split`, `part`, `threshold`,
        `num_seen_in_training`, `num_left_out_seen`, `num_unreadable`, `num_also_in_train`.

    Raises:
        DataError: The data set has no such split or part, or nothing of it is left.
        ModelError: The folder holds no usable model; or only answers, and to other pictures.
    """
    card = read_card(run_dir)
    threshold = read_threshold(run_dir, card) if threshold is None else threshold
    _check_part(split, part)
    choice = {"split": split, "part": part, "threshold": threshold, "leaves_out_seen": leaves_out_seen}
    if (scores := read_scores(run_dir, dataset, **choice)) is not None:
        return scores
    report = on_progress or (lambda *_: None)
    scan = scan_dataset(dataset, on_progress=partial(report, "Looking at every picture"))
    looking = partial(report, "Looking for faces")
    parts = None if part == ALL else split_as_trained(dataset, scan, card, split, on_progress=looking)
    rows = _choose_rows(dataset, scan, parts, split, part)
    is_seen = find_seen(run_dir, scan.fingerprints)
    num_left_out = int((rows & is_seen).sum()) if leaves_out_seen else 0
    if leaves_out_seen:
        rows &= ~is_seen
        if not rows.any():
            raise DataError(
                f"{run_dir.name} was trained on all of these pictures of {dataset.name}, so none is left to score it "
                "on. Choose another part, or other data."
            )
    answers = read_answers(run_dir, dataset)
    if not has_answers(answers, scan, rows):
        report("Waking the model", 0, 0)
        from facedep.answering import compute_answers  # brings Keras, 7 s

        answers = compute_answers(run_dir, dataset, rows=rows, on_progress=partial(report, "Asking the model"))
    report("Counting", 0, 0)
    is_in_train = np.zeros(len(rows), bool)
    if part in ("val", "test"):
        is_in_train = np.isin(scan.fingerprints, scan.fingerprints[parts == "train"])
    scores = {
        "model": run_dir.name,
        "data": dataset.name,
        "content_hash": dataset.content_hash,
        "split": split,
        "part": part,
        "threshold": threshold,
        **score_answers(
            dataset.index[rows], answers.select(rows), threshold=threshold, band=find_band(card, threshold)
        ),
        "num_seen_in_training": int((rows & is_seen).sum()),
        "num_left_out_seen": num_left_out,
        "num_also_in_train": int((rows & is_in_train).sum()),
        "num_unreadable": int((~scan.is_readable).sum()),
    }
    _keep_scores(run_dir, _find_scores_path(run_dir, dataset, card, choice), scores)
    return scores


def read_scores(
    run_dir: Path,
    dataset: Dataset,
    *,
    split: str = LEAK_FREE,
    part: str = "test",
    threshold: float | None = None,
    leaves_out_seen: bool = False,
) -> dict[str, Any] | None:
    """Returns the scores that `evaluate_run` has kept, or None where there are none to these very settings.

    Args:
        run_dir: The run folder.
        dataset: The data set.
        split: As for `evaluate_run`, like all others.
        part: Likewise.
        threshold: Likewise.
        leaves_out_seen: Likewise.

    Raises:
        ModelError: The folder holds neither a model of this project nor answers.
    """
    card = read_card(run_dir)
    threshold = read_threshold(run_dir, card) if threshold is None else threshold
    choice = {"split": split, "part": part, "threshold": threshold, "leaves_out_seen": leaves_out_seen}
    try:
        scores = json.loads(_find_scores_path(run_dir, dataset, card, choice).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(scores, dict) or "num_images" not in scores:
        return None
    return {**_restore_nan(scores), "model": run_dir.name, "data": dataset.name}  # a run may have been renamed


def split_as_trained(
    dataset: Dataset,
    scan: Scan,
    card: dict[str, Any],
    split: str,
    *,
    seed: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns each picture's part: `str` array of shape `(n,)`, "train", "val", "test", or "" for left out.

    Where the run was trained on this data set with this kind of split, it is the run's own one: with its seed, and
    without the pictures that were cleaned away before.

    Args:
        dataset: The data set.
        scan: Its scan.
        card: The content of the run's `card.json`, checked by `cards.read_card`.
        split: One of `splits.SPLIT_KINDS`.
        seed: Of the split; by default the run's.
        on_progress: As for `clean_scan`.

    Raises:
        DataError: The data set has no such split.
        ModelError: The card names rules for cleaning that this version does not have.
    """
    trained_on = card.get("data", {})
    left_out = trained_on.get("left_out") or {}
    if left_out and trained_on.get("split") == split and trained_on.get("content_hash") == dataset.content_hash:
        names, thresholds = set(left_out) - {"all"}, trained_on.get("thresholds") or {}
        known = {field.name for field in dataclasses.fields(Thresholds)}
        if not names <= set(FAULT_NAMES) or not set(thresholds) <= known:
            raise ModelError(
                "Pictures were cleaned away before this model was trained, by rules that this version of the app does "
                "not have. Choose another split, or another model."
            )
        scan, _ = clean_scan(dataset, scan, names, thresholds, on_progress=on_progress)
    return split_dataset(dataset.index, scan, split, seed=trained_on.get("seed", 0) if seed is None else seed)


def choose_rows(
    dataset: Dataset, scan: Scan, card: dict[str, Any], *, split: str, part: str, seed: int | None = None
) -> np.ndarray:
    """Returns which pictures a part holds: `bool` array of shape `(n,)`.

    Args:
        dataset: The data set.
        scan: Its scan.
        card: The content of the run's `card.json`, checked by `cards.read_card`.
        split: One of `splits.SPLIT_KINDS`, cut as `split_as_trained` does.
        part: "train", "val", "test", or "all": every picture, pixel-identical ones once.
        seed: Of the split; by default the run's.

    Raises:
        DataError: The data set has no such split or part.
        ModelError: As for `split_as_trained`.
    """
    _check_part(split, part)
    parts = None if part == ALL else split_as_trained(dataset, scan, card, split, seed=seed)
    return _choose_rows(dataset, scan, parts, split, part)


def clean_scan(
    dataset: Dataset,
    scan: Scan,
    names: Collection[str],
    thresholds: Mapping[str, float],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Scan, dict[str, int]]:
    """Returns a scan to split by, in which the pictures to be left out count as damaged, and their number by fault.

    Args:
        dataset: The data set.
        scan: Its scan.
        names: Names of the faults to clean away, of `quality.FAULT_NAMES`.
        thresholds: Those of `quality.Thresholds` that are not the default ones.
        on_progress: Called now and then where faces have to be looked for, with the pictures done and all.
    """
    if not names:
        return scan, {}
    table = measure_quality(dataset.index, scan)
    has_face = check_faces(dataset, scan, on_progress=on_progress) if "no_face" in names else None
    faults = find_faults(dataset.index, scan, table, Thresholds(**thresholds), has_face=has_face)
    stays = choose_clean(dataset.index, faults, names)
    by_fault = {fault.name: int((fault.rows & ~stays).sum()) for fault in faults if fault.name in names}
    cleaned = dataclasses.replace(scan, errors=np.where(stays, scan.errors, "left out"))
    return cleaned, {"all": int((~stays).sum()), **by_fault}


def list_flattering_scores(run_dir: Path, dataset: Dataset, *, others: Sequence[Dataset] = ()) -> list[SplitScore]:
    """Returns a run's scores from the most flattering way of choosing the pictures to the most honest one.

    The published split's val, the supplied test, the leak-free test, and other data sets as a whole; those that a data
    set does not have are left out. A leak-free test is honest only for a run that was trained on that split's train
    part, so where it has seen some of the pictures, the score on the others follows. Last come the scores on other data
    sets that the run's card holds. It takes kept answers and runs no network: `evaluate_run` with the part "all" gives
    what is missing.

    Args:
        run_dir: The run folder.
        dataset: The data set that is split. A table that remembers its train pictures is scored beside the run.
        others: Other data sets; there the table remembers all of `dataset`.

    Raises:
        ModelError: The folder holds neither a model of this project nor answers.
    """
    card, scan = read_card(run_dir), scan_dataset(dataset)
    appearance, is_depressed = build_appearance(scan.thumbnails), _find_depressed(dataset.index)
    found = []
    for (split, part), what in _FLATTERING_SPLITS.items():
        try:
            parts = split_as_trained(dataset, scan, card, split)
            _choose_rows(dataset, scan, parts, split, part)
        except DataError:
            continue
        table = _Table(appearance, is_depressed, scan.fingerprints, parts == "train")
        found.append(_score_split(run_dir, dataset, scan, parts == part, table, what=what, split=split, part=part))
        if split == LEAK_FREE:
            found += _score_unseen(run_dir, dataset, scan, parts == part, table, split=split, part=part)
    table = _Table(appearance, is_depressed, scan.fingerprints, scan.is_readable)
    for other in others:
        other_scan = scan_dataset(other)
        rows = choose_rows(other, other_scan, card, split=LEAK_FREE, part=ALL)
        what = "Pictures of another data set"
        found.append(_score_split(run_dir, other, other_scan, rows, table, what=what, split=LEAK_FREE, part=ALL))
        found += _score_unseen(run_dir, other, other_scan, rows, table, split=LEAK_FREE, part=ALL)
    known = {dataset.content_hash, *(other.content_hash for other in others)}
    return found + _list_recorded(card, known)


def _list_recorded(card: dict[str, Any], known: set[str]) -> list[SplitScore]:
    """Returns the scores on other data sets that a run's card holds; what remembering gets there was not kept.

    Damaged ones are left out: a card may come from anywhere.
    """
    found = []
    evaluations = card.get("evaluations")
    for scores in evaluations if isinstance(evaluations, list) else []:
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            low, high = scores["intervals"]["accuracy"]
            recorded = SplitScore(
                what=f"Another data set, {scores['data']}, as its card says",
                data_name=str(scores["data"]),
                split=str(scores["split"]),
                part=str(scores["part"]),
                num_images=int(scores["num_images"]),
                accuracy=float(scores["accuracy"]),
                interval=(float(low), float(high)),
                always_non_depressed=float(scores["always_non_depressed_accuracy"]),
                lookup_accuracy=_NAN,
                num_in_train=0,
                num_seen=int(scores["num_seen_in_training"]),
                leaves_out_seen=False,
            )
            if scores["content_hash"] not in known:
                found.append(recorded)
    return found


def score_answers(
    index: pd.DataFrame, predictions: Predictions, *, threshold: float, band: tuple[float, float] | None
) -> dict[str, Any]:
    """Returns everything a model card says of one set of pictures. Undefined values are NaN, also within intervals.

    Args:
        index: The pictures' rows of the index table.
        predictions: The model's answers to them, in the same order.
        threshold: P(depressed) at and above which the answer is *depressed*.
        band: The P(depressed) from which and below which the model calls itself uncertain, around the threshold; None
            where it never does.

    Returns:
        All of `metrics.score_predictions`, and

        - `intervals`: score to `[low, high]`, 95 % bootstrap intervals of `metrics.compute_intervals`.
        - `emotion_accuracy`, `emotion_accuracy_interval`: the share whose most probable emotion is the true one, over
          the pictures whose emotion the model knows.
        - `per_emotion`: for each true emotion `num_images`, `group_accuracy` (the share put into the right group),
          `emotion_accuracy` (NaN where the model does not know it), each with its `..._interval`, and
          `mean_probability`, of P(depressed).
        - `answered`, with a band only: `num_images` outside it, their `share` of all pictures, `accuracy` and
          `accuracy_interval` among them, and what always answering *non-depressed* would get there.

    Raises:
        ValueError: The threshold is not within the band.
    """
    is_depressed = _find_depressed(index)
    probabilities = predictions.probabilities
    intervals = compute_intervals(is_depressed, probabilities, threshold)
    is_right = np.where(np.isnan(probabilities), np.nan, is_depressed == (probabilities >= threshold))
    true_emotions = index["emotion"].to_numpy(dtype=str)
    has_right_emotion = _find_right_emotions(true_emotions, predictions.emotions)
    scores = {
        **score_predictions(is_depressed, probabilities, threshold),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        **_score_share("emotion_accuracy", has_right_emotion[~np.isnan(has_right_emotion)]),
        "per_emotion": {},
    }
    for emotion in emotions.EMOTIONS:
        rows = true_emotions == emotion
        if rows.any():
            scores["per_emotion"][emotion] = {
                "num_images": int(rows.sum()),
                **_score_share("group_accuracy", is_right[rows]),
                **_score_share("emotion_accuracy", has_right_emotion[rows]),
                "mean_probability": float(probabilities[rows].mean()),
            }
    if band is not None:
        low, high = band
        if not low <= threshold <= high:
            raise ValueError(f"the threshold {threshold} is not within the band {low} to {high}")
        is_answered = ~((probabilities >= low) & (probabilities < high))
        scores["answered"] = {
            "num_images": int(is_answered.sum()),
            "share": _compute_mean(np.where(np.isnan(probabilities), np.nan, is_answered)),
            **_score_share("accuracy", is_right[is_answered]),
            "always_non_depressed_accuracy": _compute_mean(~is_depressed[is_answered]),
        }
    return scores


def _find_right_emotions(true_emotions: np.ndarray, answers: list[dict[str, float]] | None) -> np.ndarray:
    """Returns 1 where the most probable emotion is the true one, else 0; NaN where the model does not know that one."""
    if answers is None:
        return np.full(len(true_emotions), np.nan)
    return np.array(
        [
            max(answer, key=answer.get) == emotion if emotion in answer else np.nan
            for emotion, answer in zip(true_emotions, answers, strict=True)
        ],
        dtype=float,
    )


def _score_share(name: str, is_right: np.ndarray) -> dict[str, Any]:
    """Returns the share of right answers (0..1, high is good) and its interval; NaN without pictures or with a NaN."""
    if not len(is_right) or np.isnan(is_right).any():
        return {name: float("nan"), f"{name}_interval": [float("nan")] * 2}
    interval = compute_share_interval(int(is_right.sum()), len(is_right))
    return {name: float(is_right.mean()), f"{name}_interval": list(interval)}


def _compute_mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check_part(split: str, part: str) -> None:
    if split == PUBLISHED and part == "test":
        raise DataError("The published split has no test part. Ask for its val part, or for another split.")
    if part not in (*PARTS, ALL):
        raise ValueError(f"unknown part {part!r}")


def _choose_rows(dataset: Dataset, scan: Scan, parts: np.ndarray | None, split: str, part: str) -> np.ndarray:
    if part == ALL:
        rows = np.zeros(len(dataset.index), bool)
        readable = np.nonzero(scan.is_readable)[0]
        rows[readable[np.unique(scan.fingerprints[readable], return_index=True)[1]]] = True
    else:
        rows = parts == part
    if not rows.any():
        raise DataError(f"{dataset.name} has no {part} pictures in the {split} split. Choose another part or split.")
    return rows


def _find_depressed(index: pd.DataFrame) -> np.ndarray:
    return (index["label"] == emotions.DEPRESSED).to_numpy(dtype=bool)


@dataclass(frozen=True)
class _Table:
    """A data set as a lookup table knows it, and which of its pictures it remembers."""

    appearance: np.ndarray
    is_depressed: np.ndarray
    fingerprints: np.ndarray
    remembers: np.ndarray


def _score_unseen(
    run_dir: Path, dataset: Dataset, scan: Scan, rows: np.ndarray, table: _Table, *, split: str, part: str
) -> list[SplitScore]:
    """Returns the score on those of the pictures that the run was not trained on, where these are some and not all."""
    is_seen = find_seen(run_dir, scan.fingerprints)
    unseen = rows & ~is_seen
    if not unseen.any() or not (rows & is_seen).any():
        return []
    what = "The same, without the pictures that this run was trained on"
    score = _score_split(run_dir, dataset, scan, unseen, table, what=what, split=split, part=part)
    return [dataclasses.replace(score, leaves_out_seen=True)]


def _score_split(
    run_dir: Path, dataset: Dataset, scan: Scan, rows: np.ndarray, table: _Table, *, what: str, split: str, part: str
) -> SplitScore:
    is_depressed = _find_depressed(dataset.index)[rows]
    accuracy, interval = _NAN, (_NAN, _NAN)
    try:
        answers = read_answers(run_dir, dataset)
    except ModelError:  # a run with answers to other pictures only
        answers = None
    if has_answers(answers, scan, rows):
        threshold = read_threshold(run_dir, read_card(run_dir))
        accuracy = compute_accuracy(is_depressed, answers.probabilities[rows], threshold)
        interval = compute_share_interval(round(accuracy * len(is_depressed)), len(is_depressed))
    remembered = np.nonzero(table.remembers)[0]
    lookup = score_lookup_table(
        np.concatenate([table.appearance[remembered], build_appearance(scan.thumbnails[rows])]),
        np.concatenate([table.is_depressed[remembered], is_depressed]),
        np.repeat(["train", "test"], [len(remembered), len(is_depressed)]),
    )
    return SplitScore(
        what=what,
        data_name=dataset.name,
        split=split,
        part=part,
        num_images=len(is_depressed),
        accuracy=accuracy,
        interval=interval,
        always_non_depressed=float(np.mean(~is_depressed)),
        lookup_accuracy=lookup.accuracy if lookup else _NAN,
        num_in_train=int(np.isin(scan.fingerprints[rows], table.fingerprints[remembered]).sum()),
        num_seen=int((rows & find_seen(run_dir, scan.fingerprints)).sum()),
        leaves_out_seen=False,
    )


def _find_scores_path(run_dir: Path, dataset: Dataset, card: dict[str, Any], choice: dict[str, Any]) -> Path:
    """Returns where scores are kept: elsewhere when the answers, the labels, the settings or what was seen change."""
    trained_on = card.get("data", {})
    labels = hashlib.sha256("\n".join(dataset.index[["emotion", "label", "split"]].to_numpy().ravel()).encode())
    with contextlib.suppress(OSError):
        labels.update((run_dir / FINGERPRINTS_FILE).read_bytes())
    state = {
        "version": _VERSION,
        "answers": find_answers_key(run_dir, dataset),
        "labels": labels.hexdigest(),
        "band": find_band(card, choice["threshold"]),
        "trained_on": {name: trained_on.get(name) for name in ("content_hash", "split", "seed")},
        "cleaned": [sorted(trained_on.get("left_out") or {}), trained_on.get("thresholds") or {}],
        **choice,
    }
    key = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]
    return additions_dir(run_dir) / SCORES_DIR / f"{key}.json"


def _keep_scores(run_dir: Path, path: Path, scores: dict[str, Any]) -> None:
    """Keeps scores, and of all kept ones the newest; a folder that may only be read costs the time, not the scores."""
    try:
        make_additions_dir(run_dir)
        path.parent.mkdir(exist_ok=True)
        write_json(path, replace_nan(scores))
        kept = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for old in kept[:-_MAX_KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        _logger.warning("Scores could not be kept: %s", describe_error(error))


def _restore_nan(value: Any) -> Any:
    """Returns the same tables and lists with NaN for null."""
    if isinstance(value, dict):
        return {key: _restore_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore_nan(item) for item in value]
    return _NAN if value is None else value
