"""The networks: their recipes, how they are built and loaded, and what a model says of itself in its card.

Main functions: `recipes.find_recipe`, `layers.list_layers`, `classifier.load_classifier`, `card.read_card`,
`calibration.find_temperature`, `decision_threshold.read_threshold`, `majority_baseline.find_majority_baseline`.
"""
