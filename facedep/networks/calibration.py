"""Make a model's probabilities mean what they say, and find where it had better not answer."""

import numpy as np

TARGET_ERROR = 0.10  # of the answers outside the uncertain band, this share may be wrong
MIN_IMAGES = 200  # fewer validation pictures say too little: at an error of 10 %, its 95 % interval is 6 to 15 %
_MIN_ANSWERED = 0.2  # a model that keeps silent more often than this is no use; it answers always, and the card says so
_LARGEST_TEMPERATURE = 10.0


def apply_temperature(outputs: np.ndarray, temperature: float) -> np.ndarray:
    """Returns probabilities as they would be with the network's logits divided by a temperature.

    Args:
        outputs: `float` array of shape `(n, classes)`, 0..1: of a softmax, or of one sigmoid where there is one class.
        temperature: Above 1 makes the model less sure, below 1 surer; the order of the classes stays.

    Returns:
        `float64` array of the same shape; rows of several classes sum to 1.

    Reference: Guo et al. 2017, arXiv 1706.04599.
    """
    outputs = outputs.astype(np.float64)
    if temperature == 1.0:
        return outputs
    if outputs.shape[1] == 1:
        both = apply_temperature(np.concatenate([1 - outputs, outputs], axis=1), temperature)
        return both[:, 1:]
    logs = np.log(np.maximum(outputs, np.finfo(np.float64).tiny)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def find_temperature(outputs: np.ndarray, is_positive: np.ndarray, is_depressed: np.ndarray) -> float:
    """Returns the temperature at which P(depressed) is the most likely to give rise to the labels.

    Args:
        outputs: `float` array of shape `(n, classes)`, 0..1, of pictures the network was not trained on.
        is_positive: `bool` array of shape `(classes,)`: which outputs count as *depressed*.
        is_depressed: `bool` array of shape `(n,)`.
    """
    from scipy.optimize import minimize_scalar  # 0.3 s that reading a calibrated model can do without

    def compute_loss(log_temperature: float) -> float:
        probabilities = apply_temperature(outputs, float(np.exp(log_temperature)))[:, is_positive].sum(axis=1)
        right = np.where(is_depressed, probabilities, 1 - probabilities)
        return -float(np.mean(np.log(np.maximum(right, 1e-12))))

    limit = np.log(_LARGEST_TEMPERATURE)
    return round(float(np.exp(minimize_scalar(compute_loss, bounds=(-limit, limit), method="bounded").x)), 4)


def find_abstention_band(
    is_depressed: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5, target_error: float = TARGET_ERROR
) -> tuple[float, float] | None:
    """Returns the narrowest band around the threshold outside of which at most the stated share of answers is wrong.

    It is as wide below as above: for calibrated probabilities the chance of an error depends on the distance only.

    Args:
        is_depressed: `bool` array of shape `(n,)`.
        probabilities: `float` array of shape `(n,)`: calibrated P(depressed) of pictures not trained on.
        threshold: P(depressed) at and above which the answer is *depressed*.
        target_error: Share of wrong ones among the answers, 0..1.

    Returns:
        `(low, high)`: from `low` up to, not with, `high` there is no answer. `(threshold, threshold)` where every
        picture can be answered; None where the share cannot be kept to with at least a fifth of the answers.

    Reference: selective classification by the softmax response, Geifman & El-Yaniv 2017, arXiv 1705.08500.
    """
    distances = np.abs(probabilities - threshold)
    order = np.argsort(-distances, kind="stable")
    is_wrong = (is_depressed != (probabilities >= threshold))[order]
    errors = np.cumsum(is_wrong) / np.arange(1, len(order) + 1)
    is_last_of_ties = np.append(np.diff(distances[order]) != 0, True)
    allowed = np.nonzero((errors <= target_error) & is_last_of_ties)[0]
    if not len(allowed) or allowed[-1] + 1 < _MIN_ANSWERED * len(order):
        return None
    if allowed[-1] + 1 == len(order):
        return threshold, threshold
    # Halfway to the first one that is left out; rounded here, so that the card holds what is used.
    half_width = float(distances[order][allowed[-1]] + distances[order][allowed[-1] + 1]) / 2
    return round(max(0.0, threshold - half_width), 4), round(min(1.0, threshold + half_width), 4)
