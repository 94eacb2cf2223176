"""Write the sentences of IMDB's reviews as transfer text for SST-2, in the spelling of SST-2.

python scripts/film_sentences.py DATA/imdb film_sentences.parquet --rows 300000

The reviews of the splits train and unsupervised are read, without labels. Sentences of 3 to 40 words are kept, each
once. SST-2 is in lower case, with spaces around punctuation marks and before 's and n't.
"""

import argparse
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = ("train", "unsupervised")
FEWEST, MOST = 3, 40
SEED = 0
_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]*[A-Z0-9])|<br\s*/?>(?:\s*<br\s*/?>)*")
_APART = (
    (re.compile(r"([a-z])n't\b"), r"\1 n't"),
    (re.compile(r"(?<=\w)('(?:s|re|ve|ll|d|m))\b"), r" \1"),
    (re.compile(r"\.{2,}"), " ... "),
    (re.compile(r"([,;:!?()\"*]|--)"), r" \1 "),
    (re.compile(r"\.(?=\s*$)"), " ."),
)


def spelled(sentence: str) -> str:
    """Return a sentence in the spelling of SST-2.

    Args:
        sentence: Sentence as written.
    """
    sentence = sentence.lower()
    for pattern, apart in _APART:
        sentence = pattern.sub(apart, sentence)
    return " ".join(sentence.split())


def sentences(folder: Path) -> list[str]:
    """Return the sentences of all reviews, each once, in the order of the reviews.

    Args:
        folder: Folder of IMDB with a Parquet file for each split.
    """
    found: dict[str, None] = {}
    for split in SPLITS:
        for review in pq.read_table(folder / f"{split}.parquet")["text"].to_pylist():
            for part in _END.split(review):
                sentence = spelled(part)
                if FEWEST <= len(sentence.split()) <= MOST:
                    found[sentence] = None
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of IMDB")
    parser.add_argument("output", type=Path, help="Parquet file to write, with the column text")
    parser.add_argument("--rows", type=int, help="number of sentences, drawn with a fixed seed; all if left out")
    options = parser.parse_args()
    found = sentences(options.folder)
    random.Random(SEED).shuffle(found)
    kept = found[: options.rows]
    pq.write_table(pa.table({"text": kept}), options.output)
    print(f"{len(kept):,} of {len(found):,} sentences are in {options.output}")


if __name__ == "__main__":
    main()
