"""The command line: `python -m facedep fetch | check | look | export | train | evaluate | robustness | predict`.

With `--json` nothing but the JSON goes to standard output. What went wrong goes to standard error as one sentence.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from facedep.audit import issues
from facedep.audit.face_check import check_faces, read_face_check
from facedep.data import kaggle, sources
from facedep.data.eval_subset import add_eval_subset_arguments, read_eval_subset
from facedep.data.export import export_dataset
from facedep.data.scan import Scan, scan_dataset
from facedep.data.splits import LEAK_FREE, SPLIT_KINDS
from facedep.dataset_spec import add_dataset_arguments, read_dataset_spec
from facedep.errors import DataError, FacedepError, RunError
from facedep.evaluation.evaluation import evaluate_run, read_scores
from facedep.evaluation.robustness import DISTORTIONS, read_robustness
from facedep.evaluation.subset_selection import select_pictures
from facedep.evaluation.training_spec import find_grouping_mismatch
from facedep.files import nan_to_null
from facedep.inference.embedding_map import compute_map, read_map
from facedep.inference.prediction_cache import has_answers, keep_answers_beside, read_answers
from facedep.logs import configure_logging
from facedep.networks.card import read_card
from facedep.networks.card_scores import Scores
from facedep.networks.recipes import ARTICLE, RECIPES, find_recipe
from facedep.reporting import sentences
from facedep.reporting.model_card import record_evaluation, render_model_card
from facedep.runs import run_folder
from facedep.runs.jobs import JobWriter
from facedep.runs.writer import RunWriter
from facedep.tables import check_csv_path, write_csv
from facedep.training.checkpoint import count_kept_epochs
from facedep.training.checks import check_run

if TYPE_CHECKING:
    from facedep.networks.classifier import Classifier


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0, or 1 where something could not be done."""
    options = _build_parser().parse_args(arguments)
    configure_logging()
    try:
        status = options.command(options)
        sys.stdout.flush()
    except FacedepError as error:
        print(f"facedep: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has gone, as in `... | head -1`; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m facedep", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    fetch = commands.add_parser("fetch", help="get the Kaggle data set, or find it on this computer; print its folder")
    fetch.set_defaults(command=_fetch)

    check = commands.add_parser("check", help="look at every picture once and say what is wrong with the data set")
    add_dataset_arguments(check)
    check.add_argument("--faces", action="store_true", help="also look for pictures without a face")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    check.add_argument("--csv", type=Path, metavar="FILE", help="also write a table: what each picture has and is")
    _add_job(check)
    check.set_defaults(command=_check)

    look = commands.add_parser("look", help="ask a model about every picture and lay the data set out as a map")
    _add_model(look)
    add_dataset_arguments(look)
    _add_job(look)
    look.set_defaults(command=_look)

    export = commands.add_parser("export", help="write the regrouped data set: folders depressed and non_depressed")
    add_dataset_arguments(export)
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder that does not exist yet")
    export.set_defaults(command=_export)

    train = commands.add_parser("train", help="train a network")
    train.register("action", None, _NotedOption)  # for every option that only stores a value
    add_dataset_arguments(train)
    train.add_argument("--recipe", default=ARTICLE.name, choices=RECIPES)
    train.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    train.add_argument("--batch-size", type=int, metavar="N", help="default: the recipe's")
    train.add_argument("--learning-rate", type=float, metavar="X", help="default: the recipe's")
    train.add_argument(
        "--early-epochs",
        type=int,
        metavar="N",
        help="how many of the epochs show smaller, plain pictures first; default: the recipe's",
    )
    train.add_argument(
        "--ema-momentum", type=float, metavar="X", help="of the running mean of the weights, 0 for none; default: same"
    )
    train.add_argument("--split", default=LEAK_FREE, choices=SPLIT_KINDS, help=f"default: {LEAK_FREE}")
    train.add_argument("--seed", type=int, default=0, metavar="N")
    train.add_argument(
        "--devices", type=int, default=1, metavar="N", help="GPUs of this machine that share each batch; default: 1"
    )
    train.add_argument(
        "--leave-out", default="", metavar="A,B", help=f"faults to clean away first: {', '.join(issues.FAULT_NAMES)}"
    )
    train.add_argument(
        "--threshold",
        action=_NotedListOption,
        default=[],
        metavar="NAME=X",
        help="where a measure becomes a fault; repeatable",
    )
    train.add_argument("--teacher", metavar="RUN", help="a run whose answers are mixed into the training labels")
    train.add_argument(
        "--final-fit",
        metavar="RUN",
        help="train on train and val together, with the settings, epochs, temperature and band of this finished run",
    )
    train.add_argument("--resume", metavar="RUN", help="go on with a run that broke off, from its last whole epoch")
    train.add_argument("--name", metavar="RUN", help="the run's name; default: the recipe and the time")
    train.add_argument("--run", type=Path, help=argparse.SUPPRESS)  # the app: train this run, its folder is made
    train.set_defaults(command=_train, given=frozenset())

    evaluate = commands.add_parser("evaluate", help="score a model on a part of a data set")
    _add_model(evaluate)
    _add_part(evaluate)
    evaluate.add_argument("--record", action="store_true", help="add the scores to the model's card")
    evaluate.add_argument(
        "--keep-answers",
        action="store_true",
        help="write the answers to all pictures beside the card: with them the model can be scored without its network",
    )
    evaluate.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="also write a report that opens anywhere and, beside it, the model card as FILE.md",
    )
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    _add_job(evaluate)
    evaluate.set_defaults(command=_evaluate)

    robustness = commands.add_parser("robustness", help="score a model on ever worse versions of a part's pictures")
    _add_model(robustness)
    _add_part(robustness)
    robustness.add_argument("--json", action="store_true", help="print a JSON list, one object a strength")
    _add_job(robustness)
    robustness.set_defaults(command=_robustness)

    predict = commands.add_parser("predict", help="answer for pictures")
    _add_model(predict)
    predict.add_argument("files", nargs="+", metavar="FILE", help="pictures, .zip files of pictures")
    predict.add_argument("--json", action="store_true", help="print a JSON list, one object a picture")
    predict.add_argument("--csv", type=Path, metavar="FILE", help="also write a table with one row a face")
    predict.add_argument(
        "--whole-picture", action="store_true", help="take each picture's middle square as one face, without a search"
    )
    predict.set_defaults(command=_predict)
    return parser


class _NotedOption(argparse.Action):
    """Stores a value, and adds the option's name to `given`: a default value may have been given as well."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = {*getattr(namespace, "given", ()), self.option_strings[0]}


class _NotedListOption(_NotedOption):
    """The same for an option that can be repeated."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        super().__call__(parser, namespace, [*getattr(namespace, self.dest), values], option)


def _add_job(parser: argparse.ArgumentParser) -> None:
    """Adds what only the app says when it starts the command in the background."""
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)


def _add_part(parser: argparse.ArgumentParser) -> None:
    """Adds what says on which pictures a model is judged."""
    add_dataset_arguments(parser)
    add_eval_subset_arguments(parser)
    # The app: the part as RUN cuts it, to compare with RUN; `evaluate` then only asks and scores nothing.
    parser.add_argument("--like", metavar="RUN", help=argparse.SUPPRESS)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="a run's name or folder; default: the app's default model")


def _fetch(options: argparse.Namespace) -> int:
    with tqdm(unit="B", unit_scale=True, desc="Kaggle", disable=None) as bar:

        def show(num_bytes: int, total_bytes: int | None) -> None:
            bar.total = total_bytes
            bar.update(num_bytes - bar.n)

        folder = kaggle.download_dataset(on_progress=show)
    print(folder)
    return 0


def _check(options: argparse.Namespace) -> int:
    if options.csv:
        check_csv_path(options.csv)  # before the scan
    with JobWriter(options.progress) as job:
        dataset = _load_dataset(options)
        with tqdm(unit="picture", desc="Scan", disable=None) as bar:

            def show(num_done: int, num_images: int) -> None:
                _show_progress(bar, num_done, num_images)
                is_last = num_done == num_images
                job.report("Comparing the pictures" if is_last else "Looking at every picture", num_done, num_images)

            scan = scan_dataset(dataset, on_progress=show)
        if options.faces:
            with tqdm(unit="picture", desc="Faces", disable=None) as bar:

                def show_faces(num_done: int, num_images: int) -> None:
                    _show_progress(bar, num_done, num_images)
                    job.report("Looking for faces", num_done, num_images)

                has_face = check_faces(dataset, scan, on_progress=show_faces)
        else:
            has_face = read_face_check(dataset)
    table = issues.measure_quality(dataset.index, scan)
    faults = issues.find_faults(dataset.index, scan, table, has_face=has_face)
    shared = issues.find_shared_pictures(dataset.index, table)
    num_unique = table.loc[scan.is_readable, "picture"].nunique()
    if options.csv:
        write_csv(options.csv, issues.build_flags_table(dataset.index, table, faults))
    if options.json:
        _print_json(
            {
                "data": dataset.name,
                "num_files": len(dataset.index),
                "num_unique": num_unique,
                "shared": [{**dataclasses.asdict(pair), "sentence": pair.sentence} for pair in shared],
                "faults": [fault.to_json() for fault in faults],
            }
        )
        return 0
    print(f"{dataset.name}: {len(dataset.index):,} files, {num_unique:,} different pictures")
    for pair in shared:
        print(pair.sentence)
    for fault in faults:
        sets = f" in {fault.num_sets:,} sets" if fault.num_sets else ""
        print(f"{fault.title}: {fault.num_images:,}{sets}")
        if fault.num_images:
            print(f"    {fault.advice} Cleaning this away takes out {fault.num_extra:,}.")
    return 0


def _show_progress(bar: tqdm, num_done: int, num_all: int) -> None:
    bar.total = num_all
    bar.update(num_done - bar.n)


def _look(options: argparse.Namespace) -> int:
    with JobWriter(options.progress) as job:
        dataset = _load_dataset(options)
        run_dir = run_folder.find_run_dir(options.model or run_folder.find_default_model())
        started = time.monotonic()
        scan_dataset(dataset, on_progress=functools.partial(job.report, "Looking at every picture"))
        _print_seconds(f"scan: {len(dataset.index):,} pictures", started)

        started = time.monotonic()
        answers = read_answers(run_dir, dataset)
        if answers is None or not answers.is_complete:
            job.report("Waking the model")
            from facedep.inference.dataset_predictions import compute_answers

            asking = functools.partial(job.report, "Asking the model")
            answers = compute_answers(run_dir, dataset, on_progress=asking)
        _print_seconds(f"answers: {answers.is_answered.sum():,} pictures, by {run_dir.name}", started)

        started = time.monotonic()
        points = read_map(run_dir, dataset)
        if points is None:
            placing = functools.partial(job.report, "Drawing the map")
            placing(0, 0)
            points = compute_map(run_dir, dataset, features=answers.features, on_progress=placing)
        _print_seconds(f"map: {np.isfinite(points).all(axis=1).sum():,} pictures", started)
    return 0


def _print_seconds(what: str, started: float) -> None:
    print(f"{what}, {time.monotonic() - started:.1f} s", flush=True)


def _export(options: argparse.Namespace) -> int:
    dataset = _load_dataset(options)
    counts = export_dataset(dataset, options.out)
    print(f"{options.out}: " + ", ".join(f"{count:,} {group}" for group, count in counts.items()))
    return 0


def _load_dataset(options: argparse.Namespace) -> sources.Dataset:
    dataset = sources.load_dataset(read_dataset_spec(options))
    for folder, num_images in sorted(dataset.unknown_folders.items()):
        print(f"facedep: folder {folder!r} names no known class: {num_images:,} pictures left out", file=sys.stderr)
    if dataset.index.empty:
        raise DataError(f"{dataset.name} has no folder with a known class. {sources.LAYOUT_TEXT}")
    return dataset


def _train(options: argparse.Namespace) -> int:
    if options.run:
        return _work(options.run, options.data, shows_progress=False)
    _refuse_without_effect(options)
    if options.resume:
        return _work_in_terminal(run_folder.reopen_run(options.resume), options.data)
    config = _plan_final_fit(options.final_fit) if options.final_fit else None
    if config:
        options.depressed, options.folder_choices = config.depressed_emotions, config.folder_choices
    dataset = _load_dataset(options)
    config = config or _plan_run(options, dataset.name)
    config.check()
    check_run(config, dataset)
    return _work_in_terminal(run_folder.create_run(config, options.name), options.data)


def _refuse_without_effect(options: argparse.Namespace) -> None:
    """Raises `RunError` for options beside `--resume` or `--final-fit` whose values come from that run's settings."""
    if options.resume:
        mode, name, has_effect = "--resume", options.resume, {"--data", "--resume"}
    elif options.final_fit:
        mode, name, has_effect = "--final-fit", options.final_fit, {"--data", "--final-fit", "--name"}
    else:
        return
    if others := sorted(options.given - has_effect):
        listed = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
        raise RunError(
            f"{mode} takes its settings from the run {name!r}, so {listed} would have no effect. "
            f"Leave {'them' if len(others) > 1 else 'it'} out."
        )


def _plan_final_fit(name: str) -> run_folder.RunConfig:
    config = run_folder.read_run(run_folder.find_run_dir(name)).config
    if config is None:
        raise RunError(f"The settings of {name!r} are missing or damaged. Choose another run.")
    return dataclasses.replace(config, refit_of=name)


def _plan_run(options: argparse.Namespace, data_name: str) -> run_folder.RunConfig:
    recipe, spec = find_recipe(options.recipe), read_dataset_spec(options)
    num_epochs = recipe.num_epochs if options.epochs is None else options.epochs
    num_early = recipe.count_early_epochs(num_epochs) if options.early_epochs is None else options.early_epochs
    return run_folder.RunConfig(
        recipe=recipe.name,
        data_name=data_name,
        num_epochs=num_epochs,
        batch_size=recipe.batch_size if options.batch_size is None else options.batch_size,
        learning_rate=recipe.learning_rate if options.learning_rate is None else options.learning_rate,
        protocol=options.split,
        seed=options.seed,
        depressed_emotions=spec.depressed_emotions,
        folder_choices=dict(spec.folder_choices),
        teacher=options.teacher or "",
        num_devices=options.devices,
        num_progressive_resizing_epochs=num_early,
        ema_momentum=recipe.ema_momentum if options.ema_momentum is None else options.ema_momentum,
        drop_issues=tuple(filter(None, options.leave_out.split(","))),
        issue_limits=dict(map(_parse_threshold, options.threshold)),
    )


def _parse_threshold(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise RunError(f"--threshold {text!r}: write a name and a number, like min_contrast=0.2.") from None


def _work_in_terminal(run_dir: Path, source: str) -> int:
    """Trains a run; the first Ctrl-C asks it to end, as the app's button does, and the second one ends it at once."""

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(OSError):
            # Not `print`: the signal may have come in the middle of one, which cannot be entered twice.
            os.write(2, b"\nStopping after this step; what was learned is kept. Press Ctrl-C again to end at once.\n")
        (run_dir / run_folder.STOP_FILE).touch()

    before = signal.signal(signal.SIGINT, stop)
    try:
        return _work(run_dir, source, shows_progress=True)
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def _work(run_dir: Path, source: str, *, shows_progress: bool) -> int:
    """Trains a run whose folder is made, and returns the exit status."""
    run = run_folder.read_run(run_dir)
    if run.config is None:
        raise RunError(f"{run_dir} holds no settings of a run. Start the training anew.")
    bar = tqdm(desc=run.name, unit="step", disable=not shows_progress)
    with (
        RunWriter(run_dir, on_metrics=functools.partial(_show_metrics, bar), on_message=bar.set_postfix_str) as writer,
        bar,
    ):
        status = _train_to_an_end(run.config, source, writer)
    run = run_folder.read_run(run_dir)
    if shows_progress and run.has_model and not run.message:  # a message says why there is nothing new to show
        for part, values in run.card.scores.items():
            print(f"{part}: {_describe_scores(values)}")
        print(run_dir)
    return status


def _train_to_an_end(config: run_folder.RunConfig, source: str, writer: RunWriter) -> int:
    """Trains, and returns the exit status. The outermost place: whatever goes wrong becomes the run's one sentence."""
    try:
        from facedep.training.prepare import StopRequestedError
        from facedep.training.train import train_run

        try:
            writer.write_status(train_run(config, source, writer))
            return 0
        except StopRequestedError:
            num_epochs = count_kept_epochs(writer.run_dir)
            how = f"before it went on. {_describe_kept(num_epochs)}" if num_epochs else "before anything was learned."
            _end(writer, run_folder.STOPPED, f"Stopped {how}")
            return 0
    except FacedepError as error:
        _end(writer, run_folder.FAILED, str(error))
    except MemoryError:
        traceback.print_exc()
        _end(writer, run_folder.FAILED, "The memory ran out. Close other programs or use fewer pictures.")
    except KeyboardInterrupt:
        _end(writer, run_folder.STOPPED, f"Ended at once. {_describe_kept(count_kept_epochs(writer.run_dir))}")
        raise
    except Exception as error:
        traceback.print_exc()
        message = f"The training broke off: {type(error).__name__}: {str(error)[:300]}. The log says more."
        _end(writer, run_folder.FAILED, message)
    return 1


def _end(writer: RunWriter, state: str, message: str) -> None:
    writer.write_status(state, message=message)
    print(f"facedep: {message}", file=sys.stderr)


def _describe_kept(num_epochs: int) -> str:
    if num_epochs == 1:
        return "Its first epoch is kept."
    return f"Its first {num_epochs} epochs are kept." if num_epochs else "Nothing was kept."


def _show_metrics(bar: tqdm, row: dict[str, Any]) -> None:
    if row["kind"] == "start":
        bar.reset(total=row["num_steps"] * row["num_epochs"])
        bar.num_steps = row["num_steps"]
    elif row["kind"] == "step":
        bar.update((row["epoch"] - 1) * bar.num_steps + row["step"] - bar.n)
    else:
        bar.update(row["epoch"] * bar.num_steps - bar.n)
        words = f"epoch {row['epoch']}: loss {_show_number(row['loss'])}, accuracy {_show_number(row['accuracy'])}"
        if "val_loss" in row:
            words += f", validation {_show_number(row['val_loss'])}, {_show_number(row['val_accuracy'])}"
        bar.set_postfix_str(words)


def _load_classifier(name: str | None) -> "Classifier":
    from facedep.networks.classifier import load_classifier

    return load_classifier(run_folder.find_run_dir(name or run_folder.find_default_model()))


def _evaluate(options: argparse.Namespace) -> int:
    if options.record and options.leave_out_seen:
        raise RunError("The card keeps scores of whole parts. Give --record or --leave-out-seen, not both.")
    if options.report:
        from facedep.reporting.report import check_report_path  # brings Plotly

        check_report_path(options.report)  # what cannot be written is told before the work
    with JobWriter(options.progress) as job:
        dataset = _load_dataset(options)
        run_dir = run_folder.find_run_dir(options.model or run_folder.find_default_model())
        if options.record or options.keep_answers:
            run_folder.check_card_writable(run_dir)
        if options.like:
            return _answer_like(options, run_dir, dataset, job)
        subset = read_eval_subset(options)
        # A threshold that somebody chose on this computer is none of the card's.
        threshold = read_card(run_dir).decision_threshold if options.record else None
        scores = read_scores(run_dir, dataset, subset, threshold=threshold)
        if scores is None:
            scores = evaluate_run(run_dir, dataset, subset, threshold=threshold, on_progress=job.report).scores
        if options.keep_answers:
            _keep_answers(run_dir, dataset, job)
        if options.record:
            record_evaluation(run_dir, scores)
        if options.report:
            _write_report(options, run_dir, dataset, job)
    if options.json:
        _print_json(scores)
        return 0
    described = _describe_scores(Scores.from_json(scores))
    print(f"{scores['model']} on {scores['data']}, {scores['split']} split, {scores['part']}: {described}")
    _print_grouping_mismatch(scores["grouping_mismatch"], run_dir.name)
    answered = scores.get("answered")
    if answered and answered["num_images"]:
        print(
            f"It answers for {answered['share']:.1%} of them, outside its uncertain band, and is right for "
            f"{answered['accuracy']:.1%} of these."
        )
    if scores["num_seen_in_training"]:
        print(f"It was trained on {scores['num_seen_in_training']:,} of these very pictures.")
    if scores["num_left_out_seen"]:
        print(f"{scores['num_left_out_seen']:,} pictures that it was trained on were left out.")
    if scores["num_also_in_train"]:
        print(
            f"{scores['num_also_in_train']:,} of these pictures are also in the split's own train part: "
            "the score of a model trained on that part measures memory."
        )
    return 0


def _print_grouping_mismatch(mismatch: dict[str, list[str]] | None, name: str) -> None:
    if mismatch:
        print(sentences.describe_grouping_mismatch(mismatch, name).replace("*", ""))


def _answer_like(options: argparse.Namespace, run_dir: Path, dataset: sources.Dataset, job: JobWriter) -> int:
    """Asks a model about the very pictures that a page shows of another one, whether scores are kept or not."""
    from facedep.inference.dataset_predictions import compute_answers

    scan, mask = _select_pictures(options, run_dir, dataset, job)
    if not has_answers(read_answers(run_dir, dataset), scan, mask):
        job.report("Waking the model")
        compute_answers(run_dir, dataset, rows=mask, on_progress=functools.partial(job.report, "Asking the model"))
    return 0


def _select_pictures(
    options: argparse.Namespace, run_dir: Path, dataset: sources.Dataset, job: JobWriter
) -> tuple[Scan, np.ndarray]:
    """Returns the data set's scan and the pictures meant: the part as `--like`'s run, else the model's, cuts it."""
    like_dir = run_folder.find_run_dir(options.like) if options.like else run_dir
    looking = functools.partial(job.report, "Looking at every picture")
    scan = scan_dataset(dataset, on_progress=looking)
    return scan, select_pictures(like_dir, dataset, scan, read_eval_subset(options), on_progress=looking).mask


def _keep_answers(run_dir: Path, dataset: sources.Dataset, job: JobWriter) -> None:
    _complete_answers(run_dir, dataset, job)
    print(f"facedep: {keep_answers_beside(run_dir, dataset)}", file=sys.stderr)


def _complete_answers(run_dir: Path, dataset: sources.Dataset, job: JobWriter) -> None:
    answers = read_answers(run_dir, dataset)
    if answers is None or not answers.is_complete:
        job.report("Waking the model")
        from facedep.inference.dataset_predictions import compute_answers

        compute_answers(run_dir, dataset, on_progress=functools.partial(job.report, "Asking the model"))


def _write_report(options: argparse.Namespace, run_dir: Path, dataset: sources.Dataset, job: JobWriter) -> None:
    from facedep.reporting.report import build_report, write_report

    _complete_answers(run_dir, dataset, job)  # it also shows the scores on other parts
    job.report("Writing the report")
    report = build_report(evaluate_run(run_dir, dataset, read_eval_subset(options)))
    card_path = write_report(options.report, report, render_model_card(run_dir.name, read_card(run_dir).to_json()))
    for title, path in (("report", options.report), ("model card", card_path)):
        print(f"{title}: {path}", file=sys.stderr if options.json else sys.stdout)


def _robustness(options: argparse.Namespace) -> int:
    with JobWriter(options.progress) as job:
        dataset = _load_dataset(options)
        run_dir = run_folder.find_run_dir(options.model or run_folder.find_default_model())
        _, mask = _select_pictures(options, run_dir, dataset, job)
        table = read_robustness(run_dir, dataset, mask)
        if table is None:
            job.report("Waking the model")
            from facedep.evaluation.robustness_run import measure_robustness

            asking = functools.partial(job.report, "Asking about ever worse pictures")
            table = measure_robustness(run_dir, dataset, mask, on_progress=asking)
    if options.json:
        _print_json(table.to_dict("records"))
        return 0
    _print_grouping_mismatch(find_grouping_mismatch(run_dir, dataset), run_dir.name)
    print(f"{run_dir.name} on {table['num_images'].iloc[0]:,} pictures of {dataset.name}: accuracy by strength")
    for name, kind in DISTORTIONS.items():
        scores = table[table["distortion"] == name]
        words = [f"{row.strength:g}: {row.accuracy:.1%}" for row in scores.itertuples()]
        print(f"{kind.title} ({kind.unit}): {', '.join(words)}")
    return 0


def _predict(options: argparse.Namespace) -> int:
    if options.csv:
        check_csv_path(options.csv)  # before the work that fills it
    classifier = _load_classifier(options.model)
    from facedep.inference.batch import answer_pictures, build_json, build_table, list_pictures

    pictures = list_pictures((file, Path(file)) for file in options.files)
    has_failed, objects, table_rows = False, [], []
    answers = answer_pictures(classifier, pictures, is_whole_picture=options.whole_picture)
    with tqdm(answers, total=len(pictures), unit="picture", disable=None if options.json else True) as bar:
        for rows in bar:
            has_failed |= rows[0].error is not None
            if options.json:
                objects += build_json(rows)
            else:
                _print_answer(rows)
            if options.csv:
                table_rows += [dataclasses.replace(row, thumbnail=b"") for row in rows]
    if options.csv:
        write_csv(options.csv, build_table(table_rows))
    if num_left_out := sum(picture.num_left_out for picture in pictures):
        print(f"facedep: {num_left_out:,} files in archives are no pictures and were left out", file=sys.stderr)
    if options.json:
        _print_json(objects)
        return int(has_failed)
    print("Not a diagnosis: this model compares a face with pictures labelled by emotion.", file=sys.stderr)
    return int(has_failed)


def _print_answer(rows: list[Any]) -> None:
    """Prints one picture's rows: its answers to standard output, what is to be said about them to standard error."""
    for row in rows:
        place = f" (face at {row.box[0]}, {row.box[1]})" if row.num_faces > 1 else ""
        if row.face:
            label = f"uncertain, rather {row.label}" if row.is_uncertain else row.label
            print(f"{row.path}{place}: {label}, P(depressed) = {row.probability_depressed:.3f}")
        for caution in row.cautions:
            print(f"facedep: {row.path}{place}: {caution}", file=sys.stderr)
        if row.error:
            print(f"facedep: {row.error}", file=sys.stderr)
        elif row.note and not row.face:
            print(f"facedep: {row.path}: {row.note} (--whole-picture)", file=sys.stderr)


def _describe_scores(scores: Scores) -> str:
    baseline = scores.majority_baseline
    return (
        f"{scores.num_images:,} pictures, accuracy {_show_number(scores.accuracy)} "
        f"(always {baseline.label}: {_show_number(baseline.share)}), "
        f"balanced accuracy {_show_number(scores.balanced_accuracy)}, ROC AUC {_show_number(scores.roc_auc)}, "
        f"calibration error {_show_number(scores.ece)}, emotions {_show_number(scores.emotion_accuracy)}"
    )


def _show_number(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else f"{value:.3f}"


def _print_json(value: Any) -> None:
    """Prints JSON with null for whatever is undefined, in ASCII: any terminal and any file name can be printed so."""
    print(json.dumps(nan_to_null(value), indent=1))
