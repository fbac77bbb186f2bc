"""Trained networks as Keras reads them: the measure for the graphs that predict, and how tests change weights."""

from pathlib import Path

import keras

from facedep.networks.card import MODEL_FILE, read_card
from facedep.networks.recipes import find_recipe
from facedep.training.architecture import build_network


def load_network(run_dir: Path) -> keras.Model:
    """Returns the network of a run's folder."""
    card = read_card(run_dir)
    network = build_network(find_recipe(card.recipe), len(card.class_names))
    network.load_weights(run_dir / MODEL_FILE)
    return network
