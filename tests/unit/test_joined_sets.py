"""A set that was made in parts is one set."""

import numpy as np

from models.interfaces import GeneratedSet, joined


def test_images_stay_in_order_and_indices_and_passes_add_up() -> None:
    first = np.full((2, 4, 4, 3), 1, np.uint8)
    second = np.full((1, 4, 4, 3), 2, np.uint8)
    whole = joined(
        [
            GeneratedSet(first, encoder_calls=1, unet_calls=7, notes=("cut",), filtered=[1]),
            GeneratedSet(second, encoder_calls=1, unet_calls=7, notes=("cut",), filtered=[0]),
        ],
        "in parts",
    )
    assert whole.pixels[:, 0, 0, 0].tolist() == [1, 1, 2]
    assert (whole.encoder_calls, whole.unet_calls) == (2, 14)
    assert list(whole.notes) == ["cut", "in parts"]
    assert list(whole.filtered) == [1, 2]
