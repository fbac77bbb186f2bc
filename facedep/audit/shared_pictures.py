"""How many pictures of a data set's supplied val and test subsets are also in its train subset."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facedep.audit.copies import number_subsets
from facedep.data.splits import SUBSETS


@dataclass(frozen=True)
class SharedPictures:
    """How many pictures of one supplied subset are also in another.

    Attributes:
        subset: "val" or "test".
        other_subset: "train" or "val".
        num_images: Readable pictures in `subset`.
        num_identical: Those with a pixel-identical copy in the other subset.
        num_similar: Those with an identical or near-identical picture in it.
    """

    subset: str
    other_subset: str
    num_images: int
    num_identical: int
    num_similar: int

    @property
    def sentence(self) -> str:
        """The finding in words, for readers who know no jargon."""
        verb = "is" if self.num_similar == 1 else "are"
        counts = f"{self.num_similar:,} of the {self.num_images:,} {self.subset} pictures"
        if self.num_similar == 0:
            return f"None of the {self.num_images:,} {self.subset} pictures is also in {self.other_subset}."
        if self.num_identical == self.num_similar:
            return f"{counts} {verb} also in {self.other_subset}, pixel for pixel."
        exactly = (
            f"{self.num_identical:,} pixel for pixel, the others nearly" if self.num_identical else "nearly the same"
        )
        return f"{counts} {verb} also in {self.other_subset}: {exactly}."


def find_shared_pictures(samples: pd.DataFrame, quality: pd.DataFrame) -> list[SharedPictures]:
    """Returns for each two supplied subsets how many pictures of the later one are also in the earlier one.

    Pairs with an empty subset are skipped: a data set without such folders gives an empty list.

    Args:
        samples: The data set's samples table.
        quality: From `quality.measure_quality`.
    """
    subsets, pictures = number_subsets(samples), quality["picture"].to_numpy()
    duplicate_groups = quality["duplicate_group"].to_numpy()
    shared = []
    for later, earlier in ((2, 0), (1, 0), (2, 1)):
        mask, others = ((subsets == subset) & (pictures >= 0) for subset in (later, earlier))
        if mask.any() and others.any():
            num_identical = int(np.isin(pictures[mask], pictures[others]).sum())
            num_similar = int(np.isin(duplicate_groups[mask], duplicate_groups[others]).sum())
            shared.append(SharedPictures(SUBSETS[later], SUBSETS[earlier], int(mask.sum()), num_identical, num_similar))
    return shared
