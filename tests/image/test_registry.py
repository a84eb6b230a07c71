"""Registries: logins, uploads that break and go on, redirects, and what is said when one refuses. Real ones where they show the rule."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from modelport.errors import TargetRefused, UnreadableFile, UsageError
from modelport.image.login import bearer, credentials
from modelport.image.order import Access, Credentials
from modelport.image.reference import parse
from modelport.image.registry import Registry, words
from modelport.image.store import Descriptor, Store
from modelport.image.transport import Transport

KIND = "application/octet-stream"
SECRET = Credentials("AWS", "secret")


def to(host: str, access: Access | None = None, path: str = "team/model") -> Registry:
    return Registry(parse(f"{host}/{path}:1"), access or Access(), pause=lambda seconds: None)


@dataclass
class Faulty:
    """A registry by the specification that breaks connections: ``cuts`` are bytes of an upload after which it hangs up."""

    cuts: list[int] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    upload: bytearray = field(default_factory=bytearray)
    starts: list[int] = field(default_factory=list)
    served: list[tuple[str, str]] = field(default_factory=list)
    downloads_cut: int = 0
    token: str = ""
    moved: str = ""
    busy: int = 0


def _handler(state: Faulty) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # one method a verb
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            return

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def is_welcome(self) -> bool:
            state.served.append((self.command, self.headers.get("Authorization", "")))
            if state.token and self.headers.get("Authorization") != f"Bearer {state.token}":
                host = self.headers["Host"]
                challenge = f'Bearer realm="http://{host}/token",service="test",scope="repository:team/model:pull,push"'
                self.answer(401, WWW_Authenticate=challenge)
                return False
            return True

        def do_HEAD(self) -> None:
            if self.is_welcome():
                self.answer(200 if self.path.rpartition("/")[2] in state.blobs else 404)

        def do_GET(self) -> None:
            if self.path.startswith("/token"):
                assert parse_qs(urlsplit(self.path).query)["scope"] == ["repository:team/model:pull,push"]
                wanted = base64.b64encode(b"AWS:secret").decode()
                is_known = self.headers.get("Authorization") == f"Basic {wanted}"
                self.answer(200 if is_known else 401, json.dumps({"token": state.token}).encode())
            elif self.is_welcome():
                self.get()

        def get(self) -> None:
            if state.busy:
                state.busy -= 1
                self.answer(503)
            elif "/uploads/" in self.path:
                self.answer(204, Range=f"0-{max(0, len(state.upload) - 1)}", Location=self.path)
            elif state.moved:
                self.answer(307, Location=state.moved)
            else:
                data = state.blobs[self.path.rpartition("/")[2]]
                found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                rest = data[int(found[1]) :] if found else data
                if state.downloads_cut:
                    state.downloads_cut -= 1
                    self.send_response(206 if found else 200)
                    self.send_header("Content-Length", str(len(rest)))
                    self.end_headers()
                    self.wfile.write(rest[: len(rest) // 2])
                    self.close_connection = True
                else:
                    self.answer(206 if found else 200, rest)

        def do_POST(self) -> None:
            if self.is_welcome():
                state.upload.clear()
                self.answer(202, Location="/v2/team/model/blobs/uploads/1?state=a%2Fb")

        def do_PATCH(self) -> None:
            if not self.is_welcome():
                return
            length = int(self.headers["Content-Length"])
            start = int(self.headers.get("Content-Range", "0-").partition("-")[0])
            state.starts.append(start)
            if start != len(state.upload):
                self.rfile.read(length)
                self.answer(416)
                return
            cut = state.cuts.pop(0) if state.cuts else length
            state.upload += self.rfile.read(min(cut, length))
            if cut < length:
                self.close_connection = True
                return
            self.answer(202, Location=self.path)

        def do_PUT(self) -> None:
            if self.is_welcome():
                digest = parse_qs(urlsplit(self.path).query)["digest"][0]
                data = bytes(state.upload)
                is_right = digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
                if is_right:
                    state.blobs[digest] = data
                self.answer(201 if is_right else 400)

    return Handler


@pytest.fixture
def faulty() -> Iterator[tuple[Faulty, str]]:
    state = Faulty()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state, f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_upload_that_breaks_goes_on_where_the_registry_has_it(faulty: tuple[Faulty, str], store: Store) -> None:
    state, host = faulty
    blob = store.put(bytes(range(256)) * 20_000, KIND)
    state.cuts = [1_000_000, 3_000_000]
    registry = to(host)
    assert registry.upload(blob, store)
    assert state.starts == [0, 1_000_000, 4_000_000]
    assert not registry.upload(blob, store)
    registry.close()


def test_a_download_that_breaks_goes_on_from_there_and_is_checked(faulty: tuple[Faulty, str], store: Store, tmp_path: Path) -> None:
    state, host = faulty
    data = bytes(range(256)) * 20_000
    blob = store.put(data, KIND)
    state.blobs[blob.digest] = data
    state.downloads_cut = 2
    other = Store(tmp_path / "other")
    to(host).fetch(blob, other)
    assert other.read(blob) == data
    state.blobs[blob.digest] = data[:-1] + b"x"
    with pytest.raises(TargetRefused, match="somebody changed it"):
        to(host).fetch(blob, Store(tmp_path / "third"))


def test_a_registry_that_is_busy_is_asked_again_and_one_that_is_gone_is_said_to_be(faulty: tuple[Faulty, str], store: Store) -> None:
    state, host = faulty
    blob = store.put(b"x", KIND)
    state.blobs[blob.digest], state.busy = b"x", 3
    pauses: list[float] = []
    registry = Registry(parse(f"{host}/team/model:1"), Access(), pause=pauses.append)
    assert registry.manifest(blob.digest)[0] == b"x"
    assert [round(seconds, 3) > 0 for seconds in pauses] == [True] * 3
    with pytest.raises(TargetRefused, match=r"127\.0\.0\.1:1 cannot be reached .* 6 times"):
        to("127.0.0.1:1").has(blob)


def test_a_token_is_fetched_with_the_login_and_shown_to_the_registry(faulty: tuple[Faulty, str], store: Store) -> None:
    state, host = faulty
    state.token = "abc.def"
    blob = store.put(b"layer", KIND)
    assert to(host, Access(SECRET)).upload(blob, store)
    assert {login for command, login in state.served if command in ("POST", "PATCH", "PUT")} == {"Bearer abc.def"}
    with pytest.raises(TargetRefused, match='does not take the login of "AWS"'):
        to(host, Access(Credentials("AWS", "wrong"))).has(blob)


def test_a_login_is_not_taken_along_to_another_host(faulty: tuple[Faulty, str], store: Store) -> None:
    state, host = faulty
    blob = store.put(b"layer", KIND)
    other = Faulty(blobs={blob.digest: b"layer"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(other))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        state.token, state.moved = "abc", f"http://127.0.0.1:{server.server_address[1]}/v2/x/blobs/{blob.digest}"
        target = Store(store.root / "target")
        to(host, Access(SECRET)).fetch(blob, target)
        assert target.has(blob)
        assert other.served == [("GET", "")]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("moved", ["http://registry.test/x", "file:///etc/passwd", "ftp://a/b", "https://user:pw@registry.test/x"])
def test_a_redirect_to_where_nothing_may_be_sent_is_refused(faulty: tuple[Faulty, str], store: Store, moved: str) -> None:
    state, host = faulty
    blob = store.put(b"layer", KIND)
    state.moved = moved
    with pytest.raises(TargetRefused):
        to(host).fetch(blob, Store(store.root / "target"))
    state.moved = f"http://{host}/v2/team/model/blobs/{blob.digest}"
    with pytest.raises(TargetRefused, match="redirects more than 5 times"):
        to(host).fetch(blob, Store(store.root / "target"))


def test_plain_http_needs_to_be_asked_for() -> None:
    from modelport.image.transport import Call

    with pytest.raises(TargetRefused, match="only with --insecure"):
        Transport().send(Call("GET", "http://registry.test/v2/"))


def test_a_real_registry_takes_an_upload_that_was_broken(
    registry: object, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's registry forgets what was cut in the middle of a piece, and gets all of it anew."""
    blob = store.put(bytes(range(256)) * 40_000, KIND)
    chunks, cuts = Store.chunks, [5_000_000]

    def broken(self: Store, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        sent = 0
        for chunk in chunks(self, blob, start):
            if cuts and sent >= cuts[0]:
                cuts.pop()
                raise ConnectionResetError("cut by the test")
            sent += len(chunk)
            yield chunk

    monkeypatch.setattr(Store, "chunks", broken)
    assert to(registry.host).upload(blob, store)
    assert cuts == []
    other = Store(tmp_path / "other")
    to(registry.host).fetch(blob, other)
    assert other.has(blob)


def test_a_blob_of_another_repository_is_mounted_and_not_sent(registry: object, store: Store) -> None:
    blob = store.put(b"of the base", KIND)
    first = to(registry.host, path="library/base")
    assert first.upload(blob, store)
    missing = Store(store.root / "empty")  # it could not be sent from here
    second = to(registry.host, path="team/other")
    assert not second.upload(blob, missing, "library/base")
    assert second.has(blob)


def test_the_login_that_ecr_gives_works_and_a_wrong_one_is_one_sentence(locked_registry: object, store: Store) -> None:
    blob = store.put(b"layer", KIND)
    assert to(locked_registry.host, Access(SECRET)).upload(blob, store)
    for access, said in ((Access(), "wants a login and none is known"), (Access(Credentials("AWS", "no")), 'not take the login of "AWS"')):
        with pytest.raises(TargetRefused, match=said) as refused:
            to(locked_registry.host, access).has(blob)
        assert refused.value.exit_code == 4
        assert "secret" not in repr(refused.value)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No login of whoever runs the tests is used."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "docker").mkdir()
    return tmp_path


def _configured(home: Path, **config: object) -> None:
    (home / "docker" / "config.json").write_text(json.dumps(config))


def test_docker_s_own_logins_are_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = home / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\nread host\n[ "$host" = helped.test ] && echo "{\\"Username\\":\\"u\\",\\"Secret\\":\\"of $host\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    assert credentials("plain.test") is None
    auth = base64.b64encode(b"me:pa:ss").decode()
    hub = "https://index.docker.io/v1/"
    auths = {"plain.test": {"auth": auth}, hub: {"auth": auth}, "id.test": {"identitytoken": "t"}, "bad.test": {"auth": "?"}}
    _configured(home, auths=auths, credHelpers={"helped.test": "test", "evil.test": "../x", "gone.test": "absent"}, credsStore="test")
    assert credentials("plain.test") == credentials("docker.io") == Credentials("me", "pa:ss")
    assert credentials("helped.test") == Credentials("u", "of helped.test")
    assert credentials("id.test") == Credentials("<token>", "t")
    assert credentials("bad.test") is None
    for host, said in (("evil.test", "no name of a credential helper"), ("gone.test", "does not run")):
        with pytest.raises(TargetRefused, match=said):
            credentials(host)
    _configured(home, auths=[], credHelpers=3, credsStore="test")
    assert credentials("helped.test") == Credentials("u", "of helped.test")


def test_ecr_is_asked_for_a_login_through_the_aws_account(
    home: Path, monkeypatch: pytest.MonkeyPatch, require_module: Callable[[str], object]
) -> None:
    """boto3 itself, against a server that answers as ECR's API does."""
    require_module("boto3")
    asked: list[dict[str, object]] = []

    class Ecr(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return

        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            token = base64.b64encode(b"AWS:of ecr").decode()
            is_denied = asked[-1]["registryIds"] == ["999999999999"]
            body = {"authorizationData": [{"authorizationToken": token}]}
            if is_denied:
                body = {"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:GetAuthorizationToken"}
            data = json.dumps(body).encode()
            self.send_response(400 if is_denied else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ecr)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", f"http://127.0.0.1:{server.server_address[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        for host in ("dkr.ecr.eu-central-1.amazonaws.com", "dkr-ecr.eu-central-1.on.aws"):  # the second has IPv6 addresses too
            assert credentials(f"123456789012.{host}") == Credentials("AWS", "of ecr")
        assert asked == [{"registryIds": ["123456789012"]}] * 2
        with pytest.raises(TargetRefused, match="not authorized to perform"):
            credentials("999999999999.dkr.ecr.eu-central-1.amazonaws.com")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("team/model", "docker.io/team/model"),
        ("localhost/a:1", "localhost/a:1"),
        ("a.test:5000/b/c_d:1.2@sha256:" + "a" * 64, "a.test:5000/b/c_d:1.2@sha256:" + "a" * 64),
        ("index.docker.io/python", "docker.io/library/python"),
    ],
)
def test_references_are_read_as_everybody_reads_them(text: str, whole: str) -> None:
    assert str(parse(text)) == whole


@pytest.mark.parametrize("text", ["", "A", "a:", "a b", "a\nb", "-a", "https://a/b", "a@sha256:1", "$(a)", "a/../b", "Team/a", "a" * 600])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="-t must be a reference"):
        parse(text)


def test_words_of_a_registry_are_shown_on_one_line_without_control_characters() -> None:
    assert words(b'{"errors":[{"code":"DENIED","message":"no\\u001b[2J\\nway"}]}') == "DENIED: no[2J way"
    assert words(b"<html>") == "<html>"
    assert words(b"") == "no reason given"


def test_an_identity_token_is_exchanged_and_a_token_that_is_none_is_refused(store: Store) -> None:
    """What docker keeps of some registries is no password, but a token to ask for others with (OAuth 2)."""
    asked: list[dict[str, list[str]]] = []
    answers = [b'{"access_token": "abc"}', b"{}", b'{"token": "a\\nb"}']

    class Tokens(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return

        def do_POST(self) -> None:
            asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            data = answers.pop(0)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    login = Credentials("<token>", "kept")
    challenge = f'Bearer realm="http://127.0.0.1:{server.server_address[1]}/t",service="s"'
    try:
        assert bearer(Transport(), challenge, "registry.test", login) == "Bearer abc"
        for said in ("answered without a token", "is no token"):
            with pytest.raises(TargetRefused, match=said):
                bearer(Transport(), challenge, "registry.test", login)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked[0]["grant_type"] == ["refresh_token"]
    assert asked[0]["refresh_token"] == ["kept"]
    with pytest.raises(TargetRefused, match="does not say where to get one"):
        bearer(Transport(), 'Bearer realm="file:///etc/passwd"', "registry.test", login)


def test_a_blob_that_is_not_what_was_promised_is_not_kept(store: Store) -> None:
    blob = store.put(b"right", KIND)
    other = Store(store.root / "other")
    for data in (b"wrong", b"right and more", b"r"):
        with pytest.raises(TargetRefused, match="was promised as"):
            other.fill(blob, [data])
    assert not other.has(blob)
    assert list((other.root / "blobs" / "sha256").iterdir()) == []
    store.path(blob.digest).write_bytes(b"wrong")
    with pytest.raises(TargetRefused, match="somebody changed it"):
        store.read(blob)
    with pytest.raises(TargetRefused, match="at most 3 were expected"):
        store.read(blob, limit=3)
    with pytest.raises(UnreadableFile, match="is no digest"):
        store.path("../x")
