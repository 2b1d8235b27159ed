"""The routes of the Site API as the live service answers today (`--dialect live`), after docs/api-notes.md.

Numbers in brackets, in this folder, are its sections. Errors have the many shapes of the service. A wrong key makes the
reader anonymous where reading needs no key, and gets a 401 where it does. The country of a reader is that of the edge's
header CF-IPCountry. Overload and pages of the edge come as faults on order.
"""

from starlette.routing import Route

from emulator.routes.live.answers import regional
from emulator.routes.live.images import ImageRoutes
from emulator.routes.live.member import MemberRoutes
from emulator.routes.live.models import ModelRoutes
from emulator.routes.live.names import NameRoutes
from emulator.routes.live.service import LiveService
from emulator.routes.live.versions import VersionRoutes


def live_routes(service: LiveService) -> list[Route]:
    """All operations, as routes below `BASE_PATH`; none of them answers in a region that is blocked."""
    groups = (
        ModelRoutes(service),
        VersionRoutes(service),
        ImageRoutes(service),
        NameRoutes(service),
        MemberRoutes(service),
    )
    routes = [route for group in groups for route in group.routes()]
    return [Route(one.path, regional(one.endpoint), methods=list(one.methods or ())) for one in routes]
