"""The Evaluate page, one module a tab: how good a run is on which pictures, from one sentence down to single faces.

Main functions: `choice.choose_evaluation` says which run on which pictures; then `overview.show_overview`,
`curves.show_curves`, `threshold.show_threshold`, `mistakes.show_mistakes`, `protocols.show_protocol_comparison`,
`robustness.show_robustness`, `comparison.show_comparison`, `game.show_game`, `report.show_report`.

Predictions come from a background process; only the maps of `mistakes` run the network here.
"""
