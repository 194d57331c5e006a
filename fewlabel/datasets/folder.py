"""A user's own images: a folder of PNG and JPEG files, or an .npz with arrays."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from fewlabel.methods import DatasetMethod, Images
from fewlabel.text import shown


class Settings(DatasetMethod):
    path: str = Field(
        "data/images",
        description="A folder of PNG and JPEG files, with sub-folders, or an .npz that has uint8 "
        "`images`.",
    )
    image_size: int = Field(
        32,
        ge=8,
        le=512,
        description="Side in pixels that images are scaled to fit, then padded with black: 8 to "
        "512.",
    )
    class_names: list[str] = Field([], description="Names of the classes, two or more.")
    test_labels: str | None = Field(
        None,
        description="null, or what to test with, in the folder: a CSV with the columns image and "
        "label, or a sub-folder that has a sub-folder for each class.",
    )

    knows_labels: ClassVar[bool] = False

    @property
    def own_files(self) -> Path:
        return Path(self.path)

    def problems(self) -> list[str]:
        named = {name.strip() for name in self.class_names} - {"", "?", "!"}
        if 1 < len(named) == len(self.class_names):
            return []
        return [
            f"dataset.folder.class_names is {shown(self.class_names)}, but must be a list of two "
            "or more different names, neither ? nor !, where dataset.name is folder"
        ]

    def names_of_classes(self) -> list[str]:
        return self.class_names

    def read(self) -> Images:
        from fewlabel.datasets.image_files import read_image_files, wrong_test_labels
        from fewlabel.datasets.npz import read_npz

        if self.own_files.suffix != ".npz":
            return read_image_files(**dict(self))
        if self.test_labels is not None:
            raise wrong_test_labels(
                self.test_labels,
                "null where dataset.folder.path is an .npz, which holds its own test_labels",
            )
        return read_npz(self.path, len(self.class_names))
