"""`facedep train`: the options of a training, and the settings that they make."""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facedep.audit.issues import ISSUE_NAMES
from facedep.cli.options import load_dataset
from facedep.cli.train_worker import train_in_terminal, train_run_folder
from facedep.data.dataset_spec import add_dataset_arguments, read_dataset_spec
from facedep.data.splits import LEAK_FREE, PROTOCOLS
from facedep.errors import RunError
from facedep.networks.recipes import ARTICLE, AUGMENTATION_NAMES, RECIPES, find_recipe
from facedep.runs import lifecycle, run_config, run_folder
from facedep.training.checks import check_run


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("train", help="train a network")
    parser.register("action", None, _NotedOption)  # for every option that only stores a value
    add_dataset_arguments(parser)
    _add_settings(parser)
    _add_run_options(parser)
    parser.set_defaults(command=run, given=frozenset())


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default=ARTICLE.name, choices=RECIPES)
    parser.add_argument("--epochs", type=int, metavar="N", help="default: the recipe's")
    parser.add_argument("--batch-size", type=int, metavar="N", help="default: the recipe's")
    parser.add_argument("--learning-rate", type=float, metavar="X", help="default: the recipe's")
    parser.add_argument(
        "--progressive-resizing-epochs",
        type=int,
        metavar="N",
        help="how many of the epochs show smaller, plain pictures first; default: the recipe's",
    )
    parser.add_argument(
        "--ema-momentum", type=float, metavar="X", help="of the running mean of the weights, 0 for none; default: same"
    )
    parser.add_argument(
        "--augmentation",
        default="",
        choices=AUGMENTATION_NAMES,
        help="how pictures are changed at random; default: the recipe's way",
    )
    parser.add_argument(
        "--logit-adjustment", type=float, default=0.0, metavar="X", help="make up for rare classes, 0 to 1; default: 0"
    )
    parser.add_argument(
        "--repeat-threshold",
        type=float,
        default=0.0,
        metavar="X",
        help="repeat the pictures of classes with a smaller share than this; default: 0, none",
    )
    parser.add_argument(
        "--drawn-faces", type=int, default=0, metavar="N", help="also train on N drawn faces of each emotion"
    )
    parser.add_argument("--protocol", default=LEAK_FREE, choices=PROTOCOLS, help=f"default: {LEAK_FREE}")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N", help="GPUs of this machine that share each batch; default: 1"
    )
    parser.add_argument(
        "--drop-issues", default="", metavar="A,B", help=f"issues to clean away first: {', '.join(ISSUE_NAMES)}"
    )
    parser.add_argument(
        "--issue-limit",
        default=[],
        metavar="NAME=X",
        help="where a measure becomes an issue; repeatable",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--teacher", metavar="RUN", help="a run whose predictions are mixed into the labels")
    parser.add_argument(
        "--refit",
        metavar="RUN",
        help="train on train and val together, with the settings, epochs, temperature and band of this finished run",
    )
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that broke off, from its last whole epoch")
    parser.add_argument("--name", metavar="RUN", help="the run's name; default: the recipe and the time")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)  # the app: train this run, its folder is made


class _NotedOption(argparse.Action):
    """Stores a value, and adds the option's name to `given`: a default value may have been given as well.

    An option whose default is a list can be repeated.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option: str | None = None,
    ) -> None:
        is_repeatable = isinstance(self.default, list)
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values] if is_repeatable else values)
        namespace.given = {*getattr(namespace, "given", ()), self.option_strings[0]}


def run(options: argparse.Namespace) -> int:
    """Checks the settings, trains and returns the exit status."""
    if options.run:
        return train_run_folder(options.run, options.data, shows_progress=False)
    _refuse_without_effect(options)
    if options.resume:
        return train_in_terminal(lifecycle.reopen_run(options.resume), options.data)
    config = _plan_refit(options.refit) if options.refit else None
    if config:
        options.depressed, options.folder_choices = config.depressed_emotions, config.folder_choices
    dataset = load_dataset(options)
    config = config or _plan_run(options, dataset.name)
    config.check()
    check_run(config, dataset)
    return train_in_terminal(lifecycle.create_run(config, options.name), options.data)


def _refuse_without_effect(options: argparse.Namespace) -> None:
    """Raises `RunError` for options beside `--resume` or `--refit` whose values come from that run's settings."""
    if options.resume:
        mode, name, has_effect = "--resume", options.resume, {"--data", "--resume"}
    elif options.refit:
        mode, name, has_effect = "--refit", options.refit, {"--data", "--refit", "--name"}
    else:
        return
    if others := sorted(options.given - has_effect):
        listed = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
        raise RunError(
            f"{mode} takes its settings from the run {name!r}, so {listed} would have no effect. "
            f"Leave {'them' if len(others) > 1 else 'it'} out."
        )


def _plan_refit(name: str) -> run_config.RunConfig:
    config = run_folder.read_run(run_folder.find_run_dir(name)).config
    if config is None:
        raise RunError(f"The settings of {name!r} are missing or damaged. Choose another run.")
    return dataclasses.replace(config, refit_of=name)


def _plan_run(options: argparse.Namespace, data_name: str) -> run_config.RunConfig:
    recipe, spec = find_recipe(options.recipe), read_dataset_spec(options)
    num_epochs = recipe.num_epochs if options.epochs is None else options.epochs
    num_small = options.progressive_resizing_epochs
    return run_config.RunConfig(
        recipe=recipe.name,
        data_name=data_name,
        num_epochs=num_epochs,
        batch_size=recipe.batch_size if options.batch_size is None else options.batch_size,
        learning_rate=recipe.learning_rate if options.learning_rate is None else options.learning_rate,
        protocol=options.protocol,
        seed=options.seed,
        depressed_emotions=spec.depressed_emotions,
        folder_choices=dict(spec.folder_choices),
        teacher=options.teacher or "",
        num_devices=options.devices,
        num_progressive_resizing_epochs=(
            recipe.count_progressive_resizing_epochs(num_epochs) if num_small is None else num_small
        ),
        ema_momentum=recipe.ema_momentum if options.ema_momentum is None else options.ema_momentum,
        drop_issues=tuple(filter(None, options.drop_issues.split(","))),
        issue_limits=dict(map(_parse_issue_limit, options.issue_limit)),
        augmentation=options.augmentation,
        logit_adjustment=options.logit_adjustment,
        repeat_threshold=options.repeat_threshold,
        num_drawn_faces=options.drawn_faces,
    )


def _parse_issue_limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        if math.isfinite(limit := float(value)):
            return name, limit
        raise ValueError
    except ValueError:
        raise RunError(f"--issue-limit {text!r}: write a name and a number, like min_contrast=0.2.") from None
