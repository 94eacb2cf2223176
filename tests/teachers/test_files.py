"""Fingerprint of the files of a model."""

import hashlib
import shutil

import pytest

from hf_rnn.teachers.files import fingerprint_of
from hf_rnn.utils.errors import ConfigError

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"[]", "README.md": b"card"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    for name, content in FILES.items():
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


def test_a_copy_has_the_same_fingerprint_and_a_card_does_not_count(folder):
    copy = shutil.copytree(folder, folder.parent / "copy")
    (copy / "README.md").write_text("another card")
    (copy / "pytorch_model.bin").write_text("weights that transformers does not read beside safetensors")
    assert fingerprint_of(copy) == fingerprint_of(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_each_file_that_answers_depend_on_counts(folder, name):
    before = fingerprint_of(folder)
    (folder / name).write_bytes(b"other")
    assert fingerprint_of(folder) != before


def test_the_cache_of_the_hub_has_the_fingerprint_of_a_copy_and_large_files_are_not_read(folder):
    cache = folder.parent / "cache"
    (cache / "blobs").mkdir(parents=True)
    (cache / "snapshots").mkdir()
    for name, content in FILES.items():
        is_large = name == "model.safetensors"
        blob = cache / "blobs" / getattr(hashlib, "sha256" if is_large else "sha1")(content).hexdigest()
        blob.write_bytes(b"not read" if is_large else content)
        (cache / "snapshots" / name).symlink_to(blob)
    assert fingerprint_of(cache / "snapshots") == fingerprint_of(folder)


@pytest.mark.parametrize(
    ("name", "told"),
    [("config.json", "has no config.json"), ("model.safetensors", r"has no \*.safetensors or pytorch_model\*.bin")],
)
def test_a_folder_without_a_model_is_an_error(folder, name, told):
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=told):
        fingerprint_of(folder)
