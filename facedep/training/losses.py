"""The loss for classes of very different sizes."""

import keras
import numpy as np
from keras import ops

_SMALLEST = 1e-7  # as in Keras' own cross-entropies


class LogitAdjustedCrossentropy(keras.losses.Loss):
    """Cross-entropy of softmax outputs to which the logarithm of each class's share is added first.

    A network that learns with it does not learn how frequent a class is, so its own outputs are those for equally
    frequent classes: a rare class is answered as soon as it fits best.

    Args:
        shares: Share of each class in the training pictures: `float` array of shape `(classes,)`, all above 0.
        strength: 0 is the ordinary cross-entropy, 1 the balanced one.
        label_smoothing: Share of each label spread over all classes.

    Reference: Menon et al. 2021, arXiv 2007.07314, equation 10.
    """

    def __init__(self, shares: np.ndarray, strength: float, *, label_smoothing: float = 0.0):
        super().__init__(name="logit_adjusted_crossentropy", reduction="sum_over_batch_size")
        if not (np.asarray(shares) > 0).all():
            raise ValueError(f"every class needs a share above 0, found {shares}")
        self._offsets = (strength * np.log(shares)).astype(np.float32)
        self._label_smoothing = label_smoothing

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the loss of each picture, `float` of shape `(n,)`, at least 0; low is good.

        Args:
            y_true: Labels of shape `(n, classes)`, each row with the sum 1.
            y_pred: Softmax outputs of the same shape.
        """
        logits = ops.log(ops.clip(y_pred, _SMALLEST, 1.0)) + self._offsets
        logs = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        targets = (1 - self._label_smoothing) * ops.cast(y_true, logs.dtype) + self._label_smoothing / len(
            self._offsets
        )
        return -ops.sum(targets * logs, axis=-1)
