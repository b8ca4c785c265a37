"""Leave out the documents whose owners want them out, by their ids.

In goes a file with an id on each line, out comes for each document whether it is named there. An id may stand alone,
for all sources, or as SOURCE/ID for one; it takes with it the parts into which its document was split (ID#1, ID#2).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lhama.corpus.bytestream import Cut, lines
from lhama.plan.problem import Problem


def read_opt_out(path: Path) -> Any:
    """Read the ids of a list into an Arrow array; white space around them does not count."""
    ids: list[bytes] = []
    try:
        for number, line in lines(path):
            if isinstance(line, Cut):
                raise Problem(f"{path}, line {number}: {line.detail}", key="corpus.opt_out", remedy="mend the list")
            if line.strip():
                ids.append(line.strip())
        return pc.unique(pa.array(ids, pa.binary()).cast(pa.large_string()))
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}", key="corpus.opt_out") from error
    except pa.ArrowInvalid as error:  # half a list protects half of the owners
        raise Problem(f"{path} is not UTF-8", key="corpus.opt_out", remedy="save the list as UTF-8") from error


def opted_out(names: Any, source: str, ids: Any) -> npt.NDArray[np.bool_]:
    """Tell which of the documents of a source, by their ids, are on the list."""
    names = pc.cast(names, pa.large_string())
    chosen = np.zeros(len(names), dtype=np.bool_)
    for one in (names, pc.replace_substring_regex(names, r"#[0-9]+$", "")):
        in_source = pc.binary_join_element_wise(
            pa.scalar(source, pa.large_string()), one, pa.scalar("/", pa.large_string())
        )
        for name in (one, in_source):
            chosen |= np.asarray(pc.fill_null(pc.is_in(name, value_set=ids), False))
    return chosen
