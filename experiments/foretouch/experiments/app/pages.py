"""The table of pages: address, who may see it, and what makes it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from foretouch.experiments.app import (
    data_page,
    decisions_page,
    experiments_page,
    history_page,
    insights_page,
    models_page,
    policies_page,
    settings_page,
    sign_in,
    uplift_page,
    what_if_page,
)
from foretouch.experiments.app.site import Site
from foretouch.experiments.app.visit import EDIT_SCOPE, READ_SCOPE, Visit
from foretouch.serving.web.pages import PageAnswer
from foretouch.serving.web.problems import Problem


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page.

    Attributes:
        menu: Its entry of the menu; empty for none.
        method: GET or POST.
        template: Its address, placeholders in braces.
        handler: Makes it.
        scope: A visitor's key needs it; empty is for everybody.
    """

    menu: str
    method: str
    template: str
    handler: Callable[[Site, Visit], PageAnswer]
    scope: str = READ_SCOPE

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches its addresses; a placeholder is one segment."""
        parts = re.split(r"\{(\w+)\}", self.template)
        return re.compile(
            "".join(re.escape(part) if index % 2 == 0 else f"(?P<{part}>[^/]+)" for index, part in enumerate(parts))
        )


def _page(menu: str, template: str, handler: Callable[[Site, Visit], PageAnswer], scope: str = READ_SCOPE) -> Page:
    return Page(menu=menu, method="GET", template=template, handler=handler, scope=scope)


def _act(menu: str, template: str, handler: Callable[[Site, Visit], PageAnswer], scope: str = EDIT_SCOPE) -> Page:
    return Page(menu=menu, method="POST", template=template, handler=handler, scope=scope)


PAGES: tuple[Page, ...] = (
    _page("experiments", "/app", experiments_page.home),
    _page("experiments", "/app/", experiments_page.home),
    _page("", "/app/sign-in", sign_in.show, scope=""),
    _act("", "/app/sign-in", sign_in.enter, scope=""),
    _act("", "/app/sign-out", sign_in.leave, scope=""),
    _page("experiments", "/app/experiments", experiments_page.listed),
    _page("experiments", "/app/experiments/{key}", experiments_page.report),
    _page("experiments", "/app/experiments/{key}/results.json", experiments_page.results_file),
    _page("insights", "/app/insights", insights_page.show),
    _page("what_if", "/app/what-if", what_if_page.show),
    _page("uplift", "/app/uplift", uplift_page.show),
    _page("policies", "/app/policies", policies_page.show),
    _page("policy", "/app/policy", settings_page.policy),
    _page("rules", "/app/rules", settings_page.rules),
    _act("policy", "/app/policy/values", settings_page.change_policy),
    _act("policy", "/app/policy/add", settings_page.add_to_policy),
    _act("policy", "/app/policy/text", settings_page.rewrite_policy),
    _act("policy", "/app/policy/revert", settings_page.revert_policy),
    _act("policy", "/app/policy/copy", settings_page.copy_policy),
    _act("policy", "/app/policy/use", settings_page.use_policy),
    _act("rules", "/app/rules/values", settings_page.change_rules),
    _act("rules", "/app/rules/add", settings_page.add_to_rules),
    _act("rules", "/app/rules/text", settings_page.rewrite_rules),
    _act("rules", "/app/rules/revert", settings_page.revert_rules),
    _page("decisions", "/app/decisions", decisions_page.search),
    _page("decisions", "/app/decisions/{decision_id}", decisions_page.show),
    _act("decisions", "/app/decisions/{decision_id}/replay", decisions_page.replay, scope=READ_SCOPE),
    _page("models", "/app/models", models_page.show),
    _page("models", "/app/models/{model}/{version}/{plot}", models_page.plot),
    _page("data", "/app/data", data_page.show),
    _page("history", "/app/history", history_page.show),
)


class Pages:
    """Finds the page of an address."""

    def find(self, method: str, path: str) -> tuple[Page, dict[str, str]]:
        """The page of a method and a path, and the values of its placeholders.

        Raises:
            Problem: 404 where there is no page, 405 where it takes another method.
        """
        wanted = "GET" if method == "HEAD" else method
        found = [(page, match) for page in PAGES if (match := page.pattern.fullmatch(path)) is not None]
        for page, match in found:
            if page.method == wanted:
                return page, {name: unquote(value) for name, value in match.groupdict().items()}
        if found:
            allowed = ", ".join(sorted({page.method for page, _ in found}))
            raise Problem(status=405, code="method", detail="", headers={"allow": allowed})
        raise Problem(status=404, code="no_route", detail="")
