"""How good a run is on which pictures: scores, metrics, slices, label issues, robustness, protocols compared.

Main functions: `evaluation.evaluate_run`, `scores.score_predictions`, `metrics.compute_roc_auc`,
`curves.compute_roc_curve`, `reliability.compute_reliability`, `intervals.compute_wilson_interval`,
`paired_comparison.compare_predictions`, `slices.find_slices`, `label_issues.find_label_issues`,
`robustness_run.measure_robustness`, `protocol_comparison.compare_protocols`, `subset_selection.select_pictures`.
"""
