"""Real data that needs no network: it comes inside scikit-learn."""

import torch
from torch import Tensor


def digits() -> tuple[Tensor, Tensor]:
    """Return 1,797 handwritten digits: images (N, 1, 8, 8) in 0…1 as float32, labels (N,) as int64. Source: scikit-learn, UCI."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = torch.from_numpy(raw.images).to(torch.float32).div_(16).unsqueeze(1)
    return images, torch.from_numpy(raw.target).long()


def breast_cancer() -> tuple[Tensor, Tensor]:
    """Return 569 tumours: 30 features each, scaled to mean 0 and deviation 1 (N, 30), float32; labels (N,). Source: UCI."""
    from sklearn.datasets import load_breast_cancer

    raw = load_breast_cancer()
    features = torch.from_numpy(raw.data).to(torch.float32)
    return (features - features.mean(0)) / features.std(0), torch.from_numpy(raw.target).long()


def photographs() -> Tensor:
    """Return two colour photographs, a temple and a flower, as uint8 (2, 3, 427, 640). Source: scikit-learn."""
    from sklearn.datasets import load_sample_images

    return torch.stack([torch.from_numpy(image.copy()) for image in load_sample_images().images]).permute(
        0, 3, 1, 2
    )
