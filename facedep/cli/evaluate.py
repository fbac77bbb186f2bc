"""`facedep evaluate`: scores a model on a subset of a data set."""

import argparse
import sys
from pathlib import Path
from typing import Any

from facedep.cli.options import (
    add_job_options,
    add_model_options,
    add_subset_options,
    describe_scores,
    find_run,
    load_dataset,
    print_grouping_mismatch,
    print_json,
    select_subset,
)
from facedep.data.eval_subset import read_eval_subset
from facedep.data.sources import Dataset
from facedep.errors import RunError
from facedep.evaluation.evaluation import evaluate_run
from facedep.evaluation.score_cache import read_scores
from facedep.evaluation.scores import find_emotion_recall
from facedep.inference.prediction_cache import has_predictions, read_predictions, save_predictions_beside
from facedep.networks.card import read_card
from facedep.networks.card_scores import Scores
from facedep.reporting.model_card import record_evaluation, render_model_card
from facedep.runs.jobs import JobWriter
from facedep.runs.run_folder import check_card_writable


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("evaluate", help="score a model on a subset of a data set")
    add_model_options(parser)
    add_subset_options(parser)
    parser.add_argument("--record", action="store_true", help="add the scores to the model's card")
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="write the predictions for all pictures beside the card, to score the model without its network",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="also write a report that opens anywhere and, beside it, the model card as FILE.md",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_job_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Scores the model, or reads the scores kept before, prints them and returns the exit status."""
    _check_options(options)
    with JobWriter(options.progress) as job:
        dataset = load_dataset(options)
        run_dir = find_run(options)
        if options.record or options.save_predictions:
            check_card_writable(run_dir)
        if options.like:
            _predict_like(options, run_dir, dataset, job)
            return 0
        subset = read_eval_subset(options)
        # A threshold that somebody chose on this computer has no place in the card.
        threshold = read_card(run_dir).decision_threshold if options.record else None
        scores = read_scores(run_dir, dataset, subset, threshold=threshold)
        if scores is None:
            scores = evaluate_run(run_dir, dataset, subset, threshold=threshold, on_progress=job.report).scores
        if options.save_predictions:
            _complete_predictions(run_dir, dataset, job)
            print(f"facedep: {save_predictions_beside(run_dir, dataset)}", file=sys.stderr)
        if options.record:
            record_evaluation(run_dir, scores)
        if options.report:
            _write_report(options, run_dir, dataset, job)
    if options.json:
        print_json({**scores, "emotion_recall": find_emotion_recall(scores)})
    else:
        _print_scores(scores, run_dir.name)
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Raises `FacedepError` for what can be refused before the work."""
    if options.record and options.exclude_training_images:
        raise RunError("The card keeps scores of whole subsets. Give --record or --exclude-training-images, not both.")
    if options.report:
        from facedep.reporting.report import check_report_path  # brings Plotly

        check_report_path(options.report)


def _predict_like(options: argparse.Namespace, run_dir: Path, dataset: Dataset, job: JobWriter) -> None:
    """Runs a model on the very pictures that a page shows of another one, whether scores are kept or not."""
    from facedep.inference.dataset_predictions import compute_predictions

    scan, mask = select_subset(options, run_dir, dataset, job)
    if not has_predictions(read_predictions(run_dir, dataset), scan, mask):
        job.report("Loading the model")
        compute_predictions(run_dir, dataset, mask=mask, on_progress=job.count("Running the model"))


def _complete_predictions(run_dir: Path, dataset: Dataset, job: JobWriter) -> None:
    predictions = read_predictions(run_dir, dataset)
    if predictions is None or not predictions.is_complete:
        job.report("Loading the model")
        from facedep.inference.dataset_predictions import compute_predictions

        compute_predictions(run_dir, dataset, on_progress=job.count("Running the model"))


def _write_report(options: argparse.Namespace, run_dir: Path, dataset: Dataset, job: JobWriter) -> None:
    from facedep.reporting.report import build_report, write_report

    _complete_predictions(run_dir, dataset, job)  # it also shows the scores on other subsets
    job.report("Writing the report")
    report = build_report(evaluate_run(run_dir, dataset, read_eval_subset(options)))
    card_path = write_report(options.report, report, render_model_card(run_dir.name, read_card(run_dir).to_json()))
    for title, path in (("report", options.report), ("model card", card_path)):
        print(f"{title}: {path}", file=sys.stderr if options.json else sys.stdout)


def _print_scores(scores: dict[str, Any], name: str) -> None:
    described = describe_scores(Scores.from_json(scores))
    print(f"{scores['model']} on {scores['data']}, {scores['protocol']} protocol, {scores['subset']}: {described}")
    if recall := find_emotion_recall(scores):
        print(f"Emotions found: {', '.join(f'{name} {share:.0%}' for name, share in recall.items())}.")
    print_grouping_mismatch(scores["grouping_mismatch"], name)
    if scores.get("num_covered"):
        print(
            f"It answers for {scores['coverage']:.1%} of them, outside its abstention band, and is right for "
            f"{scores['selective_accuracy']:.1%} of these."
        )
    if scores["num_in_training_set"]:
        print(f"It was trained on {scores['num_in_training_set']:,} of these very pictures.")
    if scores["num_skipped"]:
        print(f"{scores['num_skipped']:,} pictures that it was trained on were skipped.")
    if scores["num_also_in_train"]:
        print(
            f"{scores['num_also_in_train']:,} of these pictures are also in the protocol's own train subset: "
            "the score of a model trained on that subset measures memory."
        )
