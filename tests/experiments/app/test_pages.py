"""What the pages say, and that nothing in the data is ever run; decisions go on while a page is worked out."""

import csv
import json
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from typer.testing import CliRunner

from foretouch.core.cli import build_app
from foretouch.experiments.analysis.aa import FAMILY
from foretouch.experiments.app import aside
from foretouch.experiments.app.tables import with_downloads
from foretouch.features.ingest import ingest_tables
from foretouch.serving.web.pages import HTML, PageAnswer
from tests.experiments.app.conftest import Client, Page
from tests.serving.service.world import Service, consenting, treated

EVIL = "<img src=x onerror=alert(1)>{{7*7}}{% raw %}=cmd()|'/c calc'!A1"


def settled(client: Client, path: str, *, seconds: float = 120.0) -> Page:
    """A page once nothing on it is being worked out."""
    until = time.monotonic() + seconds
    page = client.get(path)
    while 'http-equiv="refresh"' in page.text and time.monotonic() < until:
        time.sleep(0.5)
        page = client.get(path)
    assert 'http-equiv="refresh"' not in page.text, page.text
    return page


def test_decisions_go_on_while_pages_are_worked_out(service: Service, reader: Client) -> None:
    """Analyses that take seconds leave the decisions their milliseconds: they run in a process of their own."""
    customers = consenting(service.workspace)

    def decided(number: int) -> list[float]:
        taken = []
        for index in range(number):
            started = time.perf_counter()
            service.decide(customers[index % len(customers)], options={"dry_run": True})
            taken.append(time.perf_counter() - started)
        return taken

    for customer in customers[:6]:
        service.decide(customer)
    before = statistics.median(decided(30))
    with ThreadPoolExecutor(1) as pool:
        pages = pool.submit(settled, reader, "/app/what-if?policy=policy&sample=2000")
        during: list[float] = []
        while not pages.done():
            during += decided(10)
        page = pages.result()
    assert page.status == 200
    assert len(during) >= 10
    assert statistics.median(during) < max(10 * before, 0.1)
    assert max(during) < 2.0


def test_experiments_are_listed_and_each_has_its_report(reader: Client) -> None:
    page = settled(reader, "/app/experiments?lang=en")
    titles = re.findall(r'<h2 id="e-\d+"><a href="([^"]+)">([^<]+)</a>', page.text)
    assert {link for link, _ in titles} >= {"/app/experiments/portfolio"}
    assert page.text.count('class="chip state-') == len(titles)
    assert page.text.count('class="chip verdict-') == len(titles)
    assert "failed" not in page.text
    for language, word in (("en", "What does each part of the decision earn?"), ("zh", "决策的每个部分带来多少价值")):
        report = settled(reader, f"/app/experiments/portfolio?lang={language}")
        assert report.text.count("<h1>") == 1
        assert word in report.text
        assert 'class="alert-box"' not in report.text
        assert report.text.count("<section") > 3
        assert "<style" not in report.text
        assert " style=" not in report.text
    numbers = reader.get("/app/experiments/portfolio/results.json")
    if numbers.status == 303:  # the log has grown meanwhile: the numbers are being worked out again
        settled(reader, numbers.header("location"))
        numbers = reader.get("/app/experiments/portfolio/results.json")
    assert numbers.header("content-disposition") == 'attachment; filename="experiment-portfolio.json"'
    assert '"schema_version": 1' in numbers.text
    missing = reader.get("/app/experiments/none")
    assert missing.status == 404
    assert "no experiment" in missing.text


def test_an_aa_trial_is_run_at_a_button(reader: Client) -> None:
    """On past customers; where there are too few, that is said and there is no number."""
    plain = settled(reader, "/app/experiments/portfolio?lang=en").text
    assert "Try it on past customers" in plain
    for language, title in (("en", "Can this analysis be trusted"), ("zh", "这套分析用在你的数据上可靠吗")):
        page = settled(reader, f"/app/experiments/portfolio?aa=1&lang={language}").text
        section = page.split('id="aa"', 1)[1].split("</section>", 1)[0]
        assert title in section
        assert "60 past units are too few for an A/A trial" in section
        assert "<table" not in section


def test_the_trial_behind_the_button_is_the_commands(plant: Any) -> None:
    world = plant(customers=300, seed=14)
    people = {"customer_id": sorted(world.exposed), "created_at": "2025-01-01T00:00:00Z", "time_zone": "Europe/Paris"}
    ingest_tables(world.workspace, {"customers": pd.DataFrame(people)})
    found = aside.aa(world.workspace, {"key": "spring"})
    call = [*found["command"].split()[1:], "--json"]
    told = json.loads(CliRunner().invoke(build_app(), call).stdout)
    shown = json.loads(json.dumps([{**item, "whole": None} for item in found["metrics"]]))
    assert shown == [{**item, "whole": None} for item in told["metrics"]]
    assert all(item["whole"] is (item["name"] == FAMILY) for item in found["metrics"])
    assert found["metrics"]


def test_insights_are_shown_for_a_period(service: Service, reader: Client) -> None:
    service.decide(treated(service.workspace)[0])
    page = settled(reader, "/app/insights?lang=zh")
    assert page.text.count("<h1>") == 1
    assert page.text.count("<section") >= 2
    assert 'name="since"' in page.text
    wrong = settled(reader, "/app/insights?since=2199-01-01&lang=en")
    assert "could not be worked out" in wrong.text


def test_a_what_if_says_reach_spend_and_who_loses(service: Service, reader: Client) -> None:
    for customer in treated(service.workspace)[:4]:
        service.decide(customer)
    page = settled(reader, "/app/what-if?policy=bold&sample=200&lang=en")
    for said in ("If “bold” had decided", "Expected margin", "Mix of offers", "Who loses", "What the log itself says"):
        assert said in page.text
    assert "foretouch what-if --policy bold --sample 200" in page.text
    assert "假如由“bold”决策" in settled(reader, "/app/what-if?policy=bold&sample=200&lang=zh").text
    assert "had decided" not in reader.get("/app/what-if?policy=../bold&lang=en").text


def test_a_decision_is_explained_in_both_languages_and_made_again(service: Service, reader: Client) -> None:
    customer = treated(service.workspace)[0]
    decision = service.decide(customer, purpose="transactional")
    path = f"/app/decisions/{decision['decision_id']}"
    english, chinese = reader.get(f"{path}?lang=en").text, reader.get(f"{path}?lang=zh").text
    assert f"Why did {customer} get this?" in english
    assert f"为什么 {customer} 得到这个结果" in chinese
    assert "Decided" in english
    assert "已决策" in chinese
    assert "What the rules ruled out" in english
    assert english.count('<th scope="row">') >= 1
    listed = reader.get(f"/app/decisions?q={customer}").text
    assert decision["decision_id"] in listed
    assert reader.get(f"/app/decisions?q={decision['decision_id']}").header("location") == path
    again = reader.post(f"{path}/replay?lang=en", {}, page=path)
    assert again.status == 200
    assert "Identical: every field comes out the same." in again.text
    assert reader.get("/app/decisions/dec_none").status == 404
    nobody = reader.get("/app/decisions?q=nobody&lang=en").text
    assert "No decision about nobody is in the log." in nobody
    assert "foretouch decide --customer ID" in nobody


def test_models_and_data_are_told(reader: Client) -> None:
    models = reader.get("/app/models?lang=en").text
    assert "version v1 decides" in models
    assert "No churn model: decisions are made without it." in models
    assert "foretouch drift" in models
    data = reader.get("/app/data?lang=en").text
    assert "Refused rows" in data
    assert "is no &lt;number&gt;" in data
    assert "row 3 of people.csv: customer_id = &lt;b&gt;{{7*7}}&lt;/b&gt;, age = =cmd()" in data
    history = reader.get("/app/history?lang=zh").text
    assert "链条完整" in history


@pytest.mark.parametrize(
    "path",
    [
        f"/app/decisions?q={quote(EVIL)}",
        f"/app/decisions?lang={quote(EVIL)}",
        f"/app/what-if?policy={quote(EVIL)}&segment={quote(EVIL)}&sample={quote(EVIL)}",
        f"/app/policy?name={quote(EVIL)}&done={quote(EVIL)}",
        f"/app/insights?since={quote(EVIL)}",
        f"/app/experiments/{quote(EVIL, safe='')}",
        f"/app/decisions/{quote(EVIL, safe='')}",
        f"/app/models/offer/v1/{quote('../../card.md', safe='')}",
        f"/app/{quote(EVIL, safe='')}",
        "/app/decisions?q=%0d%0aset-cookie:%20a=b",
        "/app/decisions?q=%ff%00&lang=zh%0d%0ax:%20y",
    ],
)
def test_nothing_that_is_typed_is_run(reader: Client, path: str) -> None:
    page = reader.get(path)
    assert page.status in {200, 404}
    assert "<img" not in page.text
    assert "49" not in re.sub(r"[0-9a-f]{12,}", "", page.text)
    assert all(not value.startswith("a=b") for value in page.cookies)
    assert page.header("x") == ""
    assert "Traceback" not in page.text


def test_nothing_that_is_in_the_data_is_run(service: Service, reader: Client) -> None:
    decision = service.decide(EVIL, touchpoint=EVIL)
    for path in ("/app/decisions", f"/app/decisions?q={quote(EVIL)}", f"/app/decisions/{decision['decision_id']}"):
        page = reader.get(path)
        assert page.status == 200
        assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in page.text
        assert "<img src=x" not in page.text


def test_whom_to_contact_is_asked_with_prices_by_a_form_without_scripts(service: Service, reader: Client) -> None:
    service.decide(treated(service.workspace)[0])  # the scores on offer are what a decision knew
    page = reader.get("/app/uplift?lang=en")
    assert 'method="get"' in page.text
    assert re.findall(r'name="(value|cost)"', page.text) == ["value", "cost"]
    wrong = reader.get("/app/uplift?value=much&lang=en").text
    assert "Value of one outcome: a number of 0 or more is needed." in wrong
    few = settled(reader, "/app/uplift?experiment=portfolio&lang=en")  # sixty people cannot tell
    assert "could not be worked out" in few.text
    assert "100" in few.text


def test_what_policies_are_worth_is_told_with_the_evidence_and_what_exploring_taught(
    service: Service, reader: Client
) -> None:
    for customer in treated(service.workspace)[:3]:
        service.decide(customer)
    page = settled(reader, "/app/policies?policy=bold&sample=1000&lang=en")
    assert "foretouch experiment arms --by offer" in page.text
    assert ("Overlap" in page.text) or ("could not be worked out" in page.text)
    for language, title in (("en", "What exploring has taught"), ("zh", "探索得到的结果")):
        assert title in settled(reader, f"/app/policies?policy=bold&sample=1000&lang={language}").text


def test_every_table_is_a_sheet_too(reader: Client) -> None:
    page = reader.get("/app/data?lang=en")
    tables = page.text.count("<table>")
    assert tables > 0
    assert page.text.count('<p class="download">') == tables
    link = re.search(r'<p class="download"><a href="([^"]+)"', page.text)
    assert link is not None
    sheet = reader.get(f"/app/data{link.group(1).replace('&amp;', '&')}")
    assert sheet.header("content-type") == "text/csv; charset=utf-8"
    assert sheet.header("content-disposition") == 'attachment; filename="app-data-1.csv"'
    rows = list(csv.reader(sheet.text.removeprefix("\ufeff").splitlines()))
    assert rows[0][0] == "Table"
    assert len(rows) == page.text.split("</table>")[0].count("<tr>")
    assert reader.get("/app/data?table=99").header("content-type").startswith("text/html")


def test_a_cell_that_a_sheet_would_run_is_text() -> None:
    body = b"<main><table><tbody><tr><th>=cmd()</th><td>1 &lt; 2<br>x</td></tr></tbody></table></main>"
    page = PageAnswer(body=body, content_type=HTML)
    found = with_downloads(page, here="/app/x", query={"table": "1"}, word=str)
    assert found.body.decode("utf-8-sig") == "'=cmd(),1 < 2x\r\n"
    assert with_downloads(page, here="/app/x", query={}, word=str).body.count(b"?table=1") == 1
