"""Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf, 2017): 60,000 + 10,000 images of clothes."""

from typing import ClassVar

from fewlabel.datasets.idx import IdxDataset, Origin, Package


class Settings(IdxDataset):
    """Nothing to set."""

    class_names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    origin: ClassVar[Origin] = Origin(
        name="fashion_mnist",
        sha256={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        ),
        package=Package(
            "apt-get", "dataset-fashion-mnist", folder="usr/share/datasets/fashion-mnist"
        ),
    )
