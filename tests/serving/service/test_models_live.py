"""Models and configurations that change while the service runs, and a service that is started again."""

from typing import Any

from foretouch.core.bundle import write_aliases
from foretouch.core.workspace import Workspace
from tests.serving.service.world import (
    LEAD_INPUTS,
    OFFER_INPUTS,
    Service,
    consenting,
    count,
    serving,
    wait_for,
    write_model,
)


def answering(service: Service, model: str) -> Any:
    return service.call("GET", "/readyz", key=None).json["models"].get(model, {}).get("version")


def test_a_promotion_is_noticed_and_the_record_names_the_version(service: Service) -> None:
    someone = consenting(service.workspace)[0]
    first = service.decide(someone)
    assert {"name": "offer", "version": "v1"}.items() <= first["models"][_index(first, "offer")].items()
    write_model(service.workspace, "offer", "v2", OFFER_INPUTS, seed=2)
    took = wait_for(lambda: answering(service, "offer") == "v2", seconds=15.0, what="the promotion")
    assert took < 8.0
    second = service.decide(someone)
    assert second["models"][_index(second, "offer")]["version"] == "v2"
    replayed = service.call("POST", f"/v1/decisions/{first['decision_id']}/replay", {}).json
    assert (replayed["identical"], replayed["differences"]) == (True, [])
    assert replayed["decision"]["models"][_index(first, "offer")]["version"] == "v1"


def _index(decision: Any, model: str) -> int:
    return next(index for index, ref in enumerate(decision["models"]) if ref["name"] == model)


def test_a_broken_bundle_keeps_the_earlier_model_answering(service: Service) -> None:
    folders = {
        "altered": write_model(service.workspace, "lead", "v2", LEAD_INPUTS, seed=2, promote=False),
        "missing": service.workspace.bundles / "lead" / "v9",
    }
    text = folders["altered"] / "model.txt"
    text.write_text(text.read_text(encoding="utf-8").replace("leaf_value=", "leaf_value=1", 1), encoding="utf-8")
    for name, folder in folders.items():
        write_aliases(service.workspace.bundles, "lead", {"champion": folder.name})

        def refused(version: str = folder.name) -> bool:
            reasons = service.call("GET", "/readyz", key=None).json["refused"]
            return version in reasons.get("lead", "")

        wait_for(refused, seconds=15.0, what=f"the {name} bundle to be refused")
        assert answering(service, "lead") == "v1"
        one = service.call("POST", "/v1/scores/lead", {"customer_id": consenting(service.workspace)[0]}).json
        assert one["version"] == "v1"
    text_of_metrics = service.call("GET", "/metrics", key=None).raw.decode()
    assert 'foretouch_model_load_failures_total{model="lead"} 2.0' in text_of_metrics
    write_aliases(service.workspace.bundles, "lead", {"champion": "v1"})


def test_an_edited_policy_is_noticed_and_old_decisions_replay_as_they_were(service: Service) -> None:
    someone = consenting(service.workspace)[0]
    old = service.decide(someone)
    policy = service.workspace.root / "policy.toml"
    before = policy.read_text(encoding="utf-8")
    policy.write_text(before.replace("temperature = 0.1", "temperature = 0.9"), encoding="utf-8")
    assert policy.read_text(encoding="utf-8") != before

    def noticed() -> bool:
        return bool(
            service.decide(someone, options={"dry_run": True})["versions"]["policy"] != old["versions"]["policy"]
        )

    wait_for(noticed, seconds=5.0, what="the edited policy")
    assert service.call("POST", f"/v1/decisions/{old['decision_id']}/replay", {}).json["identical"]
    changed = service.call("POST", f"/v1/decisions/{old['decision_id']}/replay", {"policy": "policy"}).json
    assert "versions.policy" in {item["path"] for item in changed["differences"]}
    policy.write_text("temperature = 'warm'", encoding="utf-8")
    wait_for(
        lambda: service.call("GET", "/readyz", key=None).json["settings_error"], seconds=5.0, what="the wrong policy"
    )
    stranger = consenting(service.workspace)[-1]  # nobody has asked about them, so that no gap stops a contact
    assert service.decide(stranger)["status"] in {"decided", "control"}
    policy.write_text(before, encoding="utf-8")


def test_a_restart_keeps_the_log_and_the_answers(fresh: Workspace) -> None:
    someone = consenting(fresh)[0]
    body = {"customer_id": someone, "channels": ["email"], "request_id": "before"}
    with serving(fresh) as first:
        earlier = first.call("POST", "/v1/decisions", body)
    decisions = count(fresh, "decisions")
    with serving(fresh, workers=2, key=first.key) as second:
        again = second.call("POST", "/v1/decisions", body)
        assert again.raw == earlier.raw
        replayed = second.call("POST", f"/v1/decisions/{earlier.json['decision_id']}/replay", {})
        assert replayed.json["identical"]
    assert count(fresh, "decisions") == decisions == 1
