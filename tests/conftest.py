"""What all tests share: small machines are not fought over, the network is not asked, real data is found."""

import json
import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Processes that tests start add up in the order of one thread too, or their weights differ in the last bit.
os.environ["OMP_NUM_THREADS"] = "1"

import torch

from hf_rnn.environment import runs_bf16

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

# Two workers on two cores: more threads each would only wait for one another.
torch.set_num_threads(1)


needs_bf16 = pytest.mark.skipif(not runs_bf16(), reason="this processor runs no LSTM in bf16")


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets beside the project; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(autouse=True)
def _seed_and_quiet():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _whole_floats_on_a_gpu(request, monkeypatch):
    """cuDNN multiplies in TF32 by default, of 10 bits, which is no equal of a CPU's float32."""
    if "gpu" in request.keywords:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none here"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """The folder of a small model, trained for one epoch on some made-up reviews."""
    import hf_rnn
    from hf_rnn.made_up_reviews import made_up_reviews

    folder = tmp_path_factory.mktemp("tiny")
    reviews = made_up_reviews(300)
    lines = ["text,label"] + [
        f'"{text}",{("negative", "positive")[label]}'
        for text, label in zip(reviews["text"], reviews["label"], strict=True)
    ]
    (folder / "reviews.csv").write_text("\n".join(lines), encoding="utf-8")
    hf_rnn.train(tiny_config(folder / "reviews.csv", folder / "model"))
    return folder / "model"


def tiny_config(data, output_dir, **training) -> dict:
    """The sections of a run that takes a second."""
    return {
        "data": {"path": str(data)},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"embedding_size": 16, "hidden_size": 16},
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 1,
            "disable_tqdm": True,
            "learning_rate": 0.01,
            **training,
        },
    }


def files(folder: Path) -> set[str]:
    """The names of the files that stand in a folder."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def write_jsonl(file: Path, rows: list[dict]) -> Path:
    """Rows as a JSON Lines file."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs' folders hold the same weights, metrics and log, but for the times."""
    from safetensors.torch import load_file

    weights, same = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (one, other))
    assert first["validation"] == second["validation"]
    assert first["run"]["best_step"] == second["run"]["best_step"]

    def log(folder: Path) -> list[dict]:
        newest = max(folder.glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name[11:]))
        rows = json.loads(newest.read_text())["log_history"]
        return [
            {name: value for name, value in row.items() if "runtime" not in name and "per" not in name} for row in rows
        ]

    assert log(one) == log(other)
