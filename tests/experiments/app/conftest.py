"""One running service with pages for all tests of this folder's modules that only read, and a browser's side of it."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from compileall import compile_dir
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from zipfile import ZipFile

import pytest

from foretouch.core.workspace import Workspace
from tests.once import once
from tests.serving.service.world import Service, build_world, copy_world, make_key, serving

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """A header; empty where it is absent."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def cookies(self) -> list[str]:
        """What is to be kept."""
        return [value for key, value in self.headers if key == "set-cookie"]

    @property
    def token(self) -> str:
        """The token of the first form."""
        return self.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]

    @property
    def made_from(self) -> str:
        """The content hash of the first form."""
        return self.text.split('name="made_from" value="', 1)[1].split('"', 1)[0]


@dataclass(kw_only=True)
class Client:
    """What a browser does: keeps cookies, follows nothing by itself."""

    base: str
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Page:
        """One request."""
        connection = http.client.HTTPConnection(
            urlsplit(self.base).netloc, timeout=60, source_address=(self.address, 0)
        )
        sent = dict(headers or {})
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
            body = urlencode(form).encode()
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        page = Page(
            status=answer.status,
            text=answer.read().decode("utf-8", "replace"),
            headers=tuple((name.lower(), value) for name, value in answer.getheaders()),
        )
        connection.close()
        for cookie in page.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return page

    def get(self, path: str, **headers: str) -> Page:
        """Looks at a page."""
        return self.send("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, form: Mapping[str, str], *, page: str = "/app/policy") -> Page:
        """Sends a form with the token of a page."""
        return self.send("POST", path, {"csrf": self.get(page).token, **form})

    def sign_in(self, key: str, *, after: str = "/app") -> Page:
        """Exchanges a key for a session."""
        token = self.get("/app/sign-in").token
        return self.send("POST", "/app/sign-in", {"csrf": token, "key": key, "next": after})


def signed_in(service: Service, *scopes: str) -> Client:
    """A browser with a session of a fresh key."""
    client = Client(base=service.base)
    page = client.sign_in(make_key(service.workspace, *scopes))
    assert page.status == 303, page.text
    return client


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Sixty simulated people; a row was refused, a policy was written beside the one in force.

    Built once for all workers; each works on a copy of its own.
    """
    shared = once(tmp_path_factory, "site", lambda folder: _furnished(build_world(folder / "w")))
    return copy_world(Workspace(shared / "w"), tmp_path_factory.mktemp("site") / "w")


def _furnished(workspace: Workspace) -> None:
    workspace.quarantine.mkdir(parents=True, exist_ok=True)
    refused = {
        "content": {"customer_id": "<b>{{7*7}}</b>", "age": "=cmd()"},
        "reasons": [{"code": "number", "column": "age", "text": "is no <number>"}],
        "row": 3,
        "source": "people.csv",
    }
    (workspace.quarantine / "customers.jsonl").write_text(json.dumps(refused) + "\n", encoding="utf-8")
    bold = (workspace.root / "policy.toml").read_text(encoding="utf-8").replace("temperature = 0.15", "temperature = 1")
    (workspace.root / "policies").mkdir(exist_ok=True)
    (workspace.root / "policies" / "bold.toml").write_text(bold, encoding="utf-8")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installed wheel of this checkout holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    compile_dir(folder / "site", quiet=2)  # as an installer does: else every process of the service does it for itself
    return folder / "site"


@pytest.fixture(scope="session")
def service(world: Workspace, installed: Path) -> Iterator[Service]:
    """The service on it, run from the wheel: a template or catalogue that is left out of it is missed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed))
        with serving(world) as running:
            patch.delenv("PYTHONPATH")
            yield running


@pytest.fixture(scope="session")
def reader(service: Service) -> Client:
    """A browser that may read."""
    return signed_in(service, "report:read")


@pytest.fixture(scope="session")
def editor(service: Service) -> Client:
    """A browser that may change things."""
    return signed_in(service, "admin")


@pytest.fixture
def policy_path(world: Workspace) -> Path:
    """The policy in force."""
    return world.root / "policy.toml"
