"""Teachers behind an OpenAI-compatible endpoint, against a server on 127.0.0.1."""

import json
import logging
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from hf_rnn.teachers import endpoint
from hf_rnn.teachers.endpoint import PROMPT, endpoint_teacher
from hf_rnn.utils.errors import ConfigError, HfRnnError

LABELS = ["neg", "pos"]
SINGLE = "single_label_classification"
KEY = "sk-secret-key"


def answer(content, tokens=None):
    logprobs = None if tokens is None else {"content": tokens}
    return 200, {"choices": [{"message": {"role": "assistant", "content": content}, "logprobs": logprobs}]}


def with_logprobs(pos):
    """Return an answer whose first token has the given probability of pos."""
    tops = [{"token": "pos", "logprob": math.log(pos)}, {"token": "neg", "logprob": math.log(1 - pos)}]
    return answer("pos", [tops[0] | {"top_logprobs": tops}])


class Server:
    """Server that answers each request with the result of a function of its body and number."""

    def __init__(self):
        self.requests, self.headers, self.reply = [], [], None
        self.end, self.lock = threading.Event(), threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    server.requests.append((self.path, body))
                    server.headers.append(self.headers)
                    number = len(server.requests)
                status, content, *more = server.reply(body, number)
                if status is None:
                    server.end.wait()
                    return
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in more:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads, self.http.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.end.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    served = Server()
    yield served
    served.close()


@pytest.fixture
def waits(monkeypatch):
    """Return the waits between tries, which end at once."""
    seconds = []
    monkeypatch.setattr(endpoint, "sleep", seconds.append)
    return seconds


def teacher_of(server, **options):
    return endpoint_teacher(server.url, LABELS, SINGLE, **{"model": "tiny"} | options)


def test_probabilities_of_the_first_token_are_those_of_the_labels(server):
    server.reply = lambda body, number: with_logprobs(0.9 if "good" in body["messages"][0]["content"] else 0.25)
    teacher = teacher_of(server)
    texts = [("good",), ("bad",)] * 10
    np.testing.assert_allclose(teacher.answers(texts), [[0.1, 0.9], [0.75, 0.25]] * 10)
    path, body = server.requests[0]
    assert (path, body["model"], body["temperature"], body["logprobs"]) == ("/v1/chat/completions", "tiny", 0, True)
    assert len(server.requests) == 20
    assert (teacher.name, teacher.labels, teacher.outputs, teacher.unnamed) == (server.url, LABELS, "probabilities", 0)


def test_a_label_in_an_answer_without_probabilities_has_most_of_the_probability(server):
    server.reply = lambda body, number: answer("The label is Neg.")
    np.testing.assert_allclose(teacher_of(server).answers([("a",)]), [[0.9, 0.1]])


def test_an_endpoint_that_refuses_logprobs_is_asked_without_them(server):
    def reply(body, number):
        refused = {"error": {"message": "logprobs are not supported by this model"}}
        return (400, refused) if "logprobs" in body else answer("pos")

    server.reply = reply
    teacher = teacher_of(server)
    np.testing.assert_allclose(teacher.answers([("a",)]), [[0.1, 0.9]])
    np.testing.assert_allclose(teacher.answers([("b",)]), [[0.1, 0.9]])
    assert ["logprobs" in body for _, body in server.requests] == [True, False, False]


def test_the_prompt_has_the_text_and_the_labels(server):
    server.reply = lambda body, number: answer("pos")
    teacher_of(server, prompt='{"q": "{labels}?", "t": "{text}"}').answers([("with {labels}", "second")])
    (_, body), *_ = server.requests
    assert body["messages"] == [{"role": "user", "content": '{"q": "neg, pos?", "t": "with {labels}\nsecond"}'}]


def test_an_answer_without_a_label_is_asked_for_once_more(server):
    server.reply = lambda body, number: answer("I like it" if number == 1 else "pos")
    np.testing.assert_allclose(teacher_of(server).answers([("a",)]), [[0.1, 0.9]])
    roles = [message["role"] for message in server.requests[1][1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert server.requests[1][1]["messages"][1]["content"] == "I like it"


def test_texts_without_a_label_are_counted_and_warned_about_once(server, caplog):
    server.reply = lambda body, number: answer(None if "empty" in body["messages"][0]["content"] else "neg or pos")
    teacher = teacher_of(server)
    with caplog.at_level(logging.WARNING, "hf_rnn"):
        assert teacher.answers([("a",), ("b",)]).tolist() == [[0.5, 0.5]] * 2
        teacher.answers([("empty",)])
    assert teacher.unnamed == 3
    (record,) = caplog.records
    assert "the answer 'neg or pos' of 'tiny' names none of the labels, or several" in record.getMessage()


@pytest.mark.parametrize(
    ("status", "header", "waited"),
    [(429, [("Retry-After", "0")], [0]), (429, [("Retry-After", "7")], [7]), (503, [], [1]), (429, [], [1])],
)
def test_a_request_is_tried_again_after_the_time_that_the_server_names(server, waits, status, header, waited):
    server.reply = lambda body, number: (status, {"error": "busy"}, *header) if number == 1 else answer("pos")
    np.testing.assert_allclose(teacher_of(server).answers([("a",)]), [[0.1, 0.9]])
    assert waits == waited


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"error": {"message": "out of memory."}}, r"status 500 \(out of memory\)"),
        ({"detail": "no GPU"}, r"status 500 \(no GPU\)"),
        (b"<html>\nbroken</html>", r"status 500 \(<html> broken</html>\)"),
        (b"", r"status 500 \(no message\)"),
    ],
)
def test_a_server_that_fails_for_good_is_an_error_with_its_message(server, waits, content, told):
    server.reply = lambda body, number: (500, content)
    with pytest.raises(
        HfRnnError, match=f"{server.url}' failed 5 times, .* {told}: .* run the same command again to go"
    ):
        teacher_of(server).answers([("a",)])
    assert (waits, len(server.requests)) == ([1, 2, 4, 8], 5)


@pytest.mark.parametrize("content", [b"{", b"[]", {"choices": []}, {"choices": [{"message": {"content": 3}}]}])
def test_an_answer_that_is_not_of_the_chat_api_is_an_error(server, waits, content):
    server.reply = lambda body, number: (200, content)
    with pytest.raises(
        HfRnnError, match=r"failed 5 times, the last time with '.*', which is not an answer of the chat"
    ):
        teacher_of(server).answers([("a",)])


def test_a_server_that_is_silent_is_tried_again(server, waits):
    server.reply = lambda body, number: (None, b"") if number == 1 else answer("pos")
    np.testing.assert_allclose(teacher_of(server, timeout=1).answers([("a",)]), [[0.1, 0.9]])
    assert waits[0] == 1


def test_an_address_without_a_server_is_an_error(server, waits):
    teacher = teacher_of(server)
    server.http.server_close()
    with pytest.raises(HfRnnError, match=r"failed 5 times, the last time with Connect\w+ \(.*\): check the server"):
        teacher.answers([("a",)])


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, r"status 401 \(wrong …\): set the environment variable OPENAI_API_KEY to a valid key"),
        (403, "status 403 .*: set the environment variable OPENAI_API_KEY"),
        (404, "status 404 .*: check the address, which often ends in /v1, and teacher.endpoint_model='tiny'"),
        (422, "status 422 .*: check teacher.endpoint_model='tiny' and teacher.prompt"),
    ],
)
def test_a_refusal_is_an_error_at_once_that_does_not_show_the_key(server, waits, monkeypatch, status, told):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    server.reply = lambda body, number: (status, {"error": {"message": f"wrong {KEY}"}})
    teacher = teacher_of(server)
    with pytest.raises(HfRnnError, match=told) as caught:
        teacher.answers([("a",)])
    assert (waits, len(server.requests)) == ([], 1)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value) + str(teacher.key)


def test_without_a_key_no_authorization_is_sent(server):
    server.reply = lambda body, number: answer("pos")
    teacher_of(server).answers([("a",)])
    assert "Authorization" not in server.headers[0]


def test_the_key_of_the_answers_follows_the_address_the_model_the_prompt_and_the_labels():
    def key(url="http://a/v1", labels=LABELS, model="m", prompt=PROMPT):
        return endpoint_teacher(url, labels, SINGLE, model=model, prompt=prompt).key

    assert key() == key("http://a/v1/") == key("http://a/v1/chat/completions")
    others = {key("http://b/v1"), key(labels=["neg", "pos", "x"]), key(model="n"), key(prompt="{text}")}
    assert len(others | {key()}) == 5


@pytest.mark.parametrize(
    ("url", "problem_type", "options", "told"),
    [
        ("http://", SINGLE, {}, "teacher.path='http://' is not the address of an endpoint: write it as http://local"),
        ("http://a:port/v1", SINGLE, {}, "teacher.path='http://a:port/v1' is not the address"),
        ("http://me:pass@a/v1", SINGLE, {}, "teacher.path='http://…@a/v1' is not the address"),
        (
            "http://a/v1",
            SINGLE,
            {"model": None},
            "'http://a/v1' serves models by name: write teacher.endpoint_model=NAME",
        ),
        ("http://a/v1", SINGLE, {"prompt": "Label?"}, r"teacher.prompt='Label\?' has no \{text\}"),
        ("http://a/v1", "regression", {}, "names one of several labels for each text, and the data is a regression"),
    ],
)
def test_wrong_settings_are_an_error(url, problem_type, options, told):
    with pytest.raises(ConfigError, match=told):
        endpoint_teacher(url, LABELS, problem_type, **{"model": "m"} | options)


def test_a_key_with_other_characters_is_an_error_that_does_not_show_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\nsecret")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds characters that a key cannot have") as caught:
        endpoint_teacher("http://a/v1", LABELS, SINGLE, model="m")
    assert "secret" not in str(caught.value)
