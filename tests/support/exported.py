"""Exported models without the comparison and the card that `hf-rnn export` makes, for tests of the runtime."""

import shutil
from pathlib import Path

from hf_rnn import Predictor
from hf_rnn.interchange.graphs import OPSET, write_graph
from hf_rnn.interchange.record import files_of, new_record, write_record

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "run.yaml", "schema.json")


def export(folder: Path, output: Path) -> Path:
    """Export the classifier or tagger of a folder into a new folder, and return that."""
    predictor = Predictor.from_pretrained(folder)
    (output / "onnx").mkdir(parents=True)
    for name in FILES:
        if (folder / name).exists():
            shutil.copyfile(folder / name, output / name)
    write_graph(predictor.model, output / "onnx" / "model.onnx")
    record = new_record(predictor, output, [], None, OPSET)
    record |= {"files": files_of(output / "onnx"), "parity": {}, "quantization": None}
    write_record(output, record)
    return output
