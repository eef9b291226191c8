"""Levers and rules are changed by forms: on their own line, checked, remembered, taken over, and taken back."""

import re
import tomllib
from pathlib import Path

import pytest

from foretouch.core.state.access import read_audit, verify_audit
from foretouch.core.state.db import State
from foretouch.core.state.file_history import read_edits
from foretouch.experiments.app.settings_files import differences
from tests.experiments.app.conftest import Client
from tests.serving.service.world import Service, consenting, wait_for


def changed_lines(before: str, after: str) -> list[str]:
    old = before.splitlines()
    return [line for line in after.splitlines() if line not in old]


def values(path: Path) -> dict[str, object]:
    return tomllib.loads(path.read_text("utf-8"))


def form_of(client: Client, page: str = "/app/policy") -> dict[str, str]:
    shown = client.get(page)
    return {"csrf": shown.token, "made_from": shown.made_from, "name": "policy"}


def test_a_value_is_changed_on_its_line_and_decides_at_once(
    service: Service, editor: Client, policy_path: Path
) -> None:
    before = policy_path.read_text("utf-8")
    customer = consenting(service.workspace)[0]
    version = service.decide(customer, options={"dry_run": True})["versions"]["policy"]
    done = editor.send("POST", "/app/policy/values", {**form_of(editor), "v.floor": "0.05", "v.temperature": "0.15"})
    assert (done.status, done.header("location")) == (303, "/app/policy?name=policy&done=saved#top")
    assert changed_lines(before, policy_path.read_text("utf-8")) == ["floor = 0.05"]
    wait_for(
        lambda: service.decide(customer, options={"dry_run": True})["versions"]["policy"] != version,
        seconds=5.0,
        what="the service to take the policy over",
    )
    with State(service.workspace.state_file) as state:
        (edit,) = read_edits(state.read(), "policy.toml", most=1)
        assert edit.changes == ({"path": "floor", "before": 0.02, "after": 0.05},)
        assert verify_audit(state.read()) is None
        (line,) = read_audit(state.read(), ["config.edit"], most=1)
    shown = editor.get("/app/policy?lang=en").text
    assert f"by key {line.actor}" in shown
    assert "<code>floor</code>: 0.02 → 0.05" in shown
    form = form_of(editor)
    back = editor.send("POST", "/app/policy/revert", {**form, "version": edit.before})
    assert back.status == 303
    assert policy_path.read_text("utf-8") == before
    again = editor.send("POST", "/app/policy/revert", {**form_of(editor), "version": "1" * 64})
    assert again.status == 422
    assert "no earlier version" in again.text


def test_the_same_again_changes_nothing(editor: Client, policy_path: Path) -> None:
    before = policy_path.read_bytes()
    done = editor.send("POST", "/app/policy/values", {**form_of(editor), "v.floor": "0.02"})
    assert done.header("location").endswith("done=unchanged#top")
    assert policy_path.read_bytes() == before


def test_levers_and_weights_come_and_go(editor: Client, policy_path: Path) -> None:
    before = policy_path.read_text("utf-8")
    added = editor.send("POST", "/app/policy/add", {**form_of(editor), "target": "category:food", "percent": "20"})
    assert added.status == 303
    weight = {"table": "context_weights", "key": "club", "equals": "true", "target": "", "percent": "-7.5"}
    assert editor.send("POST", "/app/policy/add", {**form_of(editor), **weight}).status == 303
    assert policy_path.read_text("utf-8").startswith(before)
    assert values(policy_path)["levers"] == [{"category": "food", "percent": 20}]
    assert values(policy_path)["context_weights"] == [{"key": "club", "equals": True, "percent": -7.5}]
    changed = editor.send("POST", "/app/policy/values", {**form_of(editor), "v.levers.0.percent": "30"})
    assert changed.status == 303
    assert values(policy_path)["levers"] == [{"category": "food", "percent": 30}]
    for place in ("context_weights.0", "levers.0"):
        assert editor.send("POST", "/app/policy/values", {**form_of(editor), "remove": place}).status == 303
    assert policy_path.read_text("utf-8").rstrip() == before.rstrip()
    gone = editor.send("POST", "/app/policy/values", {**form_of(editor), "remove": "levers.0"})
    assert gone.status == 422


REFUSED = {
    "a number in words": ("/app/policy/values", {"v.floor": "much"}, "floor == &#39;much&#39;, must be a number"),
    "out of range": ("/app/policy/values", {"v.floor": "7"}, r"policy\.toml: line \d+, column \d+: floor: "),
    "nan": ("/app/policy/values", {"v.floor": "nan"}, r"policy\.toml"),
    "no toml": ("/app/policy/text", {"text": "kind = \n"}, r"policy\.toml is not valid TOML: .*line 1"),
    "unknown field": ("/app/policy/text", {"text": "colour = 1\n"}, r"line 1, column 10: colour: "),
    "unknown kind": ("/app/policy/values", {"v.kind": "magic"}, r"line \d+, column \d+: kind: "),
    "percent in words": ("/app/policy/add", {"target": "", "percent": "a lot"}, "percent == &#39;a lot&#39;"),
    "a name that leads elsewhere": ("/app/policy/copy", {"copy": "../../x"}, "A name has letters"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_loader_refuses_is_shown_with_its_line_and_not_written(
    editor: Client, policy_path: Path, name: str
) -> None:
    path, fields, said = REFUSED[name]
    root = policy_path.parent
    before = {file: file.read_bytes() for file in root.rglob("*.toml")}
    form = form_of(editor, "/app/policy?lang=en")
    done = editor.send("POST", path, {**form, **fields})
    assert done.status == 422
    assert re.search(said, done.text), done.text
    assert str(root) not in done.text
    assert {file: file.read_bytes() for file in root.rglob("*.toml")} == before
    assert list(root.rglob(".*.tmp")) == []
    if "text" in fields:
        assert fields["text"].strip() in done.text  # what was typed is still there


def test_two_editors_do_not_overwrite_each_other(editor: Client, policy_path: Path) -> None:
    first, second = form_of(editor), form_of(editor)
    before = policy_path.read_text("utf-8")
    text = before + "# by the first\n"
    assert editor.send("POST", "/app/policy/text", {**first, "text": text}).status == 303
    late = editor.send("POST", "/app/policy/text", {**second, "text": before + "# by the second\n"})
    assert late.status == 422
    assert "changed by somebody else" in late.text
    assert policy_path.read_text("utf-8") == text
    assert editor.send("POST", "/app/policy/text", {**form_of(editor), "text": before}).status == 303


def test_a_copy_is_tried_and_then_put_in_force(editor: Client, policy_path: Path) -> None:
    before = policy_path.read_text("utf-8")
    made = editor.send("POST", "/app/policy/copy", {**form_of(editor), "copy": "spring"})
    assert made.header("location") == "/app/policy?name=spring&done=made#top"
    copy = policy_path.parent / "policies" / "spring.toml"
    assert copy.read_text("utf-8") == before
    taken = editor.send("POST", "/app/policy/copy", {**form_of(editor), "copy": "spring"})
    assert taken.status == 422
    form = {**form_of(editor, "/app/policy?name=spring"), "name": "spring"}
    assert editor.send("POST", "/app/policy/values", {**form, "v.epsilon": "0.2"}).status == 303
    assert policy_path.read_text("utf-8") == before
    assert "spring" in editor.get("/app/what-if").text
    form = {**form_of(editor, "/app/policy?name=spring"), "name": "spring"}
    assert editor.send("POST", "/app/policy/use", form).status == 303
    assert policy_path.read_text("utf-8") == copy.read_text("utf-8")
    assert values(policy_path)["epsilon"] == 0.2
    copy.unlink()
    policy_path.write_text(before, encoding="utf-8")


def test_contact_rules_are_changed_too(service: Service, editor: Client) -> None:
    path = service.workspace.root / "contact_policy.toml"
    before = path.read_text("utf-8")
    fields = {"v.caps.0.limit": "4", "v.quiet_hours.0.start": "20:30", "v.minimum_gap_hours": "20"}
    form = form_of(editor, "/app/rules")
    assert editor.send("POST", "/app/rules/values", {**form, **fields}).status == 303
    assert changed_lines(before, path.read_text("utf-8")) == ["start = 20:30:00", "limit = 4"]
    twice = {"rule": "customer_week", "scope": "customer", "limit": "9", "days": "30"}
    refused = editor.send("POST", "/app/rules/add", {**form_of(editor, "/app/rules"), **twice})
    assert refused.status == 422
    assert re.search(r"contact_policy\.toml: line \d+, column \d+: two of caps are named", refused.text)
    month = {**twice, "rule": "month"}
    assert editor.send("POST", "/app/rules/add", {**form_of(editor, "/app/rules"), **month}).status == 303
    assert len(tomllib.loads(path.read_text("utf-8"))["caps"]) == 2
    with State(service.workspace.state_file) as state:
        edits = read_edits(state.read(), "contact_policy.toml", most=9)
    form = form_of(editor, "/app/rules")
    assert editor.send("POST", "/app/rules/revert", {**form, "version": edits[-1].before}).status == 303
    assert path.read_text("utf-8") == before


def test_other_files_cannot_be_named(service: Service, editor: Client) -> None:
    root = service.workspace.root
    before = (root / "foretouch.toml").read_bytes()
    for name in ("../foretouch", "foretouch", "..%2fforetouch", "policies/../../foretouch", "\x00"):
        form = {**form_of(editor), "name": name, "text": "a = 1"}
        assert editor.send("POST", "/app/policy/text", form).status in {404, 422}
    assert (root / "foretouch.toml").read_bytes() == before
    assert not (root / "policies" / "foretouch.toml").exists()


def test_changes_are_told_by_path() -> None:
    before = {"a": 1, "levers": [{"percent": 1}], "tags": [1, 2]}
    after = {"a": 1, "levers": [{"percent": 2}, {"percent": 3, "category": "x"}], "tags": [1], "b": True}
    assert list(differences(before, after)) == [
        {"path": "levers.1.percent", "before": 1, "after": 2},
        {"path": "levers.2", "before": None, "after": "percent = 3, category = x"},
        {"path": "tags", "before": "[1, 2]", "after": "[1]"},
        {"path": "b", "before": None, "after": True},
    ]
