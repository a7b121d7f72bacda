"""How wide lines of text are: 79 columns, fewer on a narrower terminal."""

import shutil
from typing import Final

_WIDEST: Final = 79
_NARROWEST: Final = 38
"""With less, a label in front of a text would leave nothing for the text."""


def text_width() -> int:
    """Return the columns of a line. `COLUMNS` wins over what the terminal says, 80 is meant where there is none."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns - 1))
