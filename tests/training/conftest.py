from pathlib import Path

import pytest
from support import write_jsonl
from support.reviews import made_up_reviews
from support.tagging import sentences
from support.translating import pairs


@pytest.fixture(scope="session")
def reviews(tmp_path_factory) -> Path:
    """Return a file of 131 reviews, an odd number that two processes cannot share equally."""
    file = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    rows = made_up_reviews(131)
    lines = ["text,label", *(f'"{text}",{label}' for text, label in zip(rows["text"], rows["label"], strict=True))]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def tagged(tmp_path_factory) -> Path:
    """Return a file of 131 sentences with named entities."""
    return write_jsonl(tmp_path_factory.mktemp("tagged") / "rows.jsonl", sentences(131))


@pytest.fixture(scope="session")
def translated(tmp_path_factory) -> Path:
    """Return a file of 131 pairs of texts."""
    return write_jsonl(tmp_path_factory.mktemp("translated") / "rows.jsonl", pairs(131))


@pytest.fixture(scope="module")
def lean_runs():
    """Let runs of a module draw no pictures and write neither report nor card, which take most of a short run."""
    from hf_rnn.training import run, run_folder

    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_pictures", "add_report"):
            patch.setattr(run, name, lambda *_: None)
        patch.setattr(run_folder, "render_folder", lambda *_: "# A model")
        patch.setattr(run_folder, "merge", lambda card, *_, **__: card)
        yield
