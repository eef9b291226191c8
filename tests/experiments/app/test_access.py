"""Who may see and change what: sessions, scopes, tokens, headers; over a real service."""

import re

import pytest

from foretouch.core.state.access import read_audit, revoke_key
from foretouch.core.state.db import State
from foretouch.experiments.app.pages import PAGES, Page
from foretouch.experiments.app.security import Tries
from foretouch.experiments.app.visit import language_of, safe_next
from foretouch.serving.web.api import Api
from foretouch.serving.web.pages import PageDoor, PageRequest
from tests.experiments.app.conftest import Client, signed_in
from tests.serving.service.world import Service, make_key, set_serving, wait_for

GUARDED = [page for page in PAGES if page.scope]
LOOKS = [page for page in GUARDED if page.method == "GET"]
ACTS = [page for page in GUARDED if page.method == "POST"]
EDITS = [page for page in ACTS if page.scope == "admin"]
FORM = {"made_from": "0" * 64, "name": "policy", "text": "kind = 1", "version": "0" * 64, "copy": "stolen"}


def filled(page: Page) -> str:
    return re.sub(r"\{\w+\}", "x", page.template)


def test_every_page_has_a_rule() -> None:
    assert {page.template for page in PAGES if not page.scope} == {"/app/sign-in", "/app/sign-out"}
    assert {page.scope for page in GUARDED} == {"report:read", "admin"}
    assert {page.scope for page in EDITS} == {"admin"}
    assert len(LOOKS) > 12
    assert len(EDITS) > 8


@pytest.mark.parametrize("page", LOOKS, ids=lambda page: page.template)
def test_without_a_session_every_page_leads_to_the_form(service: Service, page: Page) -> None:
    for cookies in ({}, {"foretouch_session": "0" * 64}, {"foretouch_session": "'; --"}):
        found = Client(base=service.base, cookies=cookies).get(filled(page))
        assert found.status == 303
        assert found.header("location").startswith("/app/sign-in?next=%2Fapp")


@pytest.mark.parametrize("page", ACTS, ids=lambda page: page.template)
def test_without_a_session_nothing_is_done(service: Service, page: Page) -> None:
    client = Client(base=service.base)
    assert client.send("POST", filled(page), FORM).status == 403
    token = client.get("/app/sign-in").token
    assert client.send("POST", filled(page), {**FORM, "csrf": token}).status == 303  # to the form


@pytest.mark.parametrize("page", EDITS, ids=lambda page: page.template)
def test_a_reader_changes_nothing(service: Service, reader: Client, page: Page) -> None:
    files = {path: path.read_bytes() for path in service.workspace.root.rglob("*.toml")}
    token = reader.get("/app/decisions").text.split('name="csrf" value="')[1].split('"')[0]
    found = reader.send("POST", filled(page), {**FORM, "csrf": token})
    assert found.status == 403
    assert "needs: admin" in found.text
    assert files == {path: path.read_bytes() for path in service.workspace.root.rglob("*.toml")}


@pytest.mark.parametrize("page", EDITS, ids=lambda page: page.template)
def test_a_form_without_its_token_changes_nothing(service: Service, editor: Client, page: Page) -> None:
    files = {path: path.read_bytes() for path in service.workspace.root.rglob("*.toml")}
    for token in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "密"}):
        assert editor.send("POST", filled(page), {**FORM, **token}).status == 403
    good = editor.get("/app/policy").token
    assert editor.send("POST", filled(page), {**FORM, "csrf": good}, {"sec-fetch-site": "cross-site"}).status == 403
    other = signed_in(service, "admin").get("/app/policy").token
    assert editor.send("POST", filled(page), {**FORM, "csrf": other}).status == 403
    assert files == {path: path.read_bytes() for path in service.workspace.root.rglob("*.toml")}


def test_a_key_that_may_not_read_is_told_so(service: Service) -> None:
    found = Client(base=service.base).sign_in(make_key(service.workspace, "decide"))
    assert found.status == 403
    assert "needs" not in found.header("location")
    assert "report:read or admin" in found.text


def test_a_key_becomes_a_cookie_and_is_seen_nowhere(service: Service) -> None:
    key = make_key(service.workspace, "report:read")
    client = Client(base=service.base)
    page = client.sign_in(key, after="/app/models")
    assert (page.status, page.header("location")) == (303, "/app/models")
    (cookie,) = page.cookies
    assert re.fullmatch(r"foretouch_session=[0-9a-f]{64}; Path=/app; Max-Age=43200; HttpOnly; SameSite=Lax", cookie)
    shown = client.get("/app/models").text
    secret = key.rsplit("_", 1)[1]
    assert secret not in shown + cookie
    assert client.cookies["foretouch_session"] not in shown
    assert secret.encode() not in b"".join(
        path.read_bytes() for path in service.workspace.root.glob("state.db*") if path.is_file()
    )


def test_behind_tls_the_browser_is_held_to_it(service: Service) -> None:
    client = Client(base=service.base)
    page = client.get("/app/sign-in", x_forwarded_proto="https")
    assert page.cookies[0].endswith("; Secure")
    assert page.header("strict-transport-security") == "max-age=31536000"
    assert client.get("/app/sign-in").header("strict-transport-security") == ""


def test_signing_out_ends_the_session_for_good(service: Service) -> None:
    client = signed_in(service, "report:read")
    kept = dict(client.cookies)
    assert client.get("/app/data").status == 200
    assert client.send("POST", "/app/sign-out", {}).status == 403
    assert client.post("/app/sign-out", {}, page="/app/data").status == 303
    assert "foretouch_session" not in client.cookies
    assert Client(base=service.base, cookies=kept).get("/app/data").status == 303


def test_a_revoked_key_ends_its_sessions(service: Service) -> None:
    client = signed_in(service, "report:read")
    assert client.get("/app/data").status == 200
    shown = client.get("/app/data").text
    key_id = re.search(r"Signed in with key (\w+)", shown)
    assert key_id is not None
    now = service.workspace.clock.now()
    with State(service.workspace.state_file) as state:
        state.write(lambda connection: revoke_key(connection, key_id.group(1), now))
        opened = read_audit(state.read(), ["session.open"], most=50)
    assert client.get("/app/data").status == 303
    assert key_id.group(1) in {line.actor for line in opened}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", ["/app/sign-in", *dict.fromkeys(filled(page) for page in LOOKS), "/app/nowhere"])
def test_nothing_inline_on_any_page(service: Service, editor: Client, path: str, language: str) -> None:
    client = Client(base=service.base) if path == "/app/sign-in" else editor
    page = client.get(f"{path}?lang={language}")
    assert page.header("content-security-policy") == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    assert page.header("x-frame-options") == "DENY"
    assert page.header("x-content-type-options") == "nosniff"
    assert page.header("referrer-policy") == "same-origin"
    assert page.header("cache-control") == "no-store"
    if page.status != 303:
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in page.text
        assert re.findall(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?://(?!www\.w3\.org)", page.text) == []
        assert any(cookie.startswith(f"foretouch_lang={language};") for cookie in page.cookies)


def test_a_file_is_kept_for_good_under_the_name_of_its_content(service: Service) -> None:
    client = Client(base=service.base)
    links = re.findall(r'href="(/app/static/[^"]+)"', client.get("/app/sign-in").text)
    assert len(links) == 3
    for link in links:
        found = client.get(link)
        assert found.status == 200
        assert found.header("cache-control") == "public, max-age=31536000, immutable"
        assert "://" not in found.text.replace("http://www.w3.org/", "")
    assert client.get("/app/static/app.css").status == 404
    assert client.get("/app/static/..%2f..%2fstate.db").status == 404


def test_wrong_methods_bodies_and_addresses_are_pages(service: Service, editor: Client) -> None:
    assert editor.send("PUT", "/app/policy").status == 405
    assert editor.send("POST", "/app/data", {}).status == 405
    assert editor.get("/app/nowhere").status == 404
    wrong = editor.send("POST", "/app/policy/values", {"a": "b"}, {"content-type": "text/plain"})
    assert wrong.status == 415
    assert "<h1>" in wrong.text
    assert editor.send("POST", "/app/policy/text", {"text": "x" * 1_100_000}).status == 413
    assert editor.send("HEAD", "/app/data").text == ""


@pytest.mark.parametrize("front", [True, False], ids=["front", "plain"])
def test_pages_are_there_with_the_front_on_and_off(service: Service, reader: Client, front: bool) -> None:
    set_serving(service.workspace, front=front)

    def switched() -> bool:
        reply = service.call("POST", "/v1/scores/lead", {"customer_id": "nobody"})
        return ("bentoml" in reply.headers.get("server", "").lower()) is not front

    try:
        wait_for(switched, seconds=10.0, what=f"front == {front}")
        assert reader.get("/app/data").status == 200
    finally:
        set_serving(service.workspace, front=True)


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/app//evil",
        "/app\r\nset-cookie: a=b",
        "/app/../v1",
        "/api",
        "",
        "/app\\e",
    ],
)
def test_after_signing_in_only_our_own_pages_are_gone_to(path: str) -> None:
    found = safe_next(path)
    assert found == "/app" or (found.startswith("/app/") and "//" not in found and "\n" not in found)


def test_where_one_wanted_to_go_is_gone_to(service: Service) -> None:
    asked = Client(base=service.base).get("/app/decisions?q=%3Ca%3E&lang=en")
    assert asked.header("location") == "/app/sign-in?next=%2Fapp%2Fdecisions%3Fq%3D%253Ca%253E"
    client = Client(base=service.base)
    key = make_key(service.workspace, "report:read")
    assert client.sign_in(key, after="/app/decisions?q=%3Ca%3E").header("location") == "/app/decisions?q=%3Ca%3E"
    evil = Client(base=service.base).sign_in(key, after="https://evil.example")
    assert evil.header("location") == "/app"


def test_the_language_is_the_one_asked_for_else_remembered_else_the_browsers() -> None:
    def found(**parts: object) -> str:
        return language_of(PageRequest(method="GET", path="/app", **parts))  # type: ignore[arg-type]

    assert found(languages="zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert found(languages="de,en;q=0.7,zh;q=0.3") == "en"
    assert found(languages="") == "en"
    assert found(languages="zh;q=x") == "en"
    assert found(languages="en", cookies={"foretouch_lang": "zh"}) == "zh"
    assert found(languages="en", cookies={"foretouch_lang": "zh"}, query={"lang": "en"}) == "en"
    assert found(cookies={"foretouch_lang": "<script>"}, query={"lang": "{{7*7}}"}) == "en"


def test_a_service_without_pages_says_so() -> None:
    door = PageDoor(find=lambda _: None)
    answer = door._made(_no_api(), {"method": "GET", "path": "/app"}, {}, None)
    assert answer.status == 404
    assert b"foretouch[experiments]" in answer.body
    assert not PageDoor.takes("/apple")
    assert PageDoor.takes("/app/x")


def _no_api() -> Api:
    return object.__new__(Api)


def test_a_guesser_is_slowed_down() -> None:
    tries = Tries(most=3, seconds=60.0)
    for _ in range(3):
        assert tries.wait("a") == 0
        tries.failed("a")
    assert 0 < tries.wait("a") <= 60
    assert tries.wait("b") == 0
    quick = Tries(most=1, seconds=0.01)
    quick.failed("a")
    wait_for(lambda: quick.wait("a") == 0, seconds=2.0, what="the time to pass")


def test_wrong_keys_are_refused_and_after_ten_nobody_is_asked(service: Service, reader: Client) -> None:
    client = Client(base=service.base, address="127.0.0.9")  # counted apart from the other tests' browsers
    for attempt in range(12):
        page = client.sign_in(f"ftk_{attempt}_{'0' * 64}")
        if page.status == 429:
            break
        assert page.status == 403
        assert "unknown, revoked or expired" in page.text
    assert page.status == 429
    assert int(page.header("retry-after")) > 0
    assert client.sign_in(make_key(service.workspace, "admin")).status == 429
    assert reader.get("/app/data").status == 200
