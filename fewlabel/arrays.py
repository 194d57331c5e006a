"""Types of the arrays that functions take and return."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]
