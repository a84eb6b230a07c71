"""The pages: right names, a curl line that works, nothing from elsewhere, nothing unescaped."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from html.parser import HTMLParser

import pytest

from modelport.engine.executor import Identity
from modelport.schema import Field, Schema

EVIL = '<script>alert("1")</script>'
EVIL_SCHEMA = Schema(
    (
        Field(EVIL, "string", categories=(EVIL, "b"), closed=True, description=EVIL),
        Field("it's", "float64"),
        Field("free", "string", categories=(EVIL,)),
    ),
    (Field(EVIL, "float64"),),
    "classifier",
    (EVIL, "x' onload='1"),
    description=EVIL,
)
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))


def _page(kit, path="/", *identities, **facts):
    async def main():
        front = await kit.front(None, *identities, **facts).start()
        return front.connect().send(kit.get(path, BROWSER)).responses[0]

    return kit.run(main())


def _tags(html: bytes) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html.decode())
    return parser.found


def test_a_browser_gets_the_page_and_a_program_does_not(kit) -> None:
    page = _page(kit)
    assert page.headers["content-type"] == "text/html; charset=utf-8" and b"sums" in page.body and b"/sum" in page.body
    for column in ("ref", "a", "b"):
        assert f'data-column="{column}"'.encode() in page.body


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html;q=0", "text/*"])
def test_a_program_that_takes_anything_gets_json(kit, accept) -> None:
    async def main():
        return (await kit.front().start()).connect().send(kit.get("/", f"Accept: {accept}\r\n")).responses[0]

    assert kit.run(main()).json() == {"status": "alive"}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing_inline(kit, path) -> None:
    page = _page(kit, path)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    for tag, attributes in _tags(page.body):
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "href", "action"):
            assert not re.match(r"[a-z]+:|//", attributes.get(name) or ""), (tag, attributes)
    assert not re.search(rb"<script[^>]*>[^<]", page.body) and b"<style" not in page.body


def test_every_link_and_file_of_the_page_exists(kit) -> None:
    async def main():
        front = await kit.front().start()
        page = front.connect().send(kit.get("/", BROWSER)).responses[0]
        links = {attributes[name] for _, attributes in _tags(page.body) for name in ("src", "href") if attributes.get(name)}
        return {link: front.connect().send(kit.get("/" + link.removeprefix("./"))).responses[0].status for link in links}

    found = kit.run(main())
    assert {"docs", "openapi.json", "models", "metrics", "readyz", "static/page.css", "static/home.js"} <= set(found)
    assert set(found.values()) == {200}


def test_names_are_escaped_wherever_they_stand(kit) -> None:
    page = _page(kit, "/", Identity("evil"), schema=EVIL_SCHEMA)
    html = page.body.decode()
    assert EVIL not in html and unescape(html).count(EVIL) >= 5
    scripts = [attributes for tag, attributes in _tags(page.body) if tag == "script"]
    assert [script.get("src") for script in scripts] == ["static/home.js"]
    assert not [attributes for _, attributes in _tags(page.body) if "onload" in attributes]


def test_the_curl_line_predicts(kit) -> None:
    async def main():
        front = await kit.front(None, Identity("evil", "1", "/own"), Identity("other")).start()
        page = front.connect().send(kit.get("/", BROWSER)).responses[0]
        line = unescape(re.search(r'class="curl">([^<]*)<', page.body.decode())[1])
        program, _, url, _, field, _, body = shlex.split(line)
        assert (program, url, field) == ("curl", "http://a/own", "content-type: application/json")
        client = front.connect().send(kit.post("/own", body.encode()))
        await kit.turn()
        return client.responses[0], json.loads(body)

    response, body = kit.run(main())
    assert response.status == 200 and set(body) == {"ref", "a", "b"}


def test_pages_made_for_many_hosts_are_not_kept(kit) -> None:
    async def main():
        front = await kit.front().start()
        for number in range(60):
            client = front.connect().send(f"GET / HTTP/1.1\r\nHost: h{number}\r\n{BROWSER}\r\n".encode())
            assert f"http://h{number}/sum".encode() in client.responses[0].body
        return len(front.app._pages._made)

    assert kit.run(main()) <= 17
