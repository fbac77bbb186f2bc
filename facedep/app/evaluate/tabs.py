"""The names of the Evaluate page's tabs."""

OVERVIEW, CURVES, THRESHOLD, MISTAKES, PROTOCOLS, ROBUSTNESS, COMPARE, GAME, REPORT = ALL_TABS = (
    "Overview", "Curves", "Threshold", "Mistakes", "Protocols", "Robustness", "Compare", "Game", "Report",
)  # fmt: skip
TAB_KEY = "evaluate_view"  # session key: the open tab
