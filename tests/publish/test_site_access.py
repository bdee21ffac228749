"""Who gets what from the site: other host names, raw records, odd addresses, tries at a password."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from datasette.app import Datasette

from evidence.errors import ConfigError
from evidence.publish import serve, site_access
from evidence.review import reviewer_desk
from tests import site_sample
from tests.publish.site_server import served


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site_sample.make_sample(tmp_path_factory.mktemp("access") / "evidence.db")


async def site(db: Path) -> Datasette:
    ds = Datasette([str(db)], config_dir=serve.site_folder())
    await ds.invoke_startup()
    return ds


# ---------------------------------------------------------------------- host names


def test_on_this_machine_the_site_answers_to_its_own_names_only(sample: Path) -> None:
    environment = serve.environment("127.0.0.1", ["Desk.example.edu"])
    with served(sample, environment) as address:
        port = address.rsplit(":", 1)[1]
        for host in (
            "localhost",
            f"localhost:{port}",
            "127.0.0.1:1",
            f"[::1]:{port}",
            "desk.example.edu",
            "LOCALHOST.",
        ):
            assert httpx.get(f"{address}/evidence.json", headers={"host": host}).status_code == 200, host
        for host in (
            "attacker.example", f"attacker.example:{port}", "localhost.attacker.example", "192.168.0.7", "", "a@localhost",
            "127.0.0.1.attacker.example", "localhost:port", "localhost, attacker.example",
        ):  # fmt: skip
            for path in ("/", "/evidence/snapshots.json", "/static/evidence.css", "/-/versions.json"):
                answer = httpx.get(address + path, headers={"host": host})
                assert answer.status_code in (400, 421), (host, path)
                assert answer.text.count("\n") <= 1
        answer = httpx.post(f"{address}/desk/decide", headers={"host": "attacker.example"})
        assert (answer.status_code, "does not answer to that host name" in answer.text) == (421, True)


@pytest.mark.parametrize(
    ("host", "others", "public", "answered", "refused"),
    [
        ("localhost", (), True, ("localhost", "[::1]:8001"), ("tracker.example.edu", "10.0.0.5")),
        ("::1", (), False, ("[::1]:8001",), ("tracker.example.edu",)),
        ("127.0.0.5", (), False, ("127.0.0.5", "localhost"), ("127.0.0.6",)),
        ("127.0.0.1", ("a.example", "b.example:8001"), False, ("a.example", "b.example", "A.example:99"), ("c.example",)),
        ("0.0.0.0", (), False, ("10.0.0.5:8001", "[fe80::1]", "localhost"), ("attacker.example", "10.0.0.5.example")),
        ("tracker.example.edu", (), False, ("tracker.example.edu", "127.0.0.1"), ("attacker.example",)),
        ("0.0.0.0", ("tracker.example.edu",), True, ("tracker.example.edu",), ("attacker.example",)),
    ],
)  # fmt: skip
def test_host_names_follow_from_the_address_to_listen_on(
    host: str, others: tuple[str, ...], public: bool, answered: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    allowed = site_access.hosts_in(serve.environment(host, others, public=public))
    for name in answered:
        assert site_access.host_is_allowed(name, allowed), name
    for other in (*refused, None, ""):
        assert not site_access.host_is_allowed(other, allowed), other


def test_a_public_site_on_a_network_answers_to_every_name() -> None:
    assert site_access.hosts_in(serve.environment("0.0.0.0", public=True)) == ()


@pytest.mark.parametrize("name", ["", "https://desk.example.edu", "a,b", "a b", "user@desk", "desk:port", "/"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="give a host name"):
        serve.environment("127.0.0.1", [name])


# ---------------------------------------------------------------------- the login link


def test_no_log_has_the_secret_of_the_login_link(sample: Path, tmp_path: Path) -> None:
    desk, page = reviewer_desk.local_desk(sample, tmp_path / "decisions.db", "A. Reader")
    secret = page.partition("token=")[2]
    with served(sample, {**desk, **serve.environment("127.0.0.1")}, log=tmp_path / "log") as address:
        for _ in range(2):
            assert httpx.get(address + page).status_code in (302, 403)
        assert httpx.get(address + page + "x").status_code == 403
    log = (tmp_path / "log").read_text()
    assert "/desk/login" in log
    assert secret not in log
