"""Tests that errors show the Hub's own reason and advice that fits the reason."""

import pytest
from support.hub.server import Fault

EXPIRED = 'User Access Token "laptop" is expired'
LARGE = "File too large: 60GB, limit 50GB"
RATE = "You have exceeded our hourly quotas for action: git. Please retry later"
TOKEN = "Your fine-grained token does not allow write; upgrade its permissions"
CARD = "Invalid metadata: model-index exceeds the maximum size"
QUOTA = "Private repository storage limit reached, please upgrade your plan"


@pytest.mark.parametrize(
    ("fault", "words", "other"),
    [
        (
            Fault(401, "POST /api/repos/create", 9, reason=EXPIRED),
            ["does not accept the token in use", EXPIRED, "set HF_TOKEN to one that is valid"],
            "settings/tokens",
        ),
        (Fault(401, "GET /api/models/", 9, reason=EXPIRED), [EXPIRED, "set HF_TOKEN"], "is not on the Hub"),
        (
            Fault(401, "POST .*/commit/", 9, reason="Invalid username or password."),
            ["does not accept the token in use (Invalid"],
            "private",
        ),
        (Fault(403, "POST .*/commit/", 9, reason=QUOTA), ["has no room for", QUOTA, "free space"], "hf auth login"),
        (Fault(413, "POST .*/commit/", 9, reason="big"), ["larger than the Hub takes (big)", "max_shard_size"], "room"),
        (Fault(422, "POST .*/commit/", 9, reason=LARGE), [f"larger than the Hub takes ({LARGE})"], "no room"),
        (Fault(403, "POST .*/commit/", 99, reason=RATE), ["takes no more requests for now (403)", RATE], "no room"),
        (Fault(403, "POST .*/commit/", 9, reason=TOKEN), [TOKEN, "hf auth login"], "no room"),
        (Fault(403, "POST .*/commit/", 9, reason="You need to upgrade huggingface_hub"), ["may not push"], "no room"),
        (Fault(403, "POST .*/commit/", 9, reason="The storage backend denies access"), ["may not push"], "no room"),
        (Fault(400, "POST .*/commit/", 9, reason=CARD), ["finds the card's metadata invalid", CARD], "no room"),
        (Fault(407, "POST .*/commit/", 9, reason="who?"), ["a proxy", "(407)", "set HTTPS_PROXY"], "refused"),
        (Fault(408, "POST .*/commit/", 99, reason="slow"), ["(408)", "check the network and the proxy"], "refused"),
        (Fault("511 html", "POST .*/commit/", 99), ["it sends a web page, 'Log in'", "log in to the network"], "<html"),
        (Fault(507, "POST .*/commit/", 9, reason="full"), ["has no room for", "(full)", "free space"], "again later"),
        (Fault("refused_object", "POST .*/batch", 9, reason=QUOTA), ["has no room for", QUOTA], "hf auth login"),
        (Fault(403, "POST .*/commit/", 9, reason="not in your country"), ["(not in your country)"], "push to user/"),
        (
            Fault(400, "POST .*/commit/", 9, reason="README.md: no such license"),
            ["no such license", "of README.md"],
            "?",
        ),
        (Fault(400, "POST .*/commit/", 9, reason="no such thing"), ["the Hub refused (400): no such thing."], "README"),
        (Fault(503, "POST .*/commit/", 99, reason="back at noon"), ["fails (503)", "The Hub says: back at noon."], "?"),
    ],
    ids=lambda value: f"{value.kind}-{value.reason[:9]}" if isinstance(value, Fault) else "",
)
def test_a_push_that_is_refused_for_a_reason(server, client, model, repo_id, fault, words, other):
    fault.in_header = False
    server.faults.append(fault)
    error = client.fails("push", model, repo_id)
    assert [word for word in words if word not in error] == []
    assert other not in error


def test_what_has_no_room_is_not_tried_again(server, client, model, repo_id):
    fault = Fault(507, "POST .*/commit/", 9, reason="full", in_header=False)
    server.faults.append(fault)
    client.fails("push", model, repo_id)
    assert fault.times == 8


def test_a_token_that_is_no_longer_valid_is_not_taken_for_a_name_that_is_not_there(server, client, repo_id):
    server.faults.append(Fault(401, "GET /api/models/", 9, reason=EXPIRED, in_header=False))
    error = client.fails("predict", repo_id, "text")
    assert EXPIRED in error
    assert "set HF_TOKEN to one that is valid" in error


def test_too_many_requests_in_an_hour_are_tried_again_whatever_their_status(server, client, model, repo_id):
    server.faults.append(Fault(403, "POST .*/commit/", 3, reason=RATE, in_header=False))
    assert client.cli("push", model, repo_id)[0] == 0
    assert not server.faults[0].times
