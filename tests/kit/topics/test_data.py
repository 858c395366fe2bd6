"""The data that comes with scikit-learn."""

import pytest
import torch

from labs.kit.topics import data


def test_digits_are_images_between_zero_and_one() -> None:
    images, labels = data.digits()
    assert (images.shape, images.dtype) == ((1797, 1, 8, 8), torch.float32)
    assert (labels.shape, labels.dtype) == ((1797,), torch.int64)
    assert (images.min().item(), images.max().item()) == (0, 1)
    assert labels.unique().tolist() == list(range(10))


def test_features_of_tumours_are_scaled() -> None:
    features, labels = data.breast_cancer()
    assert (features.shape, features.dtype) == ((569, 30), torch.float32)
    assert features.mean(0).abs().max() < 1e-5
    assert (features.std(0) - 1).abs().max() < 1e-5
    assert labels.unique().tolist() == [0, 1]


def test_photographs_are_channels_first_bytes() -> None:
    pictures = data.photographs()
    assert (pictures.shape, pictures.dtype) == ((2, 3, 427, 640), torch.uint8)
    assert pictures.float().std() > 10


@pytest.mark.parametrize("load", [data.digits, data.breast_cancer])
def test_data_can_be_written_to_without_changing_the_next_ones(load: object) -> None:
    assert callable(load)
    first, _ = load()
    first.zero_()
    assert load()[0].abs().sum() > 0
