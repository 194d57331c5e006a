"""Networks in ONNX that anybody may have made: arithmetic on one image at a time, and no more."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
from joblib import cpu_count

from fewlabel.arrays import Floats
from fewlabel.errors import FewlabelError, told_as
from fewlabel.safe_keras import UnsafeModelError
from fewlabel.text import one_line

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# They need not end, or give something else each time.
_REFUSED = {
    *("Loop", "Scan"),
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
    "RandomUniformLike",
}
_STANDARD = ("", "ai.onnx")


class OnnxSession:
    """A network in ONNX that ONNX Runtime runs.

    Each image goes alone and on one thread, several of them at a time: what the network gives for
    an image depends neither on the images beside nor on the number of cores.

    Parameters
    ----------
    name
        With which messages begin.
    content
        Of an ONNX file.

    Attributes
    ----------
    input_shape : tuple
        As the file declares it, the number of images first; None where it takes any number.
    metadata : dict of str to str
        That the file has beside the network.

    Raises
    ------
    UnsafeModelError
        If it has other operators than those of the standard, or weights elsewhere.
    FewlabelError
        If it is no network of one input in floats, or a library is missing.
    """

    def __init__(self, name: str, content: bytes):
        if find_spec("onnxruntime") is None or find_spec("onnx") is None:
            raise FewlabelError(f"{name} needs onnxruntime: pip install 'fewlabel[onnx]'")
        _refuse_other_than_arithmetic(name, content)
        self._name = name
        with told_as(FewlabelError, lambda cause: f"{name} does not load in ONNX Runtime: {cause}"):
            self._session = _session(content)
            inputs = [(t.name, t.type, t.shape) for t in self._session.get_inputs()]
            self._output = self._session.get_outputs()[0].name
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        kinds = [kind for _, kind, _ in inputs]
        if len(kinds) != 1 or kinds[0] not in _DTYPES:
            raise FewlabelError(
                f"{name} takes {one_line(', '.join(kinds)) or 'nothing'}, but must take one "
                "tensor(float) or tensor(float16), of images"
            )
        self._input, kind, shape = inputs[0]
        self._dtype = _DTYPES[kind]
        self.input_shape = tuple(n if isinstance(n, int) else None for n in shape)

    def output_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what the network gives first for an image of this shape.

        Raises
        ------
        FewlabelError
            If it cannot run on such an image.
        """
        return self._run(np.zeros(image_shape, np.float32)).shape

    def __call__(self, images: Floats, output_shape: tuple[int, ...]) -> Floats:
        """Return what the network gives for images, of a shape for each that must be this one."""
        outputs = np.empty((len(images), *output_shape), np.float32)

        def run(i: int) -> None:
            output = self._run(images[i])
            if output.shape != output_shape:
                raise FewlabelError(
                    f"{self._name} gives {output.shape}, but must give {output_shape} for any image"
                )
            outputs[i] = output

        with ThreadPoolExecutor(cpu_count()) as pool:
            list(pool.map(run, range(len(images))))
        return outputs

    def _run(self, image: Floats) -> Floats:
        given = {self._input: image[None].astype(self._dtype)}
        said = f"{self._name} cannot run on images of {image.shape}"
        with told_as(FewlabelError, lambda cause: f"{said} ({cause})"):
            (output,) = self._session.run([self._output], given)
        if getattr(output, "dtype", None) not in _DTYPES.values() or output.shape[:1] != (1,):
            raise FewlabelError(
                f"{self._name} must give float32 or float16 first, a row for each image"
            )
        row: Floats = output[0].astype(np.float32)
        return row


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Or bytes that are both would be taken for ONNX Runtime's own format, of which nothing is seen.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )  # which would try once more, and print that


def _refuse_other_than_arithmetic(name: str, content: bytes) -> None:
    import onnx

    with told_as(FewlabelError, lambda cause: f"{name} is no whole ONNX file ({cause})"):
        model = onnx.load_model_from_string(content)
    found = set()
    for part in _messages(model):
        if isinstance(part, onnx.TensorProto) and (part.external_data or part.data_location):
            found.add("weights in other files")
        elif isinstance(part, onnx.NodeProto):
            if part.domain not in _STANDARD:
                found.add(f"{part.op_type} of {part.domain}")
            # In training, it draws which values to drop.
            elif part.op_type in _REFUSED or (part.op_type == "Dropout" and any(part.input[2:])):
                found.add(part.op_type)
    if found:
        raise UnsafeModelError(
            f"{name} has {one_line(', '.join(sorted(found)))}, but a network in ONNX must be one "
            "file, with the standard's operators, and without loops and random numbers; nothing of "
            "it was run"
        )


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from _messages(part)
