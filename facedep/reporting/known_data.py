"""What this project has measured or read about public data sets, independent of what a model's card says of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownData:
    """A public data set.

    Attributes:
        title: What it is, to go on after "is", in Markdown.
        issues: What to know before believing a score on it, a sentence each, in Markdown.
    """

    title: str
    issues: tuple[str, ...]


_SCRAPED = (
    "The pictures were collected by web search for words of emotion; they show real people, children among them, "
    "and nothing shows that anyone in them agreed. They are not handed on with the model."
)
_NOISY_LABELS = (
    "FER2013's labels are noisy: the votes of ten people agree with the label for 62 % of its pictures and with "
    "the two groups for 81 %; 53 % of its *sad* pictures are neutral to them (the votes: Barsoum et al. 2016, "
    "arXiv 1608.01041)."
)
KNOWN_DATA = {
    "4efde1ea496fd40c": KnownData(
        "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414) without any picture of the Kaggle depression set",
        (
            _SCRAPED,
            _NOISY_LABELS,
            "FER2013 has about 1,450 groups of near-identical pictures, some of them across its own parts, and blank "
            "and placeholder pictures.",
            "Nobody in it is known to live with depression.",
        ),
    ),
    "bba6fbbc58352639": KnownData(
        "the Kaggle depression set: 4,492 files of 3,649 different pictures, 3,648 of them out of FER2013 "
        "(Goodfellow et al. 2013, arXiv 1307.0414)",
        (
            _SCRAPED,
            "Its val and test folders hold the same 388 pictures, and all 388 are also in its train folder: scores on "
            "the folders as supplied measure memory.",
            "61 % of its *neutral* and *sad* pictures, which the set is published to call *depressed*, are neutral "
            "faces; nobody pictured is known to live with depression.",
            "It holds watermarks, babies, cartoons, hands before faces and sunglasses.",
            _NOISY_LABELS,
        ),
    ),
}
