"""How good a run is on which pictures: scores, metrics, slices, label issues, robustness, protocols compared.

Main functions: `evaluation.evaluate_run`, `scores.score_predictions`, `metrics.compute_roc_curve`,
`slices.find_slices`,
`label_issues.find_label_issues`, `robustness_run.measure_robustness`, `protocol_comparison.compare_protocols`,
`subset_selection.select_pictures`.
"""
