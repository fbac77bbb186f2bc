"""What must be said wherever faces are judged: on every page, in the report."""

NOTICE = (
    "facedep compares facial expressions with labels borrowed from emotion folders. It cannot diagnose depression, "
    "and is not meant for judging employees, applicants, pupils or anyone else."
)
HELP_LINE = (
    "If low mood weighs on you or on someone you know, talking to a doctor or a local helpline does more than any "
    "picture can: [findahelpline.com](https://findahelpline.com) lists them by country."
)
