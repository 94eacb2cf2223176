"""Tests of model cards on the Hub."""

import pytest
from support.hub import calls
from support.hub.client import tiny_training
from support.hub.server import Fault

from hf_rnn.hub.card_merge import MARKER


def test_what_was_written_by_hand_survives_the_next_push(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    repo = server.repo(repo_id)
    card = repo.files()["README.md"].decode()
    assert f"# {repo_id.removeprefix('user/')}\n" in card, "the heading is not the folder's"
    edited = card.replace("---\n\n# ", "license: mit\ntags: [mine]\n---\n\n# My own\n\nWords of mine.\n\n# ", 1)
    edited = edited.replace("tags:\n- hf_rnn\n- rnn\n- lstm\n", "").replace("## Labels", "## Edited below the line")
    blob = type(repo.history()[0].files["README.md"])(edited.encode())
    repo.add({**repo.history()[0].files, "README.md": blob}, "edited", "user")
    (model / "README.md").write_text(f"# Words of the folder\n\n{MARKER}\n")
    assert client.cli("push", model, repo_id)[0] == 0
    after = repo.files()["README.md"].decode()
    assert "Words of mine." in after
    assert "license: mit" in after
    assert all(f"- {tag}\n" in after for tag in ("mine", "hf_rnn"))
    assert "## Labels" in after
    assert "Edited below the line" not in after
    assert after.count(MARKER) == 1
    assert client.cli("push", model, repo_id, "--overwrite_card")[0] == 0
    assert "# Words of the folder" in repo.files()["README.md"].decode()


@pytest.mark.parametrize(("kind", "times", "code"), [(500, 1, 0), (403, 99, 1)])
def test_a_card_that_cannot_be_read_is_not_taken_for_none(server, client, model, repo_id, kind, times, code):
    server.create(repo_id, files={"README.md": b"# Mine\n\nWords of mine.\n"})
    server.faults.append(Fault(kind, "HEAD .*README.md", times))
    assert client.cli("push", model, repo_id)[0] == code
    assert b"Words of mine." in server.repo(repo_id).files()["README.md"]


@pytest.mark.parametrize("card", [b"---\nlicense: [mit\n---\n# m", b"---\n- a\n---\n# m", b"# caf\xe9"])
@pytest.mark.slow
def test_a_card_that_makes_no_sense(server, client, model, repo_id, tiny_run, tmp_path, card):
    server.create(repo_id, files={"README.md": card})
    assert f"hf-rnn push FOLDER {repo_id} --overwrite_card" in client.fails("push", model, repo_id)
    assert server.repo(repo_id).files()["README.md"] == card
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=every_save"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "README.md").write_bytes(card)
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=1)
    assert "The model is complete in" in client.fails("train", *run, *hub)
    assert (tmp_path / "run" / "metrics.json").exists()
    assert (tmp_path / "run" / "README.md").read_bytes() == card


@pytest.mark.parametrize(
    "card",
    [b"---\nlicense: [mit\n---\n# m", b"---\n- a\n---\n# m", b"# caf\xe9", b"---\nlanguage: [Klingon!]\n---\n# m"],
)
def test_a_broken_card_on_the_hub_gives_way_where_that_is_asked_for(server, client, model, repo_id, card):
    server.create(repo_id, files={"README.md": card})
    assert "--overwrite_card" in client.fails("push", model, repo_id)
    assert server.repo(repo_id).files()["README.md"] == card
    assert client.cli("push", model, repo_id, "--overwrite_card")[0] == 0
    assert server.repo(repo_id).files()["README.md"].decode().count(MARKER) == 1


def test_a_card_of_placeholders_gives_way(server, client, model, repo_id):
    placeholders = b"---\nlibrary_name: transformers\n---\n# Model Card\n\n[More Information Needed]\n"
    server.create(repo_id, files={"README.md": placeholders})
    client(calls.push_to_hub, str(model), repo_id)
    assert b"More Information Needed" not in server.repo(repo_id).files()["README.md"]


def test_what_the_hub_says_of_a_right_that_is_lacking_is_passed_on(server, client, model, repo_id):
    server.faults.append(Fault(403, "POST .*/commit/"))
    error = client.fails("push", model, repo_id)
    assert "(told to fail)" in error
    assert "push to user/" not in error
