"""The networks this project can train, and how: plain data, read by `networks/architecture.py` and in `training/`.

Reading this module costs nothing; no Keras here.
"""

from dataclasses import dataclass

from facedep.errors import ModelError

AUGMENTATION_NAMES = ("none", "standard", "camera")  # see `training/augmentation.py`


@dataclass(frozen=True)
class Recipe:
    """An architecture and its training settings.

    Attributes:
        name: The word used on the command line and in records.
        title: The words used on pages.
        summary: One or two sentences for someone who has never trained a network.
        input_size_px: Side of the square gray input.
        learns: "groups" (one output, P(depressed)) or "emotions" (one output per emotion; P(depressed) is the sum over
            the emotions that count as *depressed*). A data set without emotion names is always learned by groups.
        num_epochs: Default number of passes over the training pictures.
        batch_size: Default number of pictures per step.
        learning_rate: Default (highest) step size.
        optimizer: "adam" or "adamw".
        weight_decay: For "adamw".
        schedule: "constant", or "cosine": a rise over the first tenth (over the first epoch where there are early
            ones), then down to nothing along half a cosine.
        label_smoothing: Share of each label spread over all classes.
        augmentation: How pictures are changed at random, a key of `training.augmentation.AUGMENTATIONS`.
        num_progressive_resizing_epochs: So many epochs at the start show smaller pictures, at most mirrored
            (progressive learning: Tan & Le 2021, arXiv 2104.00298), at most a quarter of all; 0 for none.
        progressive_resizing_size_px: Side of these smaller pictures; only a network without a layer of fixed size can
            learn from them.
        ema_momentum: The network that is scored and kept has the running mean of the weights, to which each step adds
            one part less this share; 0 for the weights themselves.
        checkpoint_policy: "last" epoch, or "best" by validation loss.
        patience: Ends after so many epochs without a better one; 0 for never.
        uses_flip_tta: Whether the model's answer is the mean over the face and its mirror image.
        is_calibrated: Whether a temperature and an uncertain band are found on the validation pictures.
        pretrained: Whether the shipped model's stages are taken as they are, and only a head is trained.
        multiply_adds: Multiply-adds for one face, for the estimate of the time.
        efficiency: Share of the machine's float32 matrix-product speed that a training step of this network reaches,
            measured on two cores with TensorFlow 2.21.
    """

    name: str
    title: str
    summary: str
    input_size_px: int
    learns: str
    num_epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    weight_decay: float
    schedule: str
    label_smoothing: float
    augmentation: str
    num_progressive_resizing_epochs: int
    progressive_resizing_size_px: int
    ema_momentum: float
    checkpoint_policy: str
    patience: int
    uses_flip_tta: bool
    is_calibrated: bool
    pretrained: bool
    multiply_adds: int
    efficiency: float

    def count_progressive_resizing_epochs(self, num_epochs: int) -> int:
        """Returns how many of so many epochs show smaller, plain pictures."""
        return min(self.num_progressive_resizing_epochs, num_epochs // 4)


ARTICLE = Recipe(
    name="article",
    title="The published network",
    summary=(
        "Three convolutions on 128 x 128 pixels, trained on the two groups, exactly as the article describes it. "
        "The baseline: it memorizes its training pictures."
    ),
    input_size_px=128,
    learns="groups",
    num_epochs=10,
    batch_size=32,
    learning_rate=1e-3,
    optimizer="adam",
    weight_decay=0.0,
    schedule="constant",
    label_smoothing=0.0,
    augmentation="none",
    num_progressive_resizing_epochs=0,
    progressive_resizing_size_px=0,
    ema_momentum=0.0,
    checkpoint_policy="last",
    patience=0,
    uses_flip_tta=False,
    is_calibrated=False,
    pretrained=False,
    multiply_adds=134_000_000,
    efficiency=0.40,
)

COMPACT = Recipe(
    name="compact",
    title="A small modern network",
    summary=(
        "Residual blocks with squeeze-and-excitation on 48 x 48 pixels, trained on the emotions behind the two groups. "
        "Fewer than half the multiplications of the published network. It begins with smaller, plain pictures."
    ),
    input_size_px=48,
    learns="emotions",
    num_epochs=20,
    batch_size=64,
    learning_rate=3e-3,
    optimizer="adamw",
    weight_decay=0.02,
    schedule="cosine",
    label_smoothing=0.1,
    augmentation="standard",
    num_progressive_resizing_epochs=4,
    progressive_resizing_size_px=32,
    ema_momentum=0.95,
    checkpoint_policy="best",
    patience=10,
    uses_flip_tta=True,
    is_calibrated=True,
    pretrained=False,
    multiply_adds=59_000_000,
    efficiency=0.45,
)

QUICK = Recipe(
    name="quick",
    title="A quick start",
    summary=(
        "Takes what the model that comes with the app has learned to see in faces, looks at each picture once, and "
        "trains the last layer only: seconds instead of minutes."
    ),
    input_size_px=48,
    learns="emotions",
    num_epochs=40,
    batch_size=128,
    learning_rate=2e-3,
    optimizer="adamw",
    weight_decay=0.02,
    schedule="cosine",
    label_smoothing=0.1,
    augmentation="none",
    num_progressive_resizing_epochs=0,
    progressive_resizing_size_px=0,
    ema_momentum=0.0,
    checkpoint_policy="best",
    patience=20,
    uses_flip_tta=True,
    is_calibrated=True,
    pretrained=True,
    multiply_adds=59_000_000,
    efficiency=0.78,  # forward only, in ONNX Runtime; `python -m bench.side_by_side --only training` on two cores
)

RECIPES = {recipe.name: recipe for recipe in (COMPACT, QUICK, ARTICLE)}


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        ModelError: There is none.
    """
    if name not in RECIPES:
        raise ModelError(f"There is no recipe {name!r}. Choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]
