"""What the service mounts: the entry point ``app`` of the group ``foretouch.pages``."""

from foretouch.experiments.app.site import Site
from foretouch.serving.web.api import Api


def mount(api: Api) -> Site:
    """The pages of a running service."""
    return Site(api)
