"""The peers of near-duplicate removal, each for itself: datatrove 0.10.1, and Daft's own MinHash.

    python benchmarks/peers/minhash.py NAME FILE.jsonl.zst...

NAME is `datatrove`, `datatrove, white space` or `daft`. Prints one JSON line: the seconds it took from the files to the
groups, libraries loaded before, and for each document the number of the first of its group.
"""

import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BANDS, ROWS, WORDS = 14, 8, 5


def by_datatrove(paths: list[Path], at_white_space: bool) -> Callable[[], list[int]]:
    """Run its four stages, but for the last one, which reads all again to write what is kept."""
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.utils.hashing import HashConfig
    from datatrove.utils.word_tokenizers import load_word_tokenizer
    from loguru import logger

    logger.remove()
    config = MinhashConfig(WORDS, BANDS, ROWS, hash_config=HashConfig(64, "xxhash"))
    load_word_tokenizer("por").word_tokenize("aquecer")

    def run() -> list[int]:
        with tempfile.TemporaryDirectory() as place:
            counts = []
            for rank, path in enumerate(paths):
                signing = MinhashDedupSignature(f"{place}/signed", config, language="por")
                if at_white_space:
                    signing.word_tokenizer = _WhiteSpace()
                reader = JsonlReader(str(path.parent), glob_pattern=path.name, compression="zstd")
                counted = _Counted(reader.run(rank=0, world_size=1))
                signing.run(counted, rank=rank, world_size=len(paths))
                counts.append(counted.number)
            for bucket in range(BANDS):
                MinhashDedupBuckets(f"{place}/signed", f"{place}/pairs", config=config).run(None, bucket, BANDS)
            MinhashDedupCluster(f"{place}/pairs", f"{place}/groups", config=config, save_cluster_id=True).run()
            groups = list(range(sum(counts)))
            first_of: dict[int, int] = {}
            for rank in range(len(paths)):
                file = Path(f"{place}/groups/{rank:06d}.clusters")
                for number, cluster in struct.iter_unpack("<2I", file.read_bytes() if file.is_file() else b""):
                    at = sum(counts[:rank]) + number
                    groups[at] = first_of.setdefault(cluster, at)
            return groups

    return run


class _WhiteSpace:
    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


class _Counted:
    """Count documents on their way."""

    def __init__(self, documents: Any) -> None:
        self.documents, self.number = documents, 0

    def __iter__(self) -> Any:
        for document in self.documents:
            self.number += 1
            yield document


def by_daft(paths: list[Path]) -> Callable[[], list[int]]:
    """Let Daft read, normalize, hash and meet; follow the links as Lhama does."""
    import daft
    import numpy as np
    import pyarrow as pa
    from daft import col

    from lhama.corpus.near import Links, joined, none

    made_simple = {"remove_punct": True, "lowercase": True, "nfd_unicode": True, "white_space": True}

    def run() -> list[int]:
        plain = daft.functions.normalize(col("text"), **made_simple)
        signed = daft.functions.minhash(plain, num_hashes=BANDS * ROWS, ngram_size=WORDS).alias("minima")
        # One file after the other: a frame of several does not promise their order.
        tables = [daft.read_json(str(path)).select(signed).to_arrow() for path in paths]
        minima = pa.concat_tables(tables)["minima"].combine_chunks()
        documents = len(minima)
        values = minima.flatten().to_numpy().astype(np.uint32).reshape(documents, BANDS, ROWS)
        numbered = np.empty((documents, BANDS, ROWS + 1), np.uint32)
        numbered[:, :, 0], numbered[:, :, 1:] = np.arange(BANDS), values
        kind = pa.binary(4 * (ROWS + 1))
        bands = pa.FixedSizeBinaryArray.from_buffers(kind, documents * BANDS, [None, pa.py_buffer(numbered)])
        table = pa.table({"band": bands.cast(pa.binary()), "order": np.repeat(np.arange(documents), BANDS)})
        # By their hash, because a join of Daft 0.7.26 on binary columns waits forever.
        rows = daft.from_arrow(table).select(col("band").hash(), "order").collect()
        firsts = rows.groupby("band").agg(col("order").min().alias("first"), col("order").count().alias("many"))
        links = rows.join(firsts.where(col("many") > 1), on="band").where(col("order") != col("first")).to_arrow()
        clusters = joined(none(), Links(links["order"].to_numpy(), links["first"].to_numpy()))
        return groups_of(clusters, documents)

    return run


def groups_of(clusters: Any, documents: int) -> list[int]:
    """Return for each document the first of its group."""
    groups = list(range(documents))
    for dropped, original in zip(clusters.dropped.tolist(), clusters.original.tolist(), strict=True):
        groups[dropped] = original
    return groups


def main() -> None:
    name, paths = sys.argv[1], [Path(one) for one in sys.argv[2:]]
    run = by_daft(paths) if name == "daft" else by_datatrove(paths, at_white_space="white space" in name)
    begin = time.perf_counter()
    groups = run()
    print(json.dumps({"seconds": time.perf_counter() - begin, "groups": groups}))


if __name__ == "__main__":
    main()
