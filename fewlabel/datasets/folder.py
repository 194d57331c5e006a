"""A user's own images: a folder of PNG and JPEG files, or an .npz with arrays."""

from pathlib import Path

from pydantic import Field

from fewlabel.annotation.annotations import NO_LABEL, WITHOUT_LABEL
from fewlabel.methods import DatasetMethod, Images
from fewlabel.text import shown


class Settings(DatasetMethod):
    path: str = Field(
        "data/images",
        description="A folder of PNG and JPEG files, with sub-folders; a .csv that `fewlabel "
        "list-images` made of one; or an .npz that has uint8 `images`.",
    )
    image_size: int | None = Field(
        None,
        ge=8,
        le=512,
        description="Side in pixels that images are scaled to fit, then padded with black: 8 to "
        "512; or null: that of the largest image, 160 at most.",
    )
    class_names: list[str] = Field([], description="Names of the classes, two or more.")
    test_labels: str | None = Field(
        None,
        description="null, or what to test with, in the folder: a CSV with the columns image and "
        "label, or a sub-folder that has a sub-folder for each class.",
    )

    train_labels: str | None = Field(
        None,
        description="null, or the true classes of all other images, for an oracle: as test_labels, "
        "or . where the folder has a sub-folder for each class. One of no class is called !.",
    )

    @property
    def no_oracle(self) -> str | None:
        knows = self.train_labels is not None or self.path.endswith(".npz")
        return None if knows else "dataset.name is folder and dataset.folder.train_labels is null"

    @property
    def own_files(self) -> Path:
        from fewlabel.datasets.file_list import folder_of

        return folder_of(self.path)

    def problems(self) -> list[str]:
        named = {name.strip() for name in self.class_names} - {"", *NO_LABEL, *WITHOUT_LABEL}
        if 1 < len(named) == len(self.class_names):
            return []
        return [
            f"dataset.folder.class_names is {shown(self.class_names)}, but must be a list of two "
            "or more different names, where dataset.name is folder, and none of "
            f"{', '.join([*NO_LABEL, *WITHOUT_LABEL])}"
        ]

    def names_of_classes(self) -> list[str]:
        return self.class_names

    def read(self) -> Images:
        from fewlabel.datasets.image_files import read_image_files, wrong_labels
        from fewlabel.datasets.npz import read_npz

        if not self.path.endswith(".npz"):
            return read_image_files(**dict(self))
        for key in ("test_labels", "train_labels"):
            if (value := getattr(self, key)) is not None:
                allowed = f"null where dataset.folder.path is an .npz, which holds its own {key}"
                raise wrong_labels(key, value, allowed)
        return read_npz(self.path, len(self.class_names))
