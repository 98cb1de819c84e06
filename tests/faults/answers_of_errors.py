"""What every answer that is not a success has to be, whatever was sent."""

import httpx

NOT_A_CALLERS_BUSINESS = ("Traceback", "/work", "/tmp", "site-packages", ".py", "PIL", "pydantic")


def complaint(response: httpx.Response) -> str:
    """Check that an answer is one of ours for a bad request; return its sentence."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.text[:300]}"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    message = str(error["message"])
    assert len(message.split()) >= 3, message
    assert len(message) < 1000
    assert not [word for word in NOT_A_CALLERS_BUSINESS if word in message], message
    return message
