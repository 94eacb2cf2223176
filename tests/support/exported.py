"""Exported models without the comparison and the card that `hf-rnn export` makes, for tests of the runtime."""

from pathlib import Path

from hf_rnn import Predictor
from hf_rnn.interchange.export import write_folder


def export(folder: Path, output: Path) -> Path:
    """Export the model of a folder into a new folder, and return that."""
    output.mkdir(parents=True)
    write_folder(folder, Predictor.from_pretrained(folder, device="cpu"), output)
    return output
