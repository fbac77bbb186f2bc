"""The names of the Explore page's tabs, and the session keys by which one tab opens another."""

OVERVIEW, GALLERY, AVERAGE_FACES, ISSUES, LABEL_ISSUES, MAP, EXPORT = ALL_TABS = (
    "Overview", "Gallery", "Average faces", "Issues", "Label issues", "Map", "Export",
)  # fmt: skip
TAB_KEY = "explore_view"  # session key: the open tab
ANY = "all"  # a filter of the gallery that lets every picture pass
FILTERS = {"subset": "Part", "emotion": "Emotion", "label": "Group"}  # column of the samples table to title


def name_filter_key(column: str) -> str:
    """Returns the session key of a filter of the gallery.

    Args:
        column: One of `FILTERS`.
    """
    return f"filter_{column}"
