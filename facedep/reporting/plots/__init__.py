"""Every chart, by subject. Functions return Plotly figures; none computes or shows anything.

Main functions: `data.plot_balance`, `training.plot_curve`, `scores.plot_roc`, `errors.plot_confusion`,
`comparison.plot_robustness`, `prediction.plot_probability`; all charts share `theme.finish_figure`.
"""
