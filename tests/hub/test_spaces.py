"""Tests of the demo page of a model, pushed as a Space."""

import yaml


def test_a_space_is_one_commit_and_can_be_pushed_again(server, client, tiny_run):
    code, said, _ = client.cli("demo", tiny_run, "--space", "user/page")
    assert code == 0
    assert said.strip().endswith("user/page")
    repo = server.repo("user/page", "space")
    files = repo.files()
    assert {"app.py", "requirements.txt", "README.md", "hf_rnn/app/demo.py", "model/model.safetensors"} <= files.keys()
    assert yaml.safe_load(files["README.md"].decode().split("---")[1])["sdk"] == "gradio"
    assert repo.history()[0].title == "Upload the page of a model"
    assert client.cli("demo", tiny_run, "--space", "user/page")[0] == 0
    assert repo.files() == files


def test_what_the_hub_does_not_take(server, client, tiny_run):
    assert "there is no token" in client.fails("demo", tiny_run, "--space", "user/page", token="")
    assert "other" in client.fails("demo", tiny_run, "--space", "other/page")
