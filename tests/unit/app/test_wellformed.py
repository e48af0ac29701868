"""What is refused of a request before anything is opened."""

import pytest

from jettison.app.request import BuildRequest
from jettison.app.wellformed import check_request
from jettison.base.errors import UsageError


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (BuildRequest(allow=("network.host", "all")), "invalid entitlement: 'all'"),
        (BuildRequest(add_hosts=("db",)), "--add-host: bad host entry 'db'"),
        (BuildRequest(add_hosts=("db:bar",)), "--add-host: invalid IP address 'bar' of host db"),
        (BuildRequest(jobs=-1), "-1 steps"),
        (BuildRequest(tags=("UPPER",)), "must be lowercase"),
    ],
)
def test_what_no_build_could_honour(request_: BuildRequest, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_request(request_)


def test_what_builds_can_honour() -> None:
    check_request(
        BuildRequest(allow=("network.host", "security.insecure", "device=x"), add_hosts=("a=::1", "b:host-gateway"))
    )
