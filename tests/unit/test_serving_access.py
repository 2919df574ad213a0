"""A server behind a proxy: where it listens, which names it answers to, the path in front of it, the token in a file."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("starlette", reason="the extra [serve] is not installed")

from voxtune.cli import main
from voxtune.errors import UsageError
from voxtune.serving.access import Access, RootPath
from voxtune.serving.guard import Guard

TOKEN = "a-long-enough-token"
PROXIED = Access(host="0.0.0.0", port=80, root_path="/voxtune", trusted=("scans.hospital.example",))


def asked(
    access: Access, path: str, *, host: str, client: str = "10.0.0.9", query: str = "", **headers: str
) -> tuple[int, str]:
    """Status of a request through guard and root path, and the path that the routes see or where it leads."""
    seen: list[str] = []
    sent: list[dict[str, Any]] = []

    async def routes(scope: Any, receive: Any, send: Any) -> None:
        del receive
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(b"host", host.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": raw,
        "client": (client, 5), "server": ("x", 80), "scheme": "http", "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    app = RootPath(Guard(routes, TOKEN, access.port, access), access.root_path)
    asyncio.run(app(scope, receive, send))
    answer = sent[0]
    leads = {name.decode(): value.decode() for name, value in answer["headers"]}.get("location", "")
    return answer["status"], seen[0] if seen else leads


def test_a_proxy_is_asked_by_its_name_and_with_or_without_its_path() -> None:
    name, query = "scans.hospital.example", f"token={TOKEN}"
    assert asked(PROXIED, "/voxtune/api/v1/scans", host=name, query=query) == (200, "/api/v1/scans")
    assert asked(PROXIED, "/api/v1/scans", host=name.upper(), query=query) == (200, "/api/v1/scans")
    assert asked(PROXIED, "/", host=name, query=query, origin=f"https://{name}") == (200, "/")
    assert asked(PROXIED, "/voxtune", host=name, query=query) == (307, f"/voxtune/?{query}"), (
        "links are relative"
    )
    assert asked(PROXIED, "/voxtune", host=name) == (307, "/voxtune/")
    assert asked(PROXIED, "/voxtune/", host=name)[0] == 401
    assert asked(PROXIED, "/", host="evil.example", query=query)[0] == 403
    assert asked(PROXIED, "/", host=name, query=query, origin="https://evil.example")[0] == 403


def test_only_a_probe_on_the_same_machine_goes_without_the_token() -> None:
    assert asked(PROXIED, "/health", host="127.0.0.1:80", client="127.0.0.1") == (200, "/health")
    assert (
        asked(PROXIED, "/health", host="127.0.0.1:80", client="127.0.0.1", x_forwarded_for="10.0.0.9")[0]
        == 401
    )
    assert asked(PROXIED, "/health", host="scans.hospital.example")[0] == 401
    assert asked(PROXIED, "/metrics", host="127.0.0.1:80", client="127.0.0.1")[0] == 401


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", {"127.0.0.1:9", "localhost:9"}),
        ("localhost", {"127.0.0.1:9", "localhost:9"}),
        ("::1", {"127.0.0.1:9", "localhost:9", "[::1]:9"}),
        ("127.0.0.2", {"127.0.0.1:9", "localhost:9", "127.0.0.2:9"}),
    ],
)
def test_this_machine_alone_is_the_default(host: str, names: set[str]) -> None:
    access = Access(host=host)
    access.check()
    assert access.hosts(9) == names


def test_strangers_need_a_name_that_is_trusted() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "scans.hospital.example"):
        with pytest.raises(UsageError, match="--trusted-host NAME"):
            Access(host=host).check()
    PROXIED.check()
    assert PROXIED.hosts(80) >= {"scans.hospital.example", "scans.hospital.example:80"}
    for path in ("voxtune", "/voxtune/"):
        with pytest.raises(UsageError, match="--root-path is a path"):
            Access(root_path=path).check()
    said = CliRunner().invoke(main, ["serve", "demo", "--host", "0.0.0.0"])
    assert said.exit_code == 2
    assert "--trusted-host" in said.output


def test_a_token_file_is_made_for_its_owner_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    access = Access(token_file=file)
    token = access.token()
    assert access.token() == token == file.read_text(encoding="ascii").strip()
    assert file.stat().st_mode & 0o077 == 0
    assert token not in access.address(8765, token), "it is not printed where it is kept"
    assert Access().token() != Access().token()
    assert Access().address(8765, token) == f"http://127.0.0.1:8765/?token={token}"
    assert PROXIED.address(80, token) == f"https://scans.hospital.example/voxtune/?token={token}"
    for bad in ("short", "two words of a token file"):
        file.write_text(bad, encoding="ascii")
        with pytest.raises(UsageError, match="holds no token"):
            access.token()
    with pytest.raises(UsageError, match="cannot be read or written"):
        Access(token_file=tmp_path / "none" / "token").token()
